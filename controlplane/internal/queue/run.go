package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// sweepLimit is how many jobs one sweep hands out; the next follows at once when there are more.
const sweepLimit = 500

// Hint says that something may be due. It never blocks and may be lost.
func (q *Queue) Hint(context.Context) {
	select {
	case q.hints <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then lets running jobs finish for stopGrace.
func (q *Queue) Run(ctx context.Context) error {
	if !q.cfg.Disabled {
		if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("starting the queue: %w", err)
		}
	}
	q.sweepUntil(ctx)
	q.endTasks()
	if q.cfg.Disabled {
		return nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := q.client.Stop(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopping the queue: %w", err)
	}
	return nil
}

const stopGrace = 10 * time.Second

// gather is how long a sweep waits after a hint, so that a burst of reports makes one sweep.
const gather = 200 * time.Millisecond

func (q *Queue) sweepUntil(ctx context.Context) {
	tick, rare := time.NewTicker(q.cfg.Sweep), time.NewTicker(recoverEvery)
	defer tick.Stop()
	defer rare.Stop()
	q.recover(ctx)
	for {
		more, err := q.sweep(ctx)
		if err != nil && ctx.Err() == nil {
			q.cfg.Log.WarnContext(ctx, "looking for due work failed; trying again", "error", err)
		}
		if more {
			q.Hint(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-rare.C:
			q.recover(ctx)
		case <-q.hints:
			pause(ctx, gather)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// sweep enqueues what is due and not enqueued yet; more says that there was something new in a full batch.
func (q *Queue) sweep(ctx context.Context) (more bool, err error) {
	ids, err := q.work.Due(ctx, sweepLimit)
	q.full.Store(len(ids) == sweepLimit)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	fresh, err := q.enqueue(ctx, ids)
	if err != nil || len(ids) < sweepLimit {
		return false, err
	}
	if fresh == 0 {
		fresh, err = q.behindFailed(ctx)
	}
	return fresh > 0, err
}

// enqueue says how many of the jobs were not enqueued yet.
func (q *Queue) enqueue(ctx context.Context, ids []uuid.UUID) (fresh int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	params := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		params[i] = river.InsertManyParams{Args: analyseArgs{JobID: id.String()}}
	}
	results, err := q.client.InsertMany(ctx, params)
	if err != nil {
		return 0, fmt.Errorf("enqueueing: %w", err)
	}
	for _, r := range results {
		if !r.UniqueSkippedAsDuplicate {
			fresh++
		}
	}
	return fresh, nil
}

// failedLimit is how many failed jobs are looked behind, the most that River lists at once.
const failedLimit = 10_000

// behindFailed enqueues what is due behind jobs that failed: those stay due, foremost, and wait up to days for their next try.
func (q *Queue) behindFailed(ctx context.Context) (fresh int, err error) {
	failed, err := q.client.JobList(ctx, river.NewJobListParams().Kinds(analyseArgs{}.Kind()).States(rivertype.JobStateRetryable).First(failedLimit))
	if err != nil {
		return 0, fmt.Errorf("listing what failed: %w", err)
	}
	if len(failed.Jobs) == 0 {
		return 0, nil
	}
	waits := make(map[string]bool, len(failed.Jobs))
	for _, j := range failed.Jobs {
		var args analyseArgs
		if err := json.Unmarshal(j.EncodedArgs, &args); err != nil {
			return 0, fmt.Errorf("reading what failed: %w", err)
		}
		waits[args.JobID] = true
	}
	ids, err := q.work.Due(ctx, sweepLimit+len(waits))
	if err != nil {
		return 0, err
	}
	ids = slices.DeleteFunc(ids, func(id uuid.UUID) bool { return waits[id.String()] })
	return q.enqueue(ctx, ids[:min(len(ids), sweepLimit)])
}

// refill is after how many jobs done a backlog is looked at again.
const refill = 100

func (q *Queue) done() {
	if n := q.worked.Add(1); n%refill == 0 && q.full.Load() {
		q.Hint(context.Background())
	}
}

const recoverEvery = time.Hour

func (q *Queue) recover(ctx context.Context) {
	if err := q.work.Recover(ctx); err != nil && ctx.Err() == nil {
		q.cfg.Log.WarnContext(ctx, "looking for missed work failed; trying again in an hour", "error", err)
	}
}
