package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// pruneBatch is how many jobs one transaction forgets: tracking waits that long.
const pruneBatch = 500

// setKept is how long a submission without any attempt is kept: the last tasks of an array may wait that long as one row
// of squeue, which has no attempt of its own.
const setKept = 180 * 24 * time.Hour

// prunable selects jobs all of whose attempts are closed and older than ?1, of which the control plane knows everything.
const prunable = `SELECT DISTINCT job_id FROM jobs AS j
	WHERE state IN ('VERIFIED', 'KEPT', 'REQUEUED', 'LOST') AND updated_us < ?1
	AND NOT EXISTS (SELECT 1 FROM jobs AS o WHERE o.job_id = j.job_id
		AND (o.event_due = 1 OR o.updated_us >= ?1 OR o.state NOT IN ('VERIFIED', 'KEPT', 'REQUEUED', 'LOST')))
	AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.job_id = j.job_id) LIMIT ?2`

// Prune forgets what has been closed since before that time: jobs with their files, and submissions of which nothing is
// left. A job that has an event due or undelivered, or an attempt that is not closed, stays whole. It gives how many jobs
// were forgotten.
func (j *Journal) Prune(ctx context.Context, before time.Time) (jobs int, err error) {
	for {
		n, err := j.pruneJobs(ctx, before)
		if jobs += n; err != nil {
			return jobs, err
		}
		if n < pruneBatch {
			return jobs, j.pruneSubmissions(ctx, before)
		}
	}
}

func (j *Journal) pruneJobs(ctx context.Context, before time.Time) (n int, err error) {
	err = j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		ids, err := prunableIn(ctx, tx, before)
		if n = len(ids); err != nil || n == 0 {
			return nil, err
		}
		list, err := json.Marshal(ids)
		if err != nil {
			return nil, fmt.Errorf("forgetting old jobs: %w", err)
		}
		for _, table := range []string{"files", "jobs"} {
			//nolint:gosec // the table is one of the two words above
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE job_id IN (SELECT value FROM json_each(?))`, string(list)); err != nil {
				return nil, fmt.Errorf("forgetting old jobs: %w", err)
			}
		}
		return []boundary{pruneJobs}, nil
	})
	return n, err
}

func prunableIn(ctx context.Context, tx *sql.Tx, before time.Time) (ids []string, err error) {
	rows, err := tx.QueryContext(ctx, prunable, before.UnixMicro(), pruneBatch)
	if err != nil {
		return nil, fmt.Errorf("looking for old jobs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("looking for old jobs: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// pruneSubmissions forgets submissions without an attempt: refused ones with the jobs, accepted ones much later.
func (j *Journal) pruneSubmissions(ctx context.Context, before time.Time) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		result, err := tx.ExecContext(ctx, `DELETE FROM submissions
			WHERE (state IN (?,?) AND updated_us < ? OR state IN (?,?) AND updated_us < ? AND created_us < ?)
			AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.submission_id = submissions.id)`,
			string(SubmissionRejected), string(SubmissionAbsent), before.UnixMicro(),
			string(SubmissionTracked), string(SubmissionAmbiguous), before.UnixMicro(), min(before.UnixMicro(), j.opt.Now().Add(-setKept).UnixMicro()))
		if err != nil {
			return nil, fmt.Errorf("forgetting old submissions: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return nil, err
		}
		return []boundary{pruneSubmissions}, nil
	})
}
