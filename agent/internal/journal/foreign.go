package journal

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Held notes of which jobs the control plane said that another agent reports them, and takes their events off the outbox.
func (j *Journal) Held(ctx context.Context, events []Event) error {
	return j.setForeign(ctx, events, true)
}

// Taken notes that the control plane has taken an offer: the jobs are this agent's from now on, and their outputs are due.
func (j *Journal) Taken(ctx context.Context, events []Event) error {
	return j.setForeign(ctx, events, false)
}

// setForeign is one transaction: between an event that is off the outbox and a job that is not yet marked, the job would
// look like one that the control plane has given to this agent.
func (j *Journal) setForeign(ctx context.Context, events []Event, foreign bool) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		if err := takeOff(ctx, tx, events); err != nil {
			return nil, err
		}
		for _, id := range jobsOf(events) {
			if err := j.markForeign(ctx, tx, id, foreign); err != nil {
				return nil, err
			}
		}
		return []boundary{outboxDelivered}, nil
	})
}

func (j *Journal) markForeign(ctx context.Context, tx *sql.Tx, jobID uuid.UUID, foreign bool) error {
	attempts, err := jobsIn(ctx, tx, `WHERE job_id = ?`, jobID.String())
	if err != nil {
		return err
	}
	for _, job := range attempts {
		if job.Detail.Foreign == foreign {
			continue
		}
		if job.Detail.Foreign = foreign; !foreign {
			job.Due = j.opt.Now()
		}
		if err := storeJob(ctx, tx, job); err != nil {
			return err
		}
	}
	return nil
}

func jobsOf(events []Event) (ids []uuid.UUID) {
	seen := map[uuid.UUID]bool{}
	for _, e := range events {
		if !seen[e.Job.JobID] {
			seen[e.Job.JobID] = true
			ids = append(ids, e.Job.JobID)
		}
	}
	return ids
}

// openForeign names the states that are not closed, one by one: so the index finds them, and what is closed, most of the
// table, is not read.
const openForeign = `WHERE state IN ('PENDING', 'RUNNING', 'SUSPENDED', 'SETTLING', 'ENDED', 'COLLECTING', 'NEEDS_LOGIN', 'UPLOADING', 'UPLOAD_BLOCKED')
	AND json_extract(detail, '$.foreign') = 1 ORDER BY updated_us LIMIT ?`

// ForeignJobs lists attempts that another agent reports, that are not closed, and that were offered last before that time.
func (j *Journal) ForeignJobs(ctx context.Context, offeredBefore time.Time, limit int) ([]Job, error) {
	found, err := jobsIn(ctx, j.reads, openForeign, limit)
	if err != nil {
		return nil, err
	}
	due := found[:0]
	for _, job := range found {
		if job.Detail.OfferedAt.Before(offeredBefore) {
			due = append(due, job)
		}
	}
	return due, nil
}

// Untold tells since when the oldest event of the job has waited for the control plane's answer; zero: none waits.
func (j *Journal) Untold(ctx context.Context, jobID uuid.UUID) (time.Time, error) {
	var first sql.NullInt64
	err := j.reads.QueryRowContext(ctx, `SELECT MIN(created_us) FROM outbox WHERE job_id = ? AND refused_us = 0`, jobID.String()).Scan(&first)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the outbox: %w", err)
	}
	return fromMicros(first.Int64), nil
}
