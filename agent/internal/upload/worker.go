// Package upload brings the files of ended jobs into the object store: hash, reserve, presign just in time, send, let
// the server verify. The helper process touches the files; this package, in the broker, drives it and tells the journal
// each step before it happens, so that a kill at any moment resumes (design 02, Uploads).
package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// Spawner starts the helper process for a job's user.
type Spawner interface {
	// Spawn returns the connection to a fresh helper and a function that kills it. It returns outputs.ErrNotLinked for a
	// user for whom none may run.
	Spawn(ctx context.Context, job outputs.JobFiles) (conn io.ReadWriteCloser, kill func(), err error)
}

// Settings bound the work. Zero means the default.
type Settings struct {
	// Parallel is how many files of one job are on their way at once (default 3).
	Parallel int
	// Deadline ends a helper of which nothing was heard for so long: it hangs on a dead mount, for one (default 15 min).
	// It answers after each file or part, so a large job on a slow link takes as long as it takes.
	Deadline time.Duration
	// Backoff is the first wait after a temporary fault of the store (default 500 ms); Attempts how often in all (6).
	Backoff  time.Duration
	Attempts int
}

func (s Settings) orDefault() Settings {
	if s.Parallel <= 0 {
		s.Parallel = 3
	}
	if s.Deadline <= 0 {
		s.Deadline = 15 * time.Minute
	}
	if s.Backoff <= 0 {
		s.Backoff = 500 * time.Millisecond
	}
	if s.Attempts <= 0 {
		s.Attempts = 6
	}
	return s
}

// Worker implements outputs.Worker with one helper process for each call.
type Worker struct {
	spawner  Spawner
	settings Settings
}

// New makes a worker.
func New(spawner Spawner, settings Settings) *Worker {
	return &Worker{spawner: spawner, settings: settings.orDefault()}
}

// heard tells of each byte that comes in.
type heard struct {
	io.ReadWriteCloser
	note func()
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.ReadWriteCloser.Read(p)
	if n > 0 {
		h.note()
	}
	return n, err
}

// with runs work with a helper for the job and ends the helper afterwards, by kill when it is silent for Deadline.
func (w *Worker) with(ctx context.Context, job outputs.JobFiles, work func(context.Context, *helper.Client) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(w.settings.Deadline, func() { cancel(outputs.ErrTimeout) })
	defer silence.Stop()
	conn, kill, err := w.spawner.Spawn(ctx, job)
	if err != nil {
		return fmt.Errorf("starting a helper for %s: %w", job.User, err)
	}
	defer kill()
	client, err := helper.NewClient(ctx, heard{conn, func() { silence.Reset(w.settings.Deadline) }}, job)
	if err != nil {
		return err
	}
	return errors.Join(work(ctx, client), client.Close())
}

// Collect implements outputs.Worker.
func (w *Worker) Collect(ctx context.Context, job outputs.JobFiles) (m outputs.Manifest, err error) {
	err = w.with(ctx, job, func(ctx context.Context, c *helper.Client) error {
		m, err = c.Collect(ctx)
		return err
	})
	return m, err
}

// Tail implements outputs.Worker.
func (w *Worker) Tail(ctx context.Context, job outputs.JobFiles, stream outputs.Class, limit int64, to io.Writer) error {
	return w.with(ctx, job, func(ctx context.Context, c *helper.Client) error {
		data, err := c.Tail(ctx, stream, limit)
		if err != nil {
			return err
		}
		_, err = to.Write(data)
		return err
	})
}
