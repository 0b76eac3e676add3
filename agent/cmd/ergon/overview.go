package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// overviewDays is what `ergon` alone looks back; serverPatience is how long it waits for the server before it asks the
// local Slurm: the whole has to be there within three seconds.
const (
	overviewDays   = 30
	serverPatience = 2 * time.Second
)

// overview is `ergon` alone: from the server when logged in, else from the local sacct, else first steps.
func (a *app) overview(ctx context.Context) error {
	to := a.Now()
	from := to.AddDate(0, 0, -overviewDays)
	o, err := a.remoteOverview(ctx, from, to)
	if err != nil && !localInstead(err) {
		return err
	}
	note := err
	if err != nil {
		o, err = a.localOverview(ctx, from, to)
	}
	if errors.Is(err, errNoSlurm) {
		return a.firstSteps(note)
	}
	if err != nil {
		return err
	}
	o.From, o.To = from, to
	if o.Jobs == 0 {
		fmt.Fprintf(a.Out, "No jobs in the last %d days (%s). Submit one:\n\n  ergon sbatch job.sh\n", overviewDays, o.Source)
		return nil
	}
	return report.PrintOverview(a.Out, *o, a.style())
}

func (a *app) remoteOverview(ctx context.Context, from, to time.Time) (*report.Overview, error) {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	r, err := a.remote(ctx)
	if err != nil {
		return nil, err
	}
	s, err := r.summary(ctx, from, to, "")
	if err != nil {
		return nil, err
	}
	o := overviewOf(s)
	o.Source = "from " + r.server
	return &o, nil
}

func overviewOf(s *api.JobsSummary) report.Overview {
	o := report.Overview{Jobs: s.Jobs, Started: s.Started, Aggregate: map[efficiency.MetricName]efficiency.Metric{}}
	if s.Failed != nil {
		o.Failed = *s.Failed
	}
	for name, m := range s.Aggregate {
		o.Aggregate[efficiency.MetricName(name)] = m
	}
	if len(s.Worst) == 0 || s.Worst[0].WastedCoreS <= 0 {
		return o
	}
	w := s.Worst[0]
	o.Worst = &report.Worst{
		JobID: w.Job.SlurmJobId, Name: deref(w.Job.Name), Verdict: w.Verdict, WastedCoreS: float64(w.WastedCoreS),
		Command: "ergon job " + w.Job.Id.String(),
	}
	if w.Actions != nil && len(*w.Actions) > 0 {
		o.Worst.Action = (*w.Actions)[0]
	}
	return o
}

func (a *app) localOverview(ctx context.Context, from, to time.Time) (*report.Overview, error) {
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
	o := report.OverviewOf(all, "ergon seff")
	o.Source = "from the local sacct"
	return &o, nil
}

// firstSteps is for somebody who just installed ergon.
func (a *app) firstSteps(why error) error {
	fmt.Fprintln(a.Out, `Ergon tells what your Slurm jobs really used, what they wasted, and what to change.

On a login node, without any server:
  ergon seff JOBID          report a job of the local Slurm
  ergon                     your last 30 days
From a file, anywhere:
  sacct -P --noconvert -D -o ALL -j JOBID > job.txt; ergon explain job.txt
With a server of your site:
  ergon login --server https://…
  ergon sbatch job.sh

Here there is no Slurm (no sacct on PATH), so there is nothing to show yet.`)
	if why != nil {
		fmt.Fprintln(a.Err, "ergon: note: "+term.Clean(why.Error()))
	}
	return nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
