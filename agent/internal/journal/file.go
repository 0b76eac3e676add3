package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

var _ outputs.Ledger = (*Journal)(nil)

const fileColumns = `class, path, state, entry, upload_id, part_size, tries, reason`

// Files lists the rows of one attempt.
func (j *Journal) Files(ctx context.Context, jobID uuid.UUID, attempt int32) ([]outputs.FileRow, error) {
	return filesIn(ctx, j.reads, outputs.FileKey{JobID: jobID, Attempt: attempt}, ``)
}

func filesIn(ctx context.Context, q querier, key outputs.FileKey, and string, args ...any) (out []outputs.FileRow, err error) {
	args = append([]any{key.JobID.String(), key.Attempt}, args...)
	rows, err := q.QueryContext(ctx, `SELECT `+fileColumns+` FROM files WHERE job_id = ? AND attempt = ?`+and+` ORDER BY class, path`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading files: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row, err := scanFile(rows, key)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

func scanFile(rows *sql.Rows, key outputs.FileKey) (outputs.FileRow, error) {
	row := outputs.FileRow{Key: key}
	var state, class, entry, upload string
	if err := rows.Scan(&class, &row.Key.Path, &state, &entry, &upload, &row.PartSize, &row.Tries, &row.Reason); err != nil {
		return row, fmt.Errorf("reading a file's row: %w", err)
	}
	row.Key.Class, row.State = outputs.Class(class), outputs.FileState(state)
	err := json.Unmarshal([]byte(entry), &row.Entry)
	if err == nil && upload != "" {
		row.UploadID, err = uuid.Parse(upload)
	}
	if err != nil {
		return row, fmt.Errorf("reading the row of %q: %w", row.Key.Path, err)
	}
	return row, nil
}

// Advance moves one file, durably; see outputs.Ledger.
func (j *Journal) Advance(ctx context.Context, key outputs.FileKey, to outputs.Step) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		found, err := filesIn(ctx, tx, key, ` AND class = ? AND path = ?`, string(key.Class), key.Path)
		if err != nil {
			return nil, err
		}
		row := outputs.FileRow{Key: key}
		if len(found) > 0 {
			row = found[0]
		}
		if err := advance(&row, to); err != nil {
			return nil, fmt.Errorf("file %q of job %s: %w", key.Path, key.JobID, err)
		}
		return []boundary{{"file", string(row.State)}}, storeFile(ctx, tx, row, j.nowMicros())
	})
}

func advance(row *outputs.FileRow, to outputs.Step) error {
	from := row.State
	next, err := step(fileEdges, from, to.To)
	if err != nil {
		return err
	}
	row.State = next
	if next == outputs.FileHashed && from != "" {
		row.UploadID, row.PartSize, row.Reason = uuid.Nil, 0, ""
		if from != next {
			row.Tries++
		}
	}
	if to.Entry != nil {
		row.Entry = *to.Entry
	}
	if to.UploadID != uuid.Nil {
		row.UploadID = to.UploadID
	}
	if to.PartSize != 0 {
		row.PartSize = to.PartSize
	}
	if to.Reason != "" {
		row.Reason = to.Reason
	}
	return nil
}

func storeFile(ctx context.Context, tx *sql.Tx, row outputs.FileRow, now int64) error {
	entry, err := json.Marshal(row.Entry)
	if err != nil {
		return fmt.Errorf("encoding a file's row: %w", err)
	}
	upload := ""
	if row.UploadID != uuid.Nil {
		upload = row.UploadID.String()
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO files (job_id, attempt, `+fileColumns+`, updated_us) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
		row.Key.JobID.String(), row.Key.Attempt, string(row.Key.Class), row.Key.Path, string(row.State), string(entry),
		upload, row.PartSize, row.Tries, row.Reason, now)
	if err != nil {
		return fmt.Errorf("storing a file's row: %w", err)
	}
	return nil
}
