package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

type reportFlags struct {
	output  outputFlags
	since   string
	cluster string
	html    string
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report",
		Short: "Report all your jobs of some time, as a table or as one HTML page",
		Long: `Report your jobs of some time: one line for each, and what they used and wasted together (ratios of sums). --html
writes one self-contained page with plots; it loads nothing from anywhere. From the server when you are logged in, else
from the local sacct.`,
		Example: examples("ergon report --since 30d", "ergon report --since 2026-11-01 --html november.html", "ergon report --since 7d -o csv"),
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.report(c.Context(), f) },
	}
	f.output.register(c)
	c.Flags().StringVar(&f.since, "since", "30d", "how far to look back: 30d, 12h, 2w, 2026-11-01")
	c.Flags().StringVar(&f.cluster, "cluster", "", "only this cluster")
	c.Flags().StringVar(&f.html, "html", "", "write one HTML page to this file")
	return c
}

// period is all that a report of some time needs.
type period struct {
	from, to time.Time
	reports  []efficiency.Report
	totals   map[efficiency.MetricName]efficiency.Metric
	started  int
	source   string
}

func (a *app) report(ctx context.Context, f reportFlags) error {
	format, err := f.output.format()
	if err != nil {
		return err
	}
	to := a.Now()
	from, err := parseSince(f.since, to)
	if err != nil {
		return err
	}
	p, err := a.period(ctx, from, to, f.cluster)
	if err != nil {
		return err
	}
	if f.html != "" {
		return a.writePage(p, f.html)
	}
	if len(p.reports) == 0 && format == formatTable {
		fmt.Fprintf(a.Out, "No jobs since %s (%s).\n", f.since, p.source)
		return nil
	}
	return a.printPeriod(p, format)
}

func (a *app) printPeriod(p *period, format format) error {
	if format != formatTable {
		out := a.newReports(format)
		for _, r := range p.reports {
			if err := out.add(r); err != nil {
				return err
			}
		}
		return out.close()
	}
	lines := report.NewLines(a.Out, a.style())
	for _, r := range p.reports {
		if err := lines.Add(r); err != nil {
			return err
		}
	}
	return report.Totals(a.Out, efficiency.Totals{Jobs: len(p.reports), Started: p.started, Metrics: p.totals}, a.style())
}

// period asks the server, or the local Slurm where the server cannot be asked.
func (a *app) period(ctx context.Context, from, to time.Time, cluster string) (*period, error) {
	p, err := a.remotePeriod(ctx, from, to, cluster)
	if err == nil || !localInstead(err) {
		return p, err
	}
	p, localErr := a.localPeriod(ctx, from, to, cluster)
	if errors.Is(localErr, errNoSlurm) {
		return nil, err
	}
	return p, localErr
}

// maxReported bounds how many jobs one report lists.
const maxReported = 20_000

func (a *app) remotePeriod(ctx context.Context, from, to time.Time, cluster string) (*period, error) {
	r, err := a.remote(ctx)
	if err != nil {
		return nil, err
	}
	params := api.ListJobsParams{From: &from, To: &to}
	if cluster != "" {
		params.Cluster = &cluster
	}
	jobs, err := r.jobs(ctx, params, maxReported)
	if err != nil {
		return nil, err
	}
	if len(jobs) == maxReported {
		fmt.Fprintf(a.Err, "ergon: note: only the newest %d jobs are listed; ask for a shorter time\n", maxReported)
	}
	summary, err := r.summary(ctx, from, to, cluster)
	if err != nil {
		return nil, err
	}
	p := &period{from: from, to: to, totals: overviewOf(summary).Aggregate, started: int(summary.Started), source: "from " + r.server}
	for _, j := range jobs {
		p.reports = append(p.reports, reportOf(j))
	}
	return p, nil
}

func (a *app) localPeriod(ctx context.Context, from, to time.Time, cluster string) (*period, error) {
	warn := a.newWarnings()
	defer warn.close()
	r, err := a.reporter(warn)
	if err != nil {
		return nil, err
	}
	all, err := r.Since(ctx, from, to)
	if err != nil {
		return nil, plainFault(err)
	}
	p := &period{from: from, to: to, source: "from the local sacct"}
	for _, one := range all {
		if cluster == "" || one.Job.Cluster == cluster {
			p.reports = append(p.reports, one)
		}
	}
	totals := efficiency.AddUp(p.reports)
	p.totals, p.started = totals.Metrics, totals.Started
	return p, nil
}

// writePage replaces the file only when the whole page is there.
func (a *app) writePage(p *period, file string) error {
	page := report.Page{Title: "Ergon: what my jobs used", Made: a.Now(), From: p.from, To: p.to, Source: p.source, Totals: totalLines(p)}
	for _, r := range p.reports {
		page.Jobs = append(page.Jobs, pageJob(r))
	}
	var b bytes.Buffer
	if err := report.HTML(&b, page); err != nil {
		return err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := durable.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%d jobs are in %s, which only you can read.\n", len(page.Jobs), term.Clean(file))
	return nil
}

func totalLines(p *period) (lines [][2]string) {
	for _, c := range []struct {
		title string
		name  efficiency.MetricName
	}{
		{"CPU used", efficiency.CPUEfficiency},
		{"Memory used", efficiency.MemoryEfficiency},
		{"GPU used", efficiency.GPUUtilization},
		{"CPU wasted", efficiency.WastedCPU},
		{"Memory wasted", efficiency.WastedMemory},
		{"Energy", efficiency.Energy},
	} {
		if m := p.totals[c.name]; m.Value != nil {
			lines = append(lines, [2]string{c.title, report.Value(m)})
		}
	}
	return lines
}

func pageJob(r efficiency.Report) report.PageJob {
	j := report.PageJob{
		JobID: r.Job.JobID, Cluster: r.Job.Cluster, Name: r.Job.Name, State: r.Job.SlurmState, Verdict: r.Verdict,
		Start: moment(r.Job.Start), ElapsedS: r.Job.ElapsedSeconds,
		CPU: metric(r, efficiency.CPUEfficiency), Memory: metric(r, efficiency.MemoryEfficiency), Time: metric(r, efficiency.TimeEfficiency),
	}
	if r.Job.CPUs == nil || r.Job.ElapsedSeconds == nil {
		return j
	}
	allocated := float64(*r.Job.CPUs) * *r.Job.ElapsedSeconds
	j.AllocatedCoreS = &allocated
	if share, known := r.Value(efficiency.CPUEfficiency); known {
		used := allocated * share / 100
		j.UsedCoreS = &used
	}
	return j
}
