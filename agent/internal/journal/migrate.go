package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrNewer says that a newer agent wrote the journal.
var ErrNewer = errors.New("this journal was written by a newer ergon-agent; install that version again (nothing was changed)")

// migrations are applied in order; the file's user_version counts how many have been. A released one never changes.
var migrations = []string{`
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE submissions (
	id         TEXT PRIMARY KEY,
	uid        INTEGER NOT NULL,
	user       TEXT NOT NULL,
	state      TEXT NOT NULL,
	base_id    TEXT NOT NULL DEFAULT '',
	detail     TEXT NOT NULL,
	created_us INTEGER NOT NULL,
	updated_us INTEGER NOT NULL
) STRICT;
CREATE INDEX submissions_state ON submissions (state);
CREATE INDEX submissions_base ON submissions (base_id);
CREATE TABLE jobs (
	job_id        TEXT NOT NULL,
	attempt       INTEGER NOT NULL,
	submission_id TEXT NOT NULL DEFAULT '',
	slurm_job_id  TEXT NOT NULL,
	job_id_raw    TEXT NOT NULL,
	uid           INTEGER NOT NULL,
	user          TEXT NOT NULL,
	state         TEXT NOT NULL,
	detail        TEXT NOT NULL,
	seq           INTEGER NOT NULL,
	event_due     INTEGER NOT NULL DEFAULT 0,
	due_us        INTEGER NOT NULL DEFAULT 0,
	submit_us     INTEGER NOT NULL,
	updated_us    INTEGER NOT NULL,
	PRIMARY KEY (job_id, attempt)
) STRICT;
CREATE INDEX jobs_state ON jobs (state, due_us);
CREATE INDEX jobs_uid ON jobs (uid, submit_us);
CREATE INDEX jobs_submission ON jobs (submission_id);
CREATE TABLE files (
	job_id     TEXT NOT NULL,
	attempt    INTEGER NOT NULL,
	class      TEXT NOT NULL,
	path       TEXT NOT NULL,
	state      TEXT NOT NULL,
	entry      TEXT NOT NULL,
	upload_id  TEXT NOT NULL DEFAULT '',
	part_size  INTEGER NOT NULL DEFAULT 0,
	tries      INTEGER NOT NULL DEFAULT 0,
	reason     TEXT NOT NULL DEFAULT '',
	updated_us INTEGER NOT NULL,
	PRIMARY KEY (job_id, attempt, class, path)
) STRICT;
CREATE TABLE outbox (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	event_id   TEXT NOT NULL UNIQUE,
	job_id     TEXT NOT NULL,
	body       BLOB NOT NULL,
	created_us INTEGER NOT NULL
) STRICT;
`, `
ALTER TABLE outbox ADD COLUMN refused_us INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_open ON outbox (id, created_us) WHERE refused_us = 0;
CREATE INDEX jobs_event_due ON jobs (uid, updated_us) WHERE event_due = 1;
CREATE INDEX jobs_upload_due ON jobs (state, due_us, uid, submit_us);
`, `
CREATE INDEX outbox_job ON outbox (job_id);
`}

// migrate brings the file to this version, or refuses one from the future.
func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return fmt.Errorf("reading the journal's version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("%w (version %d, this one knows %d)", ErrNewer, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if err := migrateOne(ctx, db, version); err != nil {
			return fmt.Errorf("bringing the journal to version %d: %w", version+1, err)
		}
	}
	return nil
}

func migrateOne(ctx context.Context, db *sql.DB, index int) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()
	if _, err := tx.ExecContext(ctx, migrations[index]); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, index+1)); err != nil {
		return err
	}
	return tx.Commit()
}

// rollback ends a transaction that was not committed.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}
