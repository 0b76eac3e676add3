package daemon

import (
	"context"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
)

// Waits of jobs whose outputs may be another agent's.
const (
	foreignWait  = 5 * time.Minute
	untoldWait   = 2 * time.Second
	foreignUntil = 7 * 24 * time.Hour // then nobody is going to need us
)

// notOurs says that the outputs are left alone for now: another agent reports the job, or it was found by its tag and the
// control plane has not yet said whose it is. untold was read before the job: an answer that came in between is in the job.
func (d *Daemon) notOurs(ctx context.Context, job journal.Job, untold time.Time) (bool, error) {
	now, wait := d.opt.Now(), foreignWait
	switch {
	case job.Detail.Foreign && !job.Detail.EndAt.IsZero() && now.Sub(job.Detail.EndAt) > foreignUntil:
		return true, d.keep(ctx, job, "another agent of the cluster reports the job and brings its outputs")
	case job.Detail.Foreign:
	case job.Detail.Told, untold.IsZero():
		return false, nil
	default: // the longer the control plane has been away, the less often a waiting job is written
		wait = min(max(untoldWait, now.Sub(untold)), foreignWait)
	}
	return true, d.postpone(ctx, job, now.Add(wait))
}

// postpone leaves the time alone when the control plane has said meanwhile whose job it is: a take-over is due at once.
func (d *Daemon) postpone(ctx context.Context, job journal.Job, due time.Time) error {
	_, err := d.journal.PutJob(ctx, journal.Change{Key: job.JobKey, MustExist: true, Apply: func(j *journal.Job) {
		if j.Detail.Foreign == job.Detail.Foreign {
			j.Due = due
		}
	}})
	return err
}
