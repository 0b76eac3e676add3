package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/local"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

type explainFlags struct {
	output   outputFlags
	columns  []string
	timezone string
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain FILE…",
		Short: "Report jobs from a sacct dump, JSON lines or HDF5 profiles, without any server",
		Long: `Report jobs from files alone: no server, no login, no Slurm needed. Read are

  - the output of sacct --parsable2 (or --parsable) with its header line, gzip or not; rows of any number of jobs;
  - JSON lines {"id": …, "rows": [{column: value, …}, …]};
  - Slurm's HDF5 profiles (<job>_<step>_<node>.h5, or merged by sh5util). All profiles of one job make one report, and
    refine the job's accounting when that is given too.

"-" is standard input. Every number says how it was obtained and what part of the job it covers; what cannot be known
is missing, never 0. Rows that cannot be read are left out with a warning.`,
		Example: examples("sacct -P --noconvert -D -o ALL -j 4711 | ergon explain -",
			"ergon explain --timezone Europe/Berlin jobs.txt.gz -o csv",
			"ergon explain 4711_0_n1.h5 4711_0_n2.h5",
			"ergon explain cases.jsonl -o json | jq .metrics.cpu_efficiency"),
		Args: atLeastOne("a file, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error { return a.explain(c.Context(), args, f) },
	}
	f.output.register(c)
	c.Flags().StringSliceVar(&f.columns, "columns", nil, "names of the columns, for a dump without a header line")
	c.Flags().StringVar(&f.timezone, "timezone", "Local", "zone of the dump's times, e.g. Europe/Berlin or UTC")
	return c
}

// atLeastOne refuses an empty argument list with words.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{fmt.Errorf("give %s", what)}
		}
		return nil
	}
}

func (a *app) explain(ctx context.Context, names []string, f explainFlags) error {
	format, err := f.output.format()
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(f.timezone)
	if err != nil {
		return usageError{fmt.Errorf("unknown time zone %q; names are like Europe/Berlin, UTC or Local", f.timezone)}
	}
	warn, out := a.newWarnings(), a.newReports(format)
	opt := local.Options{Location: zone, Columns: trimmed(f.columns), Stdin: a.In, Warn: warn.add}
	err = local.Explain(ctx, names, opt, func(r efficiency.Report) error { return out.add(r) })
	if closed := out.close(); err == nil {
		err = closed
	}
	warn.close()
	return a.printErrors(err)
}

func trimmed(names []string) (out []string) {
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			out = append(out, n)
		}
	}
	return out
}
