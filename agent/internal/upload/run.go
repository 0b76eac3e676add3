package upload

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// Upload implements outputs.Worker.
func (w *Worker) Upload(ctx context.Context, job outputs.JobFiles, m outputs.Manifest, env outputs.UploadEnv) (outputs.Manifest, error) {
	rows, err := env.Ledger.Files(ctx, job.JobID, job.Attempt)
	if err != nil {
		return m, fmt.Errorf("reading the journal: %w", err)
	}
	known := make(map[outputs.FileKey]outputs.FileRow, len(rows))
	for _, row := range rows {
		known[row.Key] = row
	}
	r := &run{job: job, env: env, settings: w.settings, progress: newProgress(m, env.Progress)}
	err = w.with(ctx, job, func(ctx context.Context, c *helper.Client) error {
		r.helper = c
		return r.all(ctx, m.Entries, known)
	})
	return m, err
}

// run is one call of Upload. Entries are each worked on by one goroutine, which writes its own element of the manifest.
type run struct {
	job      outputs.JobFiles
	env      outputs.UploadEnv
	settings Settings
	helper   *helper.Client
	progress *progress
}

// all sends the entries with bounded parallelism. It stops at the first error that concerns the whole job.
func (r *run) all(ctx context.Context, entries []outputs.Entry, known map[outputs.FileKey]outputs.FileRow) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan task, aheadFiles) // so that the next group is got ready while one is sent
	faults := make(chan error, r.settings.Parallel+1)
	var running sync.WaitGroup
	for range r.settings.Parallel {
		running.Go(func() {
			for t := range work {
				if err := r.entry(ctx, t); err != nil {
					faults <- err
					cancel()
					return
				}
			}
		})
	}
	if err := r.feed(ctx, work, entries, known); err != nil {
		faults <- err
		cancel()
	}
	running.Wait()
	close(faults)
	var all error
	for err := range faults {
		if all == nil || !errors.Is(err, context.Canceled) {
			all = errors.Join(all, err)
		}
	}
	return errors.Join(all, cause(ctx, all))
}

// cause tells why the work ended early when no worker said so.
func cause(ctx context.Context, reported error) error {
	if reported != nil || ctx.Err() == nil {
		return nil //nolint:nilerr // it has been reported
	}
	return context.Cause(ctx)
}

func (r *run) key(e outputs.Entry) outputs.FileKey {
	return outputs.FileKey{JobID: r.job.JobID, Attempt: r.job.Attempt, Class: e.Class, Path: e.Path}
}

// entry brings one file into the store and writes what became of it into e.
func (r *run) entry(ctx context.Context, t task) error {
	e, row := t.entry, t.row
	r.progress.begin(e.Path)
	// What was verified is the job's output and has no way back. If the file was changed since, by the user or by the next
	// job, that is not this job's: it is not sent, and the entry keeps the identity of what is stored.
	if row.State == outputs.FileVerified {
		*e = row.Entry
		e.Status = outputs.StatusStored
		r.progress.done()
		return nil
	}
	err := r.tries(ctx, t)
	if settled := r.settle(ctx, e, err); settled != nil {
		return fmt.Errorf("uploading %q: %w", e.Path, settled)
	}
	r.progress.done()
	return nil
}
