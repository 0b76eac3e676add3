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
		for _, line := range notTaken(e) {
			t.add("", "", "", "", line)
		}
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

// maxNotTaken is how many files of one manifest are named with the reason why they are not stored; --json has all.
const maxNotTaken = 10

// notTaken names the files of a manifest that have a reason not to be stored, a line each.
func notTaken(e api.JobEvent) (lines []string) {
	more := 0
	for _, entry := range deref(e.Manifest) {
		switch {
		case entry.Reason == nil:
		case len(lines) < maxNotTaken:
			lines = append(lines, fmt.Sprintf("%s %s: %s", entry.Status, entry.Path, *entry.Reason))
		default:
			more++
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more; --json lists all", more))
	}
	return lines
}
