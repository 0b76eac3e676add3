package gormstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

var accountingColumns = []string{"job_id", "attempt", "step", "digest", "weight", "fields", "updated_at"}

var accountingBulk = bulk{table: "accounting_rows", columns: accountingColumns, conflict: updateAll("job_id, attempt, step", accountingColumns)}

var eventBulk = bulk{table: "job_events", columns: []string{
	"event_id", "job_id", "agent_id", "seq", "type", "state", "slurm_state", "message", "manifest", "at", "received_at",
}, conflict: "ON CONFLICT (event_id) DO NOTHING"}

var snapshotColumns = []string{"job_id", "attempt", "seq", "snapshot"}

var snapshotBulk = bulk{table: "job_snapshots", columns: snapshotColumns, conflict: updateAll("job_id, attempt", snapshotColumns)}

// writeEntries stores what changed: first the jobs, then what moves between them, then their rows.
func writeEntries(ctx context.Context, tx *gorm.DB, entries []*jobs.Entry) error {
	d := Dialect(tx.Name())
	// In the order of the keys neighbouring pages are written together.
	slices.SortFunc(entries, func(a, b *jobs.Entry) int { return bytes.Compare(a.Job.ID[:], b.Job.ID[:]) })
	rows := make([][]any, 0, len(entries))
	for _, e := range entries {
		if e.Reset {
			if err := forget(tx, e.Job.ID); err != nil {
				return err
			}
		}
		rows = append(rows, jobArgs(d, e.Job))
	}
	if err := jobsBulk.exec(ctx, tx, rows); err != nil {
		return err
	}
	for _, e := range entries {
		if err := rearrange(tx, e); err != nil {
			return err
		}
	}
	return writeChildren(ctx, tx, d, entries)
}

func forget(tx *gorm.DB, id uuid.UUID) error {
	for _, table := range []string{"accounting_rows", "attempts", "job_snapshots", "job_samples", "job_events", "reports", "job_ledgers"} {
		if err := tx.Exec("DELETE FROM "+table+" WHERE job_id = ?", id.String()).Error; err != nil {
			return fmt.Errorf("forgetting %s of a job: %w", table, err)
		}
	}
	return nil
}

// rearrange moves rows whose job or attempt number changed, and removes what is no longer there. It is rare: an earlier
// incarnation came late, or two jobs turned out to be one.
func rearrange(tx *gorm.DB, e *jobs.Entry) error {
	if err := moveRuns(tx, e); err != nil {
		return err
	}
	if e.Shrunk() {
		if err := tx.Exec("DELETE FROM attempts WHERE job_id = ? AND attempt >= ?", e.Job.ID.String(), len(e.Attempts)).Error; err != nil {
			return fmt.Errorf("removing attempts: %w", err)
		}
	}
	for _, old := range e.Drop {
		if err := dropJob(tx, old, e.Job.ID); err != nil {
			return err
		}
	}
	return nil
}

// rowsOfRuns are tables whose rows belong to an incarnation, by job_id and attempt.
var rowsOfRuns = []string{"accounting_rows", "job_samples"}

// moveRuns goes through negative numbers, so that no two rows meet under one key on the way.
func moveRuns(tx *gorm.DB, e *jobs.Entry) error {
	moved := false
	for _, r := range e.Runs {
		if r.Origin == nil || r.Origin.JobID == e.Job.ID && r.Origin.Attempt == r.Number {
			continue
		}
		moved = true
		for _, table := range rowsOfRuns {
			err := tx.Exec("UPDATE "+table+" SET job_id = ?, attempt = ? WHERE job_id = ? AND attempt = ?",
				e.Job.ID.String(), -r.Number-1, r.Origin.JobID.String(), r.Origin.Attempt).Error
			if err != nil {
				return fmt.Errorf("moving %s: %w", table, err)
			}
		}
	}
	if !moved {
		return nil
	}
	for _, table := range rowsOfRuns {
		if err := tx.Exec("UPDATE "+table+" SET attempt = -attempt - 1 WHERE job_id = ? AND attempt < 0", e.Job.ID.String()).Error; err != nil {
			return fmt.Errorf("moving %s: %w", table, err)
		}
	}
	return nil
}

func dropJob(tx *gorm.DB, old, now uuid.UUID) error {
	for _, table := range []string{"job_events", "uploads", "objects"} {
		if err := tx.Exec("UPDATE "+table+" SET job_id = ? WHERE job_id = ?", now.String(), old.String()).Error; err != nil {
			return fmt.Errorf("moving %s: %w", table, err)
		}
	}
	if err := cascade(tx, old); err != nil {
		return err
	}
	if err := tx.Exec("DELETE FROM jobs WHERE id = ?", old.String()).Error; err != nil {
		return fmt.Errorf("removing a job that became part of another: %w", err)
	}
	return nil
}

const cascading = `SELECT m.name AS name, f."from" AS column_name FROM sqlite_master m, pragma_foreign_key_list(m.name) f
	WHERE m.type = 'table' AND f."table" = 'jobs' AND f.on_delete = 'CASCADE'`

// cascade removes what goes with a job, as the database does by itself except in an import (see BulkLoad).
func cascade(tx *gorm.DB, id uuid.UUID) error {
	if Dialect(tx.Name()) != SQLite {
		return nil
	}
	var tables []struct{ Name, ColumnName string }
	if err := tx.Raw(cascading).Scan(&tables).Error; err != nil {
		return fmt.Errorf("looking for what goes with a job: %w", err)
	}
	for _, t := range tables {
		if err := tx.Exec("DELETE FROM "+t.Name+" WHERE "+t.ColumnName+" = ?", id.String()).Error; err != nil {
			return fmt.Errorf("removing %s of a job: %w", t.Name, err)
		}
	}
	return nil
}

func writeChildren(ctx context.Context, tx *gorm.DB, d Dialect, entries []*jobs.Entry) error {
	var attempts, rows, snapshots, events [][]any
	for _, e := range entries {
		id := e.Job.ID.String()
		for _, a := range e.Attempts {
			attempts = append(attempts, attemptArgs(d, id, a))
		}
		for _, r := range e.Runs {
			for _, n := range r.News {
				rows = append(rows, []any{id, r.Number, n.Step, n.Digest, n.Weight, string(n.Fields), bind(d, &e.Job.UpdatedAt)})
			}
		}
		for n, s := range e.NewSnapshots() {
			text, err := json.Marshal(s)
			if err != nil {
				return fmt.Errorf("writing a snapshot: %w", err)
			}
			snapshots = append(snapshots, []any{id, n, s.Seq, string(text)})
		}
		for _, v := range e.Events {
			events = append(events, eventArgs(d, id, v))
		}
	}
	for _, w := range []struct {
		to   bulk
		rows [][]any
	}{{attemptBulk, attempts}, {accountingBulk, rows}, {snapshotBulk, snapshots}, {eventBulk, events}} {
		if err := w.to.exec(ctx, tx, w.rows); err != nil {
			return err
		}
	}
	return nil
}

func eventArgs(d Dialect, job string, v jobs.Event) []any {
	manifest := string(v.Manifest)
	if manifest == "" {
		manifest = "[]"
	}
	return []any{v.ID.String(), job, v.AgentID, v.Seq, v.Type, string(v.State), v.SlurmState, v.Message, manifest, bind(d, &v.At), bind(d, &v.ReceivedAt)}
}
