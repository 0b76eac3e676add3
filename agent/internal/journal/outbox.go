package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

// EventDraft is what a step wants to tell; PutJob numbers and stores it.
type EventDraft struct {
	// Type is one of the API's AgentEventType.
	Type    string
	Message string
	// Manifest is split into events of at most manifestChunk entries.
	Manifest []outputs.Entry
	// Offer tells of a foreign job all the same; the control plane takes it when the job's other agent is gone.
	Offer bool
}

// Event is an undelivered event with the attempt as it was.
type Event struct {
	// Row orders the outbox.
	Row      int64           `json:"-"`
	ID       uuid.UUID       `json:"id"`
	Seq      int64           `json:"seq"`
	Type     string          `json:"type"`
	At       time.Time       `json:"at"`
	Message  string          `json:"message,omitempty"`
	Job      Job             `json:"job"`
	Manifest []outputs.Entry `json:"manifest,omitempty"`
}

// manifestChunk is the largest manifest that one event of the API may carry.
const manifestChunk = 1000

// addEvent appends the draft to the outbox, or, when the outbox is full, notes that the job's state is due.
func (j *Journal) addEvent(ctx context.Context, tx *sql.Tx, job *Job, draft EventDraft) ([]boundary, error) {
	if job.Detail.Foreign && !draft.Offer {
		job.EventDue = false
		return nil, nil
	}
	held, err := outboxBytes(ctx, tx)
	if err != nil {
		return nil, err
	}
	if held >= j.opt.MaxOutboxBytes {
		job.EventDue = true
		job.Detail.Unsent = withoutRow(draft.Manifest)
		return nil, nil
	}
	job.EventDue, job.Detail.Unsent = false, nil
	if job.Seq, err = j.nextSeq(ctx, tx, *job); err != nil {
		return nil, err
	}
	rest := draft.Manifest
	for {
		now := rest[:min(len(rest), manifestChunk)]
		rest = rest[len(now):]
		event := Event{Seq: job.Seq, Type: draft.Type, At: j.opt.Now().UTC(), Message: draft.Message, Manifest: now}
		job.Seq++
		event.Job = *job
		if err := insertEvent(ctx, tx, event); err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			return []boundary{outboxAdd}, nil
		}
	}
}

// maxUnsent bounds what is kept of a manifest beside the files' rows.
const maxUnsent = 10_000

// withoutRow are the entries of a manifest that the files' rows do not tell: what was skipped, or was not there.
func withoutRow(manifest []outputs.Entry) (out []outputs.Entry) {
	for _, e := range manifest {
		if (e.Status == outputs.StatusSkipped || e.Status == outputs.StatusMissing) && len(out) < maxUnsent {
			out = append(out, e)
		}
	}
	return out
}

// nextSeq numbers events across the attempts of a job: an earlier attempt may still have something to tell.
func (j *Journal) nextSeq(ctx context.Context, tx *sql.Tx, job Job) (int64, error) {
	var seq sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT MAX(seq) FROM jobs WHERE job_id = ?`, job.JobID.String()).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("numbering events: %w", err)
	}
	return max(seq.Int64, job.Seq, j.seqBase), nil
}

func insertEvent(ctx context.Context, tx *sql.Tx, e Event) (err error) {
	if e.ID, err = uuid.NewV7(); err != nil {
		return fmt.Errorf("making an event id: %w", err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO outbox (event_id, job_id, body, created_us) VALUES (?,?,?,?)`,
		e.ID.String(), e.Job.JobID.String(), body, e.At.UnixMicro())
	if err != nil {
		return fmt.Errorf("storing an event: %w", err)
	}
	return growOutbox(ctx, tx, int64(len(body)))
}

// metaOutboxBytes keeps the sum of the bodies, so that the bound costs no scan.
const metaOutboxBytes = "outbox_bytes"

func outboxBytes(ctx context.Context, tx *sql.Tx) (int64, error) {
	var held int64
	err := tx.QueryRowContext(ctx, `SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?`, metaOutboxBytes).Scan(&held)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("measuring the outbox: %w", err)
	}
	return held, nil
}

func growOutbox(ctx context.Context, tx *sql.Tx, by int64) error {
	held, err := outboxBytes(ctx, tx)
	if err != nil {
		return err
	}
	return setMeta(ctx, tx, metaOutboxBytes, strconv.FormatInt(held+by, 10))
}

// Pending gives the oldest undelivered events, at most limit, in the order in which they happened. Refused ones are left out.
func (j *Journal) Pending(ctx context.Context, limit int) (out []Event, err error) {
	rows, err := j.reads.QueryContext(ctx, `SELECT id, body FROM outbox WHERE refused_us = 0 ORDER BY id LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e Event
		var body []byte
		if err := rows.Scan(&e.Row, &body); err != nil {
			return nil, fmt.Errorf("reading the outbox: %w", err)
		}
		row := e.Row
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("reading event %d: %w", row, err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Delivered removes events that the control plane has answered for.
func (j *Journal) Delivered(ctx context.Context, events []Event) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		return []boundary{outboxDelivered}, takeOff(ctx, tx, events)
	})
}

func takeOff(ctx context.Context, tx *sql.Tx, events []Event) error {
	var freed int64
	for _, e := range events {
		var size int64
		err := tx.QueryRowContext(ctx, `DELETE FROM outbox WHERE id = ? RETURNING LENGTH(body)`, e.Row).Scan(&size)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("removing a delivered event: %w", err)
		}
		freed += size
	}
	return growOutbox(ctx, tx, -freed)
}

// Refused sets an event aside that the control plane cannot read, so that it holds up no other. It stays in the file and
// is offered once more when the agent starts anew: either side may have been mended by then.
func (j *Journal) Refused(ctx context.Context, e Event) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		var size int64
		err := tx.QueryRowContext(ctx, `UPDATE outbox SET refused_us = ? WHERE id = ? AND refused_us = 0 RETURNING LENGTH(body)`, j.nowMicros(), e.Row).Scan(&size)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("setting a refused event aside: %w", err)
		}
		return []boundary{outboxRefused}, growOutbox(ctx, tx, -size) // it does not keep others from waiting
	})
}

// offerAgain takes up refused events, forgets those that have been refused for refusedKept, and measures the outbox.
func (j *Journal) offerAgain(ctx context.Context) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		var held int64
		before := j.opt.Now().Add(-refusedKept).UnixMicro()
		_, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE refused_us > 0 AND created_us < ?`, before)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE outbox SET refused_us = 0 WHERE refused_us > 0`)
		}
		if err == nil {
			err = tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(LENGTH(body)), 0) FROM outbox`).Scan(&held)
		}
		if err != nil {
			return nil, fmt.Errorf("offering refused events again: %w", err)
		}
		return []boundary{outboxOffered}, setMeta(ctx, tx, metaOutboxBytes, strconv.FormatInt(held, 10))
	})
}

// refusedKept is how long a refused event is offered again at each start.
const refusedKept = 30 * 24 * time.Hour

// OutboxSize tells how many events wait, and since when the oldest does.
func (j *Journal) OutboxSize(ctx context.Context) (events int64, oldest time.Time, err error) {
	var first sql.NullInt64
	err = j.reads.QueryRowContext(ctx, `SELECT COUNT(*), MIN(created_us) FROM outbox WHERE refused_us = 0`).Scan(&events, &first)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("measuring the outbox: %w", err)
	}
	return events, fromMicros(first.Int64), nil
}
