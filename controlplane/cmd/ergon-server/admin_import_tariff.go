package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

// tariffFlags are the options of `admin import prices` and `admin import carbon`.
type tariffFlags struct {
	dataDir, currency, zone, timezone, constant, output string
}

// tariffRun is one import.
type tariffRun struct {
	kind  tariff.Kind
	flags tariffFlags
	name  string // of the file, empty with --constant
}

// importedTariff is what `-o json` prints.
type importedTariff struct {
	Kind tariff.Kind `json:"kind"`
	Zone string      `json:"zone"`
	Unit string      `json:"unit"`
	tariff.Changes
	Lines    int            `json:"lines"`
	Empty    int            `json:"empty"`
	Faults   []tariff.Fault `json:"rejected"`
	From     *time.Time     `json:"from"`
	To       *time.Time     `json:"to"`
	Constant *float64       `json:"constant"`
}

func newTariffCommand(p *process, kind tariff.Kind, cmd *cobra.Command) *cobra.Command {
	var f tariffFlags
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if (f.constant == "") == (len(args) == 0) || len(args) > 1 {
			return errors.New("give one file (- is standard input), or --constant VALUE")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		run := tariffRun{kind: kind, flags: f}
		if len(args) == 1 {
			run.name = args[0]
		}
		return withBase(cmd.Context(), p, f.dataDir, func(ctx context.Context, base *app.Base, deps app.Deps) error {
			return run.do(ctx, p, base, deps)
		})
	}
	dataDirFlag(cmd, &f.dataDir)
	flags := cmd.Flags()
	flags.StringVar(&f.zone, "zone", "", "the name of a cluster, for a tariff of its own (default: all clusters)")
	flags.StringVar(&f.timezone, "timezone", "UTC", "zone of times without an offset, such as Europe/Berlin")
	flags.StringVar(&f.constant, "constant", "", "one value for all time that no interval covers, instead of a file")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	if kind == tariff.Price {
		flags.StringVar(&f.currency, "currency", "", "three letters such as EUR (SMARD's prices are EUR)")
	}
	return cmd
}

func (r tariffRun) do(ctx context.Context, p *process, base *app.Base, deps app.Deps) error {
	if r.flags.output != "text" && r.flags.output != "json" {
		return fmt.Errorf("-o %q: text or json", r.flags.output)
	}
	series, file, err := r.read(p)
	if err != nil {
		return err
	}
	out := importedTariff{Kind: r.kind, Zone: series.Zone, Unit: series.Unit, Lines: file.Lines, Empty: file.Empty, Faults: file.Faults, Constant: series.Constant}
	if n := len(series.Intervals); n > 0 {
		from, to := time.Unix(series.Intervals[0].From, 0).UTC(), time.Unix(series.Intervals[n-1].To, 0).UTC()
		out.From, out.To = &from, &to
	}
	if out.Changes, err = tariff.New(gormstore.NewTariffs(base.Store), deps.Now).Import(ctx, series); err != nil {
		return err
	}
	return out.print(p, r.flags.output)
}

// read gives the series of the file or of --constant.
func (r tariffRun) read(p *process) (s tariff.Series, f tariff.File, err error) {
	s.Key = tariff.Key{Kind: r.kind, Zone: r.flags.zone}
	s.Unit = r.flags.currency
	if r.kind == tariff.Carbon {
		s.Unit = tariff.Gram
	}
	if r.flags.constant != "" {
		v, err := strconv.ParseFloat(r.flags.constant, 64)
		if err == nil {
			err = tariff.CheckValue(r.kind, v)
		}
		if err != nil {
			return s, f, fmt.Errorf("--constant %q: %w", r.flags.constant, err)
		}
		s.Constant = &v
	} else if f, err = r.open(p); err != nil {
		return s, f, err
	}
	if s.Unit == "" && f.SMARD {
		s.Unit = "EUR"
	}
	if s.Unit == "" {
		return s, f, errors.New("in which money? Give its three letters, for instance --currency EUR")
	}
	s.Intervals = f.Intervals
	if s.Constant == nil && len(s.Intervals) == 0 {
		return s, f, r.useless(f)
	}
	return s, f, nil
}

func (r tariffRun) useless(f tariff.File) error {
	err := fmt.Errorf("%s has no value that can be used", r.name)
	if len(f.Faults) > 0 {
		err = fmt.Errorf("%w; line %d: %s", err, f.Faults[0].Line, f.Faults[0].Reason)
	}
	return err
}

func (r tariffRun) open(p *process) (f tariff.File, err error) {
	loc, err := zone(r.flags.timezone)
	if err != nil {
		return f, err
	}
	in := p.stdin
	if r.name != "-" {
		file, err := os.Open(r.name)
		if err != nil {
			return f, fmt.Errorf("opening a tariff: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		in = file
	}
	if f, err = tariff.Read(in, tariff.Options{Kind: r.kind, Location: loc}); err != nil {
		return f, fmt.Errorf("%s: %w", r.name, err)
	}
	return f, nil
}

// shownFaults is how many bad lines are printed before they are only counted.
const shownFaults = 20

func (t importedTariff) print(p *process, format string) error {
	if format == "json" {
		if t.Faults == nil {
			t.Faults = []tariff.Fault{}
		}
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(t)
	}
	for i, f := range t.Faults {
		if i == shownFaults {
			fmt.Fprintf(p.stderr, "and %d more\n", len(t.Faults)-i)
			break
		}
		fmt.Fprintf(p.stderr, "line %d: %s\n", f.Line, f.Reason)
	}
	return t.text(p.stdout)
}

func (t importedTariff) text(w io.Writer) error {
	where := "all clusters"
	if t.Zone != "" {
		where = "cluster " + clean(t.Zone)
	}
	unit := t.Unit + " per MWh"
	if t.Kind == tariff.Carbon {
		unit = "gram per kWh"
	}
	fmt.Fprintf(w, "%s of %s, %s\n", t.Kind, where, unit)
	if t.Constant != nil {
		fmt.Fprintf(w, "%v wherever no interval holds\n", *t.Constant)
	}
	if t.From != nil {
		fmt.Fprintf(w, "%d lines from %s to %s: %d without a value, %d rejected\n", t.Lines+t.Empty, t.From.Format(time.RFC3339), t.To.Format(time.RFC3339), t.Empty, len(t.Faults))
		fmt.Fprintf(w, "%d intervals stored, %d known already, %d stored ones replaced\n", t.Added, t.Unchanged, t.Replaced)
	}
	_, err := fmt.Fprintln(w, "ergon-server admin reanalyse takes it up in the reports of jobs that are there")
	return err
}
