package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Analyser is the work: package insight.
type Analyser interface {
	// Due lists jobs whose rows, samples, profiles or script have changed since their report.
	Due(ctx context.Context, limit int) ([]uuid.UUID, error)
	Analyse(ctx context.Context, id uuid.UUID) error
	// Recover makes due what was missed by a crash. It is called at the start and then rarely.
	Recover(ctx context.Context) error
}

type analyseArgs struct {
	JobID string `json:"job_id"`
}

// Kind names the job in River's tables.
func (analyseArgs) Kind() string { return "analyse" }

// analyseTimeout bounds one analysis; profiles of a large job take seconds.
const analyseTimeout = 5 * time.Minute

// InsertOpts makes the job unique while it waits or runs: what changes meanwhile stays due and is swept up again.
func (analyseArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
	}}}
}

type analyseWorker struct {
	river.WorkerDefaults[analyseArgs]
	work Analyser
	done func()
}

func (analyseWorker) Timeout(*river.Job[analyseArgs]) time.Duration { return analyseTimeout }

func (w analyseWorker) Work(ctx context.Context, job *river.Job[analyseArgs]) error {
	id, err := uuid.Parse(job.Args.JobID)
	if err != nil {
		return river.JobCancel(fmt.Errorf("job id: %w", err))
	}
	defer w.done()
	return w.work.Analyse(ctx, id)
}
