package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

const tariffsHelp = `List what is known of prices and carbon intensity: from when to when, with how many holes in between, and where a source
is configured (ERGON_INSIGHT_PRICES_URL, ERGON_INSIGHT_CARBON_URL) what became of fetching it. Nothing is fetched by this
command; a running server fetches.`

func newAdminTariffs(p *process) *cobra.Command {
	var dataDir, output string
	cmd := &cobra.Command{
		Use: "tariffs", Short: "Prices and carbon intensity: what is known, and the state of their sources", Long: tariffsHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("-o %q: text or json", output)
			}
			return withBase(cmd.Context(), p, dataDir, func(ctx context.Context, base *app.Base, _ app.Deps) error {
				return tariffs(ctx, p, gormstore.NewTariffs(base.Store), output == "json")
			})
		},
	}
	dataDirFlag(cmd, &dataDir)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// listedTariff is an element of `-o json`.
type listedTariff struct {
	Kind     tariff.Kind `json:"kind"`
	Zone     string      `json:"zone"`
	Unit     string      `json:"unit"`
	Constant *float64    `json:"constant"`
	From     *time.Time  `json:"from"`
	To       *time.Time  `json:"to"`
	Holes    int         `json:"holes"`
	Source   string      `json:"source"`
	Answered *time.Time  `json:"answered"`
	Tried    *time.Time  `json:"tried"`
	Failures int64       `json:"failures"`
	Error    string      `json:"error"`
}

func tariffs(ctx context.Context, p *process, store *gormstore.Tariffs, asJSON bool) error {
	list, err := listTariffs(ctx, store)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	t := table{head: []string{"kind", "zone", "unit", "constant", "from", "to", "holes", "source", "state"}}
	for _, l := range list {
		t.rows = append(t.rows, l.row())
	}
	return printColumns(p.stdout, t)
}

func listTariffs(ctx context.Context, store *gormstore.Tariffs) ([]listedTariff, error) {
	list := []listedTariff{}
	at := map[tariff.Key]int{}
	heads, err := store.Heads(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		l := listedTariff{Kind: h.Kind, Zone: h.Zone, Unit: h.Unit, Constant: h.Constant}
		intervals, err := store.Intervals(ctx, h.Key)
		if err != nil {
			return nil, err
		}
		for i, iv := range intervals {
			if i > 0 && intervals[i-1].To < iv.From {
				l.Holes++
			}
		}
		if n := len(intervals); n > 0 {
			from, to := time.Unix(intervals[0].From, 0).UTC(), time.Unix(intervals[n-1].To, 0).UTC()
			l.From, l.To = &from, &to
		}
		at[h.Key] = len(list)
		list = append(list, l)
	}
	states, err := store.FetchStates(ctx)
	for _, s := range states {
		i, known := at[s.Key]
		if !known {
			i = len(list)
			list = append(list, listedTariff{Kind: s.Kind, Zone: s.Zone})
		}
		l := &list[i]
		l.Source, l.Answered, l.Tried, l.Failures, l.Error = s.URL, s.Answered, &s.Tried, s.Failures, s.Error
	}
	return list, err
}

func (l listedTariff) row() []string {
	when := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Format(time.RFC3339)
	}
	constant, state, zone := "-", "imported", l.Zone
	if l.Constant != nil {
		constant = strconv.FormatFloat(*l.Constant, 'g', -1, 64)
	}
	if zone == "" {
		zone = "everywhere"
	}
	switch {
	case l.Error != "":
		state = fmt.Sprintf("failed %d times, last at %s: %s; last answer %s", l.Failures, when(l.Tried), l.Error, when(l.Answered))
	case l.Source != "":
		state = "fetched " + when(l.Answered)
	}
	return []string{string(l.Kind), zone, l.Unit, constant, when(l.From), when(l.To), strconv.Itoa(l.Holes), l.Source, state}
}
