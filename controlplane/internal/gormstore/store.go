package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"gorm.io/gorm"
)

// Dialect names a database, in gorm's words.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Config says where the database is. Exactly one of Path and URL is set.
type Config struct {
	Path string // SQLite: the file; it is made with mode 0600
	URL  string // PostgreSQL: postgres://…; a secret, never logged

	// Synchronous is SQLite's pragma: FULL (default: a commit survives a power cut) or NORMAL (may lose the last commits).
	Synchronous string
	MaxConns    int // connections to keep; 0 means 20 for PostgreSQL and 4 for SQLite
	Log         *slog.Logger
}

// Store is an open database. It is safe for concurrent use; Close it once.
type Store struct {
	db      *gorm.DB
	sql     *sql.DB
	dialect Dialect
	url     string
	writer  chan struct{} // SQLite has one writer: transactions queue here in order instead of polling for the lock
	log     *slog.Logger
}

// Open opens the database and pings it. It applies no migration: see Migrate and CheckMigrated.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if (cfg.Path == "") == (cfg.URL == "") {
		return nil, errors.New("opening the database: exactly one of path and URL must be set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.URL != "" {
		return openPostgres(ctx, cfg)
	}
	return openSQLite(ctx, cfg)
}

// newStore finishes opening: one gorm session over a pool that was already tuned.
func newStore(ctx context.Context, dialector gorm.Dialector, pool *sql.DB, cfg Config) (*Store, error) {
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reaching the database: %w", err), pool.Close())
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction: true,
		Logger:                 quietLogger{log: cfg.Log},
		DisableAutomaticPing:   true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening gorm: %w", err), pool.Close())
	}
	return &Store{
		db: db, sql: pool, dialect: Dialect(dialector.Name()), url: cfg.URL,
		writer: make(chan struct{}, 1), log: cfg.Log,
	}, nil
}

// Dialect says which database it is.
func (s *Store) Dialect() Dialect { return s.dialect }

// SQL is the pool below gorm: for River's SQLite driver and for tests. Never use it inside Tx.
func (s *Store) SQL() *sql.DB { return s.sql }

// PostgresURL is where River opens its own pgxpool; empty for SQLite. A secret.
func (s *Store) PostgresURL() string { return s.url }

// Ping is the health check.
func (s *Store) Ping(ctx context.Context) error { return s.sql.PingContext(ctx) }

// Close closes the pool.
func (s *Store) Close() error { return s.sql.Close() }

type joinedKey struct{}

// joined is the transaction of Atomically that the context belongs to; nil outside of one.
func joined(ctx context.Context) *gorm.DB {
	tx, _ := ctx.Value(joinedKey{}).(*gorm.DB)
	return tx
}

// Atomically runs fn in one transaction: what this store does with the context that fn gets is part of it, and all of that is
// undone when fn fails. Only that context may be used in fn: with the outer one SQLite waits for itself.
func (s *Store) Atomically(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.Tx(ctx, func(tx *gorm.DB) error {
		if s.dialect == Postgres {
			if err := tx.Exec("SET LOCAL lock_timeout = '" + lockTimeout + "'").Error; err != nil {
				return err
			}
		}
		return fn(context.WithValue(ctx, joinedKey{}, tx))
	})
}

// lockTimeout bounds how long an act waits for a row that somebody holds: the audit log of the process is held meanwhile.
const lockTimeout = "5s"

// q is the session for a single statement, outside a transaction or in the one that the context belongs to.
func (s *Store) q(ctx context.Context) *gorm.DB {
	if tx := joined(ctx); tx != nil {
		return tx.WithContext(ctx)
	}
	return s.db.WithContext(ctx)
}

// Tx runs fn in one transaction and commits when it returns nil; in Atomically it is a part of that one, undone by itself when
// it fails. Otherwise not to be nested: the inner one would wait for the outer. Keep it short: on SQLite every other transaction
// waits. The error leaves mapped (see mapErr).
func (s *Store) Tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	if tx := joined(ctx); tx != nil {
		return mapErr(tx.WithContext(ctx).Transaction(fn)) // a savepoint
	}
	if s.dialect == SQLite {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return mapErr(ctx.Err())
		}
	}
	return mapErr(s.q(ctx).Transaction(fn))
}
