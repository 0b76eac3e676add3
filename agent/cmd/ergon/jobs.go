package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

type jobsFlags struct {
	output   outputFlags
	watch    bool
	state    string
	since    string
	cluster  string
	limit    int
	interval time.Duration
}

func (a *app) jobsCommand() *cobra.Command {
	var f jobsFlags
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List your jobs",
		Long: `List your jobs, newest first: from the server when you are logged in, else from the local sacct and squeue.
With -w the list is printed again whenever something changed, until Ctrl-C.`,
		Example: examples("ergon jobs", "ergon jobs -w --state RUNNING", "ergon jobs --since 7d -o csv > jobs.csv"),
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.jobs(c.Context(), f) },
	}
	f.output.register(c)
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "print the list again when it changes")
	c.Flags().StringVar(&f.state, "state", "", "PENDING, RUNNING, DONE or FAILED")
	c.Flags().StringVar(&f.since, "since", "7d", "how far to look back: 30d, 12h, 2w, 2026-11-01")
	c.Flags().StringVar(&f.cluster, "cluster", "", "only this cluster")
	c.Flags().IntVar(&f.limit, "limit", 200, "at most this many jobs")
	c.Flags().DurationVar(&f.interval, "interval", 5*time.Second, "how often -w looks, at least 1s")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"PENDING", "RUNNING", "DONE", "FAILED"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f jobsFlags) check() error {
	switch api.JobState(f.state) {
	case "", api.PENDING, api.RUNNING, api.DONE, api.FAILED:
	default:
		return usageError{fmt.Errorf("unknown state %q; use PENDING, RUNNING, DONE or FAILED", f.state)}
	}
	if f.limit < 1 || f.interval < time.Second {
		return usageError{errors.New("--limit must be at least 1 and --interval at least 1s")}
	}
	return nil
}

func (a *app) jobs(ctx context.Context, f jobsFlags) error {
	f.state = strings.ToUpper(f.state)
	format, err := f.output.format()
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return err
	}
	if !f.watch {
		rows, err := a.jobRows(ctx, f)
		if err != nil {
			return err
		}
		return a.showRows(rows, format, f)
	}
	return a.watchRows(ctx, f, format)
}

func (a *app) showRows(rows []jobRow, format format, f jobsFlags) error {
	if len(rows) == 0 && format == formatTable {
		fmt.Fprintf(a.Out, "No such jobs since %s. Look further back with --since 30d, or submit one: ergon sbatch job.sh\n", f.since)
		return nil
	}
	return a.printRows(rows, format)
}

// watchRows prints the list whenever it differs from the last one.
func (a *app) watchRows(ctx context.Context, f jobsFlags, format format) error {
	last := ""
	for {
		rows, err := a.jobRows(ctx, f)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // Ctrl-C is how a watch ends
		case err != nil:
			return err
		}
		if now := fingerprint(rows); now != last {
			last = now
			if isTerminal(a.Out) {
				fmt.Fprint(a.Out, "\x1b[H\x1b[2J")
			}
			if err := a.showRows(rows, format, f); err != nil {
				return err
			}
		}
		if !pause(ctx, f.interval) {
			return nil
		}
	}
}

// fingerprint leaves out what changes all the time.
func fingerprint(rows []jobRow) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintln(&b, r.ID, r.JobID, r.Cluster, r.SlurmState, r.Reason, r.UploadPhase)
	}
	return b.String()
}

// pause waits; false means that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jobRows asks the server, or the local Slurm where the server cannot be asked.
func (a *app) jobRows(ctx context.Context, f jobsFlags) ([]jobRow, error) {
	from, err := parseSince(f.since, a.Now())
	if err != nil {
		return nil, err
	}
	rows, err := a.remoteRows(ctx, f, from)
	if err == nil || !localInstead(err) {
		return rows, err
	}
	rows, localErr := a.localRows(ctx, f, from)
	if errors.Is(localErr, errNoSlurm) {
		return nil, err
	}
	return rows, localErr
}

func (a *app) remoteRows(ctx context.Context, f jobsFlags, from time.Time) ([]jobRow, error) {
	r, err := a.remote(ctx)
	if err != nil {
		return nil, err
	}
	params := api.ListJobsParams{From: &from}
	if f.cluster != "" {
		params.Cluster = &f.cluster
	}
	if f.state != "" {
		state := api.JobState(f.state)
		params.State = &state
	}
	jobs, err := r.jobs(ctx, params, f.limit)
	if err != nil {
		return nil, err
	}
	rows := make([]jobRow, len(jobs))
	for i, j := range jobs {
		rows[i] = rowOfAPI(j)
	}
	return rows, nil
}

// localRows joins sacct with squeue: a window of sacct leaves out jobs that are held or wait for others.
func (a *app) localRows(ctx context.Context, f jobsFlags, from time.Time) ([]jobRow, error) {
	warn := a.newWarnings()
	defer warn.close()
	r, err := a.reporter(warn)
	if err != nil {
		return nil, err
	}
	all, err := r.Since(ctx, from, a.Now())
	if err != nil {
		return nil, plainFault(err)
	}
	waiting, err := a.queueReports(ctx, r.User)
	if err != nil {
		warn.add("squeue did not answer, so waiting jobs may be missing: " + err.Error())
	}
	var rows []jobRow
	for _, one := range join(all, waiting) {
		row := rowOfReport(one)
		if (f.state == "" || row.State == f.state) && (f.cluster == "" || row.Cluster == "" || row.Cluster == f.cluster) {
			rows = append(rows, row)
		}
	}
	newestFirst(rows)
	return rows[:min(len(rows), f.limit)], nil
}

func (a *app) queueReports(ctx context.Context, user string) ([]efficiency.Report, error) {
	runner, err := a.slurm()
	if err != nil {
		return nil, err
	}
	table, err := runner.Queue(ctx, user)
	if err != nil {
		return nil, plainFault(err)
	}
	var out []efficiency.Report
	for _, job := range efficiency.Group(table.Rows) {
		out = append(out, efficiency.Analyse(efficiency.Input{Rows: job.Rows}))
	}
	return out, nil
}
