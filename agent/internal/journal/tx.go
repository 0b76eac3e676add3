package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// boundary names the crash points around a commit.
type boundary struct{ table, state string }

// write runs f in one durable transaction. When the disk is full it frees the reserve and tries once more. f may be
// called twice and must leave no trace outside the transaction. f names the boundaries that its commit crosses.
func (j *Journal) write(ctx context.Context, f func(*sql.Tx) ([]boundary, error)) error {
	err := j.writeOnce(ctx, f)
	if err != nil && j.noteFull(err) {
		err = j.writeOnce(ctx, f)
	}
	if isDiskFull(err) {
		return errors.Join(ErrDiskFull, err)
	}
	return err
}

func (j *Journal) writeOnce(ctx context.Context, f func(*sql.Tx) ([]boundary, error)) (err error) {
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning: %w", err)
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()
	crossed, err := f(tx)
	if err != nil {
		return err
	}
	j.cross(crossed, "before")
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	j.cross(crossed, "after")
	return nil
}

func (j *Journal) cross(crossed []boundary, when string) {
	for _, b := range crossed {
		j.opt.Crash.at(b.table, b.state, when)
	}
}

func (j *Journal) nowMicros() int64 { return j.opt.Now().UnixMicro() }

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
