package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/google/uuid"
)

// Job gives one attempt, or ErrNotFound.
func (j *Journal) Job(ctx context.Context, key JobKey) (Job, error) {
	found, err := jobsIn(ctx, j.reads, `WHERE job_id = ? AND attempt = ?`, key.JobID.String(), key.Attempt)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Job{}, err
	}
	return found[0], nil
}

// Attempts lists the attempts of a job, first one first.
func (j *Journal) Attempts(ctx context.Context, jobID uuid.UUID) ([]Job, error) {
	return jobsIn(ctx, j.reads, `WHERE job_id = ? ORDER BY attempt`, jobID.String())
}

// ActiveJobs goes through the attempts that polling must look for, one at a time: there may be a hundred thousand. It ends
// after an error. The journal must not be asked meanwhile, since a reader is held.
func (j *Journal) ActiveJobs(ctx context.Context) iter.Seq2[Job, error] {
	return eachJob(ctx, j.reads, `WHERE state IN (?,?,?,?)`, string(JobPending), string(JobRunning), string(JobSuspended), string(JobSettling))
}

// LatestAttempts gives the last attempt of each of these jobs that is known.
func (j *Journal) LatestAttempts(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Job, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("encoding ids of jobs: %w", err)
	}
	latest := make(map[uuid.UUID]Job, len(ids))
	for job, err := range eachJob(ctx, j.reads, `WHERE job_id IN (SELECT value FROM json_each(?)) ORDER BY attempt`, string(list)) {
		if err != nil {
			return nil, err
		}
		latest[job.JobID] = job
	}
	return latest, nil
}

// AwaitedUsers lists the users of whom polling awaits something: a job that is not over, or a submission whose fate is open.
func (j *Journal) AwaitedUsers(ctx context.Context) ([]uint32, error) {
	return j.uids(ctx, "whose jobs are awaited", `SELECT uid FROM jobs WHERE state IN (?,?,?,?) UNION SELECT uid FROM submissions WHERE state IN (?,?,?,?)
		AND (state <> 'TRACKED' OR NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.submission_id = submissions.id)) ORDER BY 1`,
		string(JobPending), string(JobRunning), string(JobSuspended), string(JobSettling),
		string(SubmissionIntent), string(SubmissionSubmitting), string(SubmissionUnknown), string(SubmissionTracked))
}

// DueUploads lists the attempts whose outputs are to be looked at now: every user's first comes before anybody's second,
// and among those the one that waits longest is first.
func (j *Journal) DueUploads(ctx context.Context, limit int) ([]Job, error) {
	return jobsIn(ctx, j.reads, `JOIN (
			SELECT rowid AS id, ROW_NUMBER() OVER (PARTITION BY uid ORDER BY due_us, submit_us, rowid) AS turn
			FROM jobs WHERE state IN (?,?,?,?,?) AND due_us <= ?
		) AS line ON line.id = jobs.rowid ORDER BY turn, due_us, submit_us LIMIT ?`,
		string(JobEnded), string(JobCollecting), string(JobNeedsLogin), string(JobUploading), string(JobUploadBlocked),
		j.nowMicros(), limit)
}

// JobsOf lists the newest attempts of a user, newest first.
func (j *Journal) JobsOf(ctx context.Context, uid uint32, limit int) ([]Job, error) {
	return jobsIn(ctx, j.reads, `WHERE uid = ? ORDER BY submit_us DESC, attempt DESC LIMIT ?`, uid, limit)
}

// JobsOfSubmission lists the attempts of one sbatch.
func (j *Journal) JobsOfSubmission(ctx context.Context, submission uuid.UUID) ([]Job, error) {
	return jobsIn(ctx, j.reads, `WHERE submission_id = ?`, submission.String())
}

// KeptJobs lists the attempts of a user whose outputs were left alone, so that a link can bring them back.
func (j *Journal) KeptJobs(ctx context.Context, uid uint32) ([]Job, error) {
	return jobsIn(ctx, j.reads, `WHERE uid = ? AND state = ?`, uid, string(JobKept))
}

// EventsDue lists attempts whose present state the control plane has not been told, of the users that tell takes: those
// of users who may never link must not stand before the others.
func (j *Journal) EventsDue(ctx context.Context, tell func(uid uint32) bool, limit int) ([]Job, error) {
	uids, err := j.uids(ctx, "what is to be told", `SELECT DISTINCT uid FROM jobs WHERE event_due = 1`)
	if err != nil {
		return nil, err
	}
	uids = slices.DeleteFunc(uids, func(uid uint32) bool { return !tell(uid) })
	if len(uids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(uids)
	if err != nil {
		return nil, fmt.Errorf("reading what is to be told: %w", err)
	}
	return jobsIn(ctx, j.reads, `WHERE event_due = 1 AND uid IN (SELECT value FROM json_each(?)) ORDER BY updated_us LIMIT ?`, string(list), limit)
}

// uids reads a column of users; what is asked stands in errors.
func (j *Journal) uids(ctx context.Context, what, query string, args ...any) (out []uint32, err error) {
	rows, err := j.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var uid uint32
		if err := rows.Scan(&uid); err != nil {
			return nil, fmt.Errorf("reading %s: %w", what, err)
		}
		out = append(out, uid)
	}
	return out, rows.Err()
}

// Counts says how many attempts are in each state.
func (j *Journal) Counts(ctx context.Context) (map[JobState]int64, error) {
	rows, err := j.reads.QueryContext(ctx, `SELECT state, COUNT(*) FROM jobs GROUP BY state`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[JobState]int64{}
	for rows.Next() {
		var state string
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		counts[JobState(state)] = n
	}
	return counts, rows.Err()
}
