package main

import (
	"context"
	"fmt"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/shared/api"
)

// printEvents shows what happened to the jobs, oldest first.
func (a *app) printEvents(ctx context.Context, r *remote, jobs []api.Job, format format) error {
	if len(jobs) > 1 {
		return usageError{fmt.Errorf("job %s is an array; name one task, for instance: ergon job %s --events", deref(jobs[0].ArrayJobId), jobs[0].SlurmJobId)}
	}
	events, err := r.events(ctx, jobs[0].Id)
	if err != nil {
		return err
	}
	switch format {
	case formatJSON:
		enc := newEncoder(a.Out)
		for _, e := range events {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	case formatYAML:
		return report.YAML(a.Out, events)
	case formatCSV:
		return usageError{fmt.Errorf("--events has no csv form; use table, json or yaml")}
	}
	t := newTable(a.Out, a.style())
	t.head("TIME", "WHAT", "STATE", "SLURM", "MESSAGE")
	for _, e := range events {
		t.add(e.At.Local().Format("2006-01-02 15:04:05"), e.Type, string(e.State), e.SlurmState, messageOf(e))
	}
	return t.write()
}

// messageOf is the event's own message, or what its manifest says in short.
func messageOf(e api.JobEvent) string {
	text := deref(e.Message)
	if e.Manifest == nil {
		return text
	}
	counts := map[api.ManifestEntryStatus]int{}
	for _, entry := range *e.Manifest {
		counts[entry.Status]++
		if entry.Reason != nil && text == "" {
			text = entry.Path + ": " + *entry.Reason
		}
	}
	for _, status := range []api.ManifestEntryStatus{
		api.ManifestEntryStatusFound, api.ManifestEntryStatusStored, api.ManifestEntryStatusMissing,
		api.ManifestEntryStatusSkipped, api.ManifestEntryStatusBlocked, api.ManifestEntryStatusUnstable,
	} {
		if n := counts[status]; n > 0 {
			text = fmt.Sprintf("%d %s  %s", n, status, text)
		}
	}
	return text
}
