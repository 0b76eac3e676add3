package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/local"
	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// join adds what squeue knows to what sacct knows: waiting jobs with their reasons.
func join(accounting, queue []efficiency.Report) []efficiency.Report {
	at := map[string]int{}
	for i, r := range accounting {
		at[r.Job.JobID] = i
	}
	for _, q := range queue {
		i, known := at[q.Job.JobID]
		switch {
		case known:
			accounting[i].Job.Reason = q.Job.Reason
		case q.Job.State == string(slurmfmt.StatePending):
			accounting = append(accounting, q)
		}
	}
	return accounting
}

// jobsNow is localJobs with what only squeue knows yet: sacct learns of a job some seconds after its submission.
func (a *app) jobsNow(ctx context.Context, id string, warn *warnings) ([]efficiency.Report, []string, error) {
	all, missing, err := a.localJobs(ctx, []string{id}, warn)
	if err != nil || len(missing) == 0 {
		return all, missing, err
	}
	queue, err := a.queueReports(ctx, "")
	if err != nil {
		return all, missing, nil //nolint:nilerr // sacct's answer stands
	}
	for _, q := range queue {
		if q.Job.JobID == id || q.Job.ParentID == id {
			all, missing = append(all, q), nil
		}
	}
	return all, missing, nil
}

func newestFirst(rows []jobRow) {
	slices.SortStableFunc(rows, func(a, b jobRow) int { return deref(b.Submit).Compare(deref(a.Submit)) })
}

// addReasons asks squeue why jobs wait and when Slurm thinks that they start.
func (a *app) addReasons(ctx context.Context, all []efficiency.Report) {
	for i := range all {
		j := &all[i].Job
		if j.State != string(slurmfmt.StatePending) {
			continue
		}
		queue, err := a.queueReports(ctx, j.User)
		if err != nil {
			continue // the report then only says that the job waits
		}
		for _, q := range queue {
			if q.Job.JobID == j.JobID || q.Job.ParentID != "" && q.Job.ParentID == j.ParentID {
				j.Reason = q.Job.Reason
			}
		}
		all[i].Verdict = a.waiting(ctx, *j)
	}
}

// waiting is the verdict of a pending job: the reason in plain words, and Slurm's estimate of the start.
func (a *app) waiting(ctx context.Context, j efficiency.Job) string {
	text := "PENDING: " + report.Pending(j.Reason) + "."
	id, err := slurmfmt.ParseJobID(cmp.Or(j.JobIDRaw, j.JobID))
	if err != nil {
		return text
	}
	runner, err := a.slurm()
	if err != nil {
		return text
	}
	at, known, err := runner.StartEstimate(ctx, id)
	switch {
	case err != nil, !known:
		return text + " Slurm gives no estimate of its start."
	case at.Before(a.Now()):
		return text + " Slurm expects to start it any moment."
	}
	return text + " Slurm expects to start it in " + report.Seconds(at.Sub(a.Now()).Round(time.Second).Seconds()) + "."
}

// lastLines are of the stderr of a failed job: where it is, and its end; "" where it cannot be known or read.
func (a *app) lastLines(ctx context.Context, j efficiency.Job) (path string, lines []string) {
	id, err := slurmfmt.ParseJobID(j.JobID)
	if err != nil || j.State != string(slurmfmt.StateFailed) {
		return "", nil
	}
	runner, err := a.slurm()
	if err != nil {
		return "", nil
	}
	paths, err := runner.JobPaths(ctx, id)
	if err != nil {
		return "", nil // slurmctld forgets a job minutes after its end
	}
	path = strings.TrimSpace(cmp.Or(paths.Stderr, paths.Stdout))
	lines, err = local.Tail(path, tailLines)
	if err != nil {
		return path, nil
	}
	return path, lines
}

// tailLines is how much of stderr a report shows.
const tailLines = 20
