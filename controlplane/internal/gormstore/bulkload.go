package gormstore

import (
	"context"
	"errors"
	"fmt"
)

// bulkPragmas tune a connection for an import, which may be repeated when the machine goes down:
//   - the log may grow to 800 MB before it is copied into the database: the keys of jobs are random, so that each chunk touches
//     the same pages again;
//   - commits are not forced to the disk one by one, the end of the load is (see the function that BulkLoad returns);
//   - references are not looked up for each row: ingest writes a job before its rows, and removes the rows with it (dropJob).
const bulkPragmas = "PRAGMA wal_autocheckpoint = 200000; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -524288"

// bulkConns is one connection to write and one to read.
const bulkConns = 2

// BulkLoad tunes this process's connections for writing very many rows; other processes are not touched. done makes what was
// loaded safe against a power cut; where a reader of another process is in the way its own next checkpoint does. With
// PostgreSQL both do nothing.
func (s *Store) BulkLoad(ctx context.Context) (done func(context.Context) error, err error) {
	if s.dialect != SQLite {
		return func(context.Context) error { return nil }, nil
	}
	s.sql.SetMaxOpenConns(bulkConns)
	s.sql.SetMaxIdleConns(bulkConns)
	for range bulkConns { // both are held until the end of this function, so that each is another
		conn, err := s.sql.Conn(ctx)
		if err != nil {
			return nil, fmt.Errorf("preparing the database: %w", err)
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		if _, err := conn.ExecContext(ctx, bulkPragmas); err != nil {
			return nil, fmt.Errorf("preparing the database: %w", err)
		}
	}
	return s.checkpoint, nil
}

func (s *Store) checkpoint(ctx context.Context) error {
	var busy, log, done int
	if err := s.sql.QueryRowContext(ctx, "PRAGMA wal_checkpoint(FULL)").Scan(&busy, &log, &done); err != nil {
		return fmt.Errorf("forcing the import to the disk: %w", err)
	}
	return nil
}
