package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/workprint"
	"github.com/google/uuid"
)

// Submission is one call of sbatch.
type Submission struct {
	ID    uuid.UUID
	UID   uint32
	User  string
	State SubmissionState
	// BaseID is Slurm's id without suffix, "" until it is known.
	BaseID string
	Detail SubmissionDetail
	// Created and Updated are times of this node's clock.
	Created, Updated time.Time
}

// SubmissionDetail is what nothing selects by.
type SubmissionDetail struct {
	GID  uint32       `json:"gid"`
	Dirs outputs.Dirs `json:"dirs"`
	// Globs are the declared outputs.
	Globs []string `json:"globs,omitempty"`
	// Script and InputBytes are what the wrapper said of the script and of the inputs, nil and 0 where it did not.
	Script     *workprint.Text `json:"script,omitempty"`
	InputBytes int64           `json:"input_bytes,omitempty"`
	// ExitCode is sbatch's own; nil until it is known. Signal is the signal that ended sbatch, 0 for none.
	ExitCode *int `json:"exit_code,omitempty"`
	Signal   int  `json:"signal,omitempty"`
	// Others are the base ids that share the tag with BaseID, when there are several.
	Others []string `json:"others,omitempty"`
	// Adopted says that the tag was found in Slurm before the wrapper told us.
	Adopted bool `json:"adopted,omitempty"`
}

const submissionColumns = `id, uid, user, state, base_id, detail, created_us, updated_us`

// PutSubmission moves a submission to state and lets change fill in the rest. A new one begins at "". It returns the
// row as stored. ErrEdge leaves everything as it was.
func (j *Journal) PutSubmission(ctx context.Context, id uuid.UUID, to SubmissionState, change func(*Submission)) (Submission, error) {
	return j.putSubmission(ctx, id, []SubmissionState{to}, change)
}

// BeginSubmission writes INTENT and SUBMITTING in one commit: sbatch may run as soon as it returns. Nothing happens between
// the two in a submission by the wrapper, so a second fsync would protect nothing.
func (j *Journal) BeginSubmission(ctx context.Context, id uuid.UUID, change func(*Submission)) (Submission, error) {
	return j.putSubmission(ctx, id, []SubmissionState{SubmissionIntent, SubmissionSubmitting}, change)
}

// putSubmission takes the steps one after the other in one transaction; "" stays where it is.
func (j *Journal) putSubmission(ctx context.Context, id uuid.UUID, steps []SubmissionState, change func(*Submission)) (Submission, error) {
	var out Submission
	err := j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		s, err := submissionIn(ctx, tx, id)
		if errors.Is(err, ErrNotFound) {
			s, err = Submission{ID: id, Created: j.opt.Now()}, nil
		}
		if err != nil {
			return nil, err
		}
		var crossed []boundary
		for _, to := range steps {
			if to == "" {
				to = s.State
			}
			if s.State, err = step(submissionEdges, s.State, to); err != nil {
				return nil, fmt.Errorf("submission %s: %w", id, err)
			}
			crossed = append(crossed, boundary{"submission", string(s.State)})
		}
		if change != nil {
			change(&s)
		}
		s.Updated = j.opt.Now()
		out = s
		return crossed, storeSubmission(ctx, tx, s)
	})
	return out, err
}

func storeSubmission(ctx context.Context, tx *sql.Tx, s Submission) error {
	detail, err := json.Marshal(s.Detail)
	if err != nil {
		return fmt.Errorf("encoding a submission: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO submissions (`+submissionColumns+`) VALUES (?,?,?,?,?,?,?,?)`,
		s.ID.String(), s.UID, s.User, string(s.State), s.BaseID, string(detail), s.Created.UnixMicro(), s.Updated.UnixMicro())
	if err != nil {
		return fmt.Errorf("storing a submission: %w", err)
	}
	return nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func submissionIn(ctx context.Context, q querier, id uuid.UUID) (Submission, error) {
	found, err := submissionsIn(ctx, q, `WHERE id = ?`, id.String())
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Submission{}, err
	}
	return found[0], nil
}

func submissionsIn(ctx context.Context, q querier, where string, args ...any) (out []Submission, err error) {
	rows, err := q.QueryContext(ctx, `SELECT `+submissionColumns+` FROM submissions `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("reading submissions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		s, err := scanSubmission(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func scanSubmission(rows *sql.Rows) (s Submission, err error) {
	var id, state, detail string
	var created, updated int64
	if err := rows.Scan(&id, &s.UID, &s.User, &state, &s.BaseID, &detail, &created, &updated); err != nil {
		return s, fmt.Errorf("reading a submission: %w", err)
	}
	s.State, s.Created, s.Updated = SubmissionState(state), fromMicros(created), fromMicros(updated)
	if s.ID, err = uuid.Parse(id); err != nil {
		return s, fmt.Errorf("reading a submission: %w", err)
	}
	if err := json.Unmarshal([]byte(detail), &s.Detail); err != nil {
		return s, fmt.Errorf("reading submission %s: %w", id, err)
	}
	return s, nil
}

// Submission gives one submission, or ErrNotFound.
func (j *Journal) Submission(ctx context.Context, id uuid.UUID) (Submission, error) {
	return submissionIn(ctx, j.reads, id)
}

// OpenSubmissions lists those of which it is not known what became of them, oldest first.
func (j *Journal) OpenSubmissions(ctx context.Context) ([]Submission, error) {
	return submissionsIn(ctx, j.reads, `WHERE state IN (?,?,?) ORDER BY created_us`,
		string(SubmissionIntent), string(SubmissionSubmitting), string(SubmissionUnknown))
}

// Adopted lists submissions made at or after since that were found by their tag and that no wrapper has told of, newest first.
func (j *Journal) Adopted(ctx context.Context, since time.Time) ([]Submission, error) {
	return submissionsIn(ctx, j.reads, `WHERE state IN (?,?) AND created_us >= ? AND json_extract(detail, '$.adopted') = 1 ORDER BY created_us DESC`,
		string(SubmissionTracked), string(SubmissionAmbiguous), since.UnixMicro())
}

// Base is what is needed to recognize a job whose tag was removed.
type Base struct {
	ID      uuid.UUID
	UID     uint32
	Created time.Time
}

// Bases maps those of Slurm's base ids that submissions made at or after since got to the newest of these.
func (j *Journal) Bases(ctx context.Context, ids []string, since time.Time) (out map[string]Base, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("encoding ids of jobs: %w", err)
	}
	rows, err := j.reads.QueryContext(ctx, `SELECT base_id, id, uid, created_us FROM submissions
		WHERE base_id IN (SELECT value FROM json_each(?)) AND created_us >= ? ORDER BY created_us`, string(list), since.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("reading submissions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out = map[string]Base{}
	for rows.Next() {
		var base, id string
		var b Base
		var created int64
		if err := rows.Scan(&base, &id, &b.UID, &created); err != nil {
			return nil, fmt.Errorf("reading submissions: %w", err)
		}
		if b.ID, err = uuid.Parse(id); err != nil {
			return nil, fmt.Errorf("reading submissions: %w", err)
		}
		b.Created = fromMicros(created)
		out[base] = b
	}
	return out, rows.Err()
}
