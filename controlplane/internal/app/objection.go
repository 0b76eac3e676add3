package app

import (
	"context"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
)

// addObjections registers the task that goes on where a command that recorded an objection was killed, or a call ran out of time.
func (b *builder) addObjections(rows *gormstore.Jobs) {
	b.tasks = append(b.tasks, queue.Task{Name: "objections", Every: 10 * time.Minute, Timeout: time.Hour, Run: func(ctx context.Context) error {
		n, err := jobs.Hide(ctx, rows, b.deps.Now())
		if n > 0 {
			b.deps.Log.InfoContext(ctx, "people who objected were taken out of jobs", "jobs", n)
		}
		return err
	}})
}
