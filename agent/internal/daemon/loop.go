package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
)

// pollLoop asks Slurm each interval, and sooner when a submission came in. The runner's ceilings hold either way.
func (d *Daemon) pollLoop(ctx context.Context) error {
	for {
		d.beat.Store(d.opt.Now().Unix())
		if err := d.journal.Ready(); err != nil {
			d.opt.Log.Error("the journal cannot be written", "error", err)
		}
		if err := d.tracker.Cycle(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errNoServer) {
			d.opt.Log.Warn("polling Slurm", "error", err)
		}
		timer := time.NewTimer(d.opt.Config.Slurm.PollInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-d.pollNow:
			timer.Stop()
		}
	}
}

// kick makes the next cycle begin now.
func (d *Daemon) kick() {
	select {
	case d.pollNow <- struct{}{}:
	default:
	}
}

// captureLoop asks for the files of new submissions as soon as their ids are known.
func (d *Daemon) captureLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-d.capture:
			if err := d.tracker.Capture(ctx, s); err != nil && ctx.Err() == nil {
				d.opt.Log.Info("the job's files are asked for again later", "error", err)
			}
			d.kick()
		}
	}
}

// Waits between tries to send events.
const (
	drainEvery = time.Second
	drainMax   = 2 * time.Minute
)

// drainLoop sends events as they come, and backs off while the server is away.
func (d *Daemon) drainLoop(ctx context.Context) error {
	wait := drainEvery
	for sleep(ctx, wait) {
		c := d.client.Load()
		if c == nil {
			continue
		}
		err := c.Drain(ctx, d.journal)
		switch {
		case err == nil:
			wait = drainEvery
		case ctx.Err() == nil:
			d.opt.Log.Warn("events wait for the control plane", "error", err)
			wait = min(wait*2, drainMax)
		}
	}
	return nil
}

// watchdogLoop tells the service manager that the polling loop turns. A cycle may take several commands' deadlines.
func (d *Daemon) watchdogLoop(ctx context.Context) error {
	if d.opt.Watchdog <= 0 {
		return nil
	}
	limit := 20*d.opt.Config.Slurm.Timeout + d.opt.Config.Slurm.PollInterval
	for sleep(ctx, d.opt.Watchdog/3) {
		if d.opt.Now().Sub(time.Unix(d.beat.Load(), 0)) < limit {
			d.opt.Notify("WATCHDOG=1")
		}
	}
	return nil
}

// noteSubmission lets tracking look at a new job at once.
func (d *Daemon) noteSubmission(s journal.Submission) {
	select {
	case d.capture <- s:
	default: // the queue is full: the next cycle captures it
		d.kick()
	}
}

// When old jobs are forgotten: not while the agent is starting, then daily.
const (
	pruneFirst = time.Minute
	pruneEvery = 24 * time.Hour
)

// pruneLoop keeps the journal from growing for ever. A failure is tried again the next time.
func (d *Daemon) pruneLoop(ctx context.Context) error {
	first, every := pruneFirst, pruneEvery
	if d.opt.Ages.Prune > 0 {
		first, every = d.opt.Ages.Prune, d.opt.Ages.Prune
	}
	for wait := first; sleep(ctx, wait); wait = every {
		n, err := d.tracker.Prune(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			d.opt.Log.Warn("forgetting old jobs", "error", err)
		case n > 0:
			d.opt.Log.Info("old jobs were forgotten", "jobs", n)
		}
	}
	return nil
}
