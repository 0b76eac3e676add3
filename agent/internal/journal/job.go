package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/workprint"
	"github.com/google/uuid"
)

// JobKey names one attempt.
type JobKey struct {
	JobID   uuid.UUID
	Attempt int32
}

// Job is one attempt of a job that carries our tag.
type Job struct {
	JobKey
	SubmissionID uuid.UUID
	// SlurmJobID is as Slurm prints it (123_4), JobIDRaw the job's own number.
	SlurmJobID, JobIDRaw string
	UID                  uint32
	User                 string
	State                JobState
	Detail               JobDetail
	// Seq is the number of the next event of this job.
	Seq int64
	// EventDue says that the control plane has not been told the present state (the outbox was full, or nobody was linked).
	EventDue bool
	// Due is when the upload path looks at the attempt again.
	Due time.Time
	// SubmitAt is Slurm's submit time of this attempt; Updated is of this node's clock.
	SubmitAt, Updated time.Time
}

// JobDetail is what nothing selects by. A nil pointer or zero time is "not known".
type JobDetail struct {
	ArrayTask  string    `json:"array_task,omitempty"`
	Name       string    `json:"name,omitempty"`
	Account    string    `json:"account,omitempty"`
	Partition  string    `json:"partition,omitempty"`
	QOS        string    `json:"qos,omitempty"`
	SlurmState string    `json:"slurm_state"`
	APIState   string    `json:"api_state"`
	Reason     string    `json:"reason,omitempty"`
	ExitCode   *int32    `json:"exit_code,omitempty"`
	ExitSignal *int32    `json:"exit_signal,omitempty"`
	StartAt    time.Time `json:"start_at,omitzero"`
	EndAt      time.Time `json:"end_at,omitzero"`
	Nodes      *int32    `json:"nodes,omitempty"`
	CPUs       *int32    `json:"cpus,omitempty"`
	NodeList   string    `json:"node_list,omitempty"`
	WorkDir    string    `json:"work_dir,omitempty"`
	Stdout     string    `json:"stdout,omitempty"`
	Stderr     string    `json:"stderr,omitempty"`
	// Script and InputBytes are those of the submission.
	Script     *workprint.Text `json:"script,omitempty"`
	InputBytes int64           `json:"input_bytes,omitempty"`
	// PathsAsked counts how often scontrol was asked for the two paths in vain.
	PathsAsked int `json:"paths_asked,omitempty"`
	// SeenAt is when Slurm last showed a trace of the attempt, at most an hour old while it does.
	SeenAt     time.Time `json:"seen_at,omitzero"`
	StaleSince time.Time `json:"stale_since,omitzero"`
	// Told says that the wrapper spoke to this agent; Foreign, that another agent of the cluster reports the job: then
	// nothing is told or uploaded from here, but for an offer now and then (OfferedAt), in case that agent is gone.
	Told      bool      `json:"told,omitempty"`
	Foreign   bool      `json:"foreign,omitempty"`
	OfferedAt time.Time `json:"offered_at,omitzero"`
	// Unsent are the entries of a manifest that met a full outbox and that the files' rows do not tell.
	Unsent []outputs.Entry `json:"unsent,omitempty"`
	// UploadPhase is the API's word for where the outputs are; Tries counts failed rounds of collecting or uploading.
	UploadPhase string `json:"upload_phase,omitempty"`
	Tries       int    `json:"tries,omitempty"`
	Message     string `json:"message,omitempty"`
}

// Change is one step of an attempt.
type Change struct {
	Key JobKey
	// To is the new state; "" keeps the present one.
	To JobState
	// Apply fills the row in; it may be called twice and must not keep the pointer.
	Apply func(*Job)
	// Event, when set, goes into the outbox in the same transaction.
	Event *EventDraft
	// MustExist refuses a row that is not there yet (ErrNotFound) instead of making it.
	MustExist bool
}

const jobColumns = `job_id, attempt, submission_id, slurm_job_id, job_id_raw, uid, user, state, detail, seq, event_due, due_us, submit_us, updated_us`

// PutJob takes one step: row and event in one transaction. It returns the row as stored.
func (j *Journal) PutJob(ctx context.Context, c Change) (Job, error) {
	var out Job
	err := j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		job, err := j.jobOrNew(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		to := c.To
		if to == "" {
			to = job.State
		}
		if job.State, err = step(jobEdges, job.State, to); err != nil {
			return nil, fmt.Errorf("job %s attempt %d: %w", c.Key.JobID, c.Key.Attempt, err)
		}
		if c.Apply != nil {
			c.Apply(&job)
		}
		job.Updated = j.opt.Now()
		crossed := []boundary{{"job", string(job.State)}}
		if c.Event != nil {
			added, err := j.addEvent(ctx, tx, &job, *c.Event)
			if err != nil {
				return nil, err
			}
			crossed = append(crossed, added...)
		}
		out = job
		return crossed, storeJob(ctx, tx, job)
	})
	return out, err
}

func (j *Journal) jobOrNew(ctx context.Context, tx *sql.Tx, c Change) (Job, error) {
	found, err := jobsIn(ctx, tx, `WHERE job_id = ? AND attempt = ?`, c.Key.JobID.String(), c.Key.Attempt)
	if err != nil {
		return Job{}, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	if c.MustExist {
		return Job{}, fmt.Errorf("job %s attempt %d: %w", c.Key.JobID, c.Key.Attempt, ErrNotFound)
	}
	return Job{JobKey: c.Key, Seq: j.seqBase}, nil
}

func storeJob(ctx context.Context, tx *sql.Tx, job Job) error {
	detail, err := json.Marshal(job.Detail)
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	submission := ""
	if job.SubmissionID != uuid.Nil {
		submission = job.SubmissionID.String()
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO jobs (`+jobColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		job.JobID.String(), job.Attempt, submission, job.SlurmJobID, job.JobIDRaw, job.UID, job.User, string(job.State),
		string(detail), job.Seq, job.EventDue, toMicros(job.Due), toMicros(job.SubmitAt), toMicros(job.Updated))
	if err != nil {
		return fmt.Errorf("storing a job: %w", err)
	}
	return nil
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func jobsIn(ctx context.Context, q querier, where string, args ...any) (out []Job, err error) {
	for job, err := range eachJob(ctx, q, where, args...) {
		if err != nil {
			return nil, err
		}
		out = append(out, job)
	}
	return out, nil
}

// eachJob goes through jobs; an error is the last that it gives.
func eachJob(ctx context.Context, q querier, where string, args ...any) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		rows, err := q.QueryContext(ctx, `SELECT `+jobColumns+` FROM jobs `+where, args...)
		if err != nil {
			yield(Job{}, fmt.Errorf("reading jobs: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			job, err := scanJob(rows)
			if !yield(job, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Job{}, fmt.Errorf("reading jobs: %w", err))
		}
	}
}

func scanJob(rows *sql.Rows) (job Job, err error) {
	var id, submission, state, detail string
	var due, submit, updated int64
	err = rows.Scan(&id, &job.Attempt, &submission, &job.SlurmJobID, &job.JobIDRaw, &job.UID, &job.User, &state,
		&detail, &job.Seq, &job.EventDue, &due, &submit, &updated)
	if err != nil {
		return job, fmt.Errorf("reading a job: %w", err)
	}
	job.State, job.Due, job.SubmitAt, job.Updated = JobState(state), fromMicros(due), fromMicros(submit), fromMicros(updated)
	if job.JobID, err = uuid.Parse(id); err == nil && submission != "" {
		job.SubmissionID, err = uuid.Parse(submission)
	}
	if err == nil {
		err = json.Unmarshal([]byte(detail), &job.Detail)
	}
	if err != nil {
		return job, fmt.Errorf("reading job %s: %w", id, err)
	}
	return job, nil
}
