package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

type usageFlags struct {
	by, metrics, since, cluster, timezone, output string
	allUsers                                      bool
}

func (a *app) usageCommand() *cobra.Command {
	var f usageFlags
	c := &cobra.Command{
		Use:   "usage",
		Short: "Hours, energy, cost, carbon and the waste ledger of your jobs, by month, account, partition, …",
		Long: `Sums over your jobs that ended, grouped by one dimension: cluster, account, partition, qos, name, state, day, week, month,
year, nodes, cores, gpus or none; operators also by user, with --all-users. From the server.

cpu_ledger, memory_ledger, gpu_ledger and energy_ledger stand for all parts of a waste ledger, in which
allocated + overuse = used + idle + forced + lost + unmeasured, with lost split by cause; docs/efficiency.md defines each.
What is not in the numbers is said on standard error.`,
		Example: examples("ergon usage", "ergon usage --by account --metrics cpu_hours,energy_kwh,cost,carbon_kg", "ergon usage --by partition --metrics cpu_ledger -o csv"),
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.usage(c.Context(), f) },
	}
	c.Flags().StringVar(&f.by, "by", "month", "the dimension")
	c.Flags().StringVar(&f.metrics, "metrics", "job_count,cpu_hours,cpu_used_hours,cpu_idle_hours,cpu_lost_hours,energy_kwh,cost,carbon_kg", "metrics, with commas between")
	c.Flags().StringVar(&f.since, "since", "365d", "ended in this time: 30d, 2w, 2026-11-01")
	c.Flags().StringVar(&f.cluster, "cluster", "", "only this cluster")
	c.Flags().StringVar(&f.timezone, "timezone", "UTC", "zone of days, weeks, months and years, such as Europe/Berlin")
	c.Flags().BoolVar(&f.allUsers, "all-users", false, "the jobs of everybody (operators and admins)")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table, csv or json")
	return c
}

func (a *app) usage(ctx context.Context, f usageFlags) error {
	from, err := parseSince(f.since, a.Now())
	if err != nil {
		return err
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	params := api.GetUsageParams{By: &f.by, Metrics: &f.metrics, From: &from, Timezone: &f.timezone, AllUsers: &f.allUsers}
	if f.cluster != "" {
		params.Cluster = &f.cluster
	}
	u, err := r.usage(ctx, params)
	if err != nil {
		return err
	}
	for _, note := range u.Notes {
		fmt.Fprintln(a.Err, "note: "+term.Clean(note))
	}
	switch f.output {
	case "json":
		return newEncoder(a.Out).Encode(u)
	case "csv":
		if err := csv.NewWriter(a.Out).WriteAll(usageRows(u, -1)); err != nil {
			return fmt.Errorf("writing CSV: %w", err)
		}
		return nil
	case "table":
		return usageTable(a.Out, u)
	}
	return usageError{fmt.Errorf("-o %s: table, csv or json", f.output)}
}

func (r *remote) usage(ctx context.Context, params api.GetUsageParams) (*api.Usage, error) {
	resp, err := r.client.GetUsageWithResponse(ctx, &params)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

func usageRows(u *api.Usage, precision int) [][]string {
	rows := [][]string{append([]string{u.By}, u.Metrics...)}
	for _, g := range u.Groups {
		row := []string{term.Clean(deref(g.Key))}
		for _, m := range u.Metrics {
			cell := ""
			if v := g.Values[m]; v != nil {
				cell = strconv.FormatFloat(*v, 'f', precision, 64)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

func usageTable(w io.Writer, u *api.Usage) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range usageRows(u, 2) {
		fmt.Fprintln(tw, strings.Join(row, "\t")+"\t")
	}
	return tw.Flush()
}
