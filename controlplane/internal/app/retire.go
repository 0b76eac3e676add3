package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
)

const (
	retireEvery   = time.Hour
	retireTimeout = time.Hour // what is left waits for the next
)

// addRetirement registers the task that makes sums of jobs that are kept no longer.
func (b *builder) addRetirement(rows *gormstore.Jobs) error {
	summed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ergon_retention_summed_jobs_total", Help: "Jobs of which only sums are left because they are kept no longer.",
	})
	if err := b.metrics.Register(summed); err != nil {
		return err
	}
	b.tasks = append(b.tasks, queue.Task{Name: "sums", Every: retireEvery, Timeout: retireTimeout, Run: func(ctx context.Context) error {
		n, err := analytics.Retire(ctx, rows, keptSince(b.deps.Now(), b.cfg.Retention.JobDays))
		summed.Add(float64(n))
		if n > 0 {
			b.deps.Log.InfoContext(ctx, "jobs that are kept no longer became sums per account", "jobs", n)
		}
		return err
	}})
	return nil
}

// keptSince is zero where jobs are kept for ever.
func keptSince(now time.Time, days int) time.Time {
	if days == 0 {
		return time.Time{}
	}
	return now.AddDate(0, 0, -days)
}
