package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"

	_ "github.com/mattn/go-sqlite3" // registers the driver "sqlite3"
	"gorm.io/driver/sqlite"
)

const sqliteConns = 4

// sqliteDSN: immediate transactions take the write lock at BEGIN, so that none fails half way when it turns from
// reader to writer; WAL lets readers go on beside the writer.
func sqliteDSN(cfg Config) string {
	sync := cfg.Synchronous
	if sync == "" {
		sync = "FULL"
	}
	q := url.Values{
		"_journal_mode": {"WAL"}, "_txlock": {"immediate"}, "_busy_timeout": {"10000"},
		"_foreign_keys": {"on"}, "_synchronous": {sync},
	}
	return "file:" + (&url.URL{Path: cfg.Path}).EscapedPath() + "?" + q.Encode()
}

func openSQLite(ctx context.Context, cfg Config) (*Store, error) {
	f, err := os.OpenFile(cfg.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("making the database file: %w", err)
	}
	pool, err := sql.Open("sqlite3", sqliteDSN(cfg))
	if err != nil {
		return nil, fmt.Errorf("opening SQLite: %w", err)
	}
	conns := cfg.MaxConns
	if conns == 0 {
		conns = sqliteConns
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return newStore(ctx, sqlite.New(sqlite.Config{Conn: pool}), pool, cfg)
}
