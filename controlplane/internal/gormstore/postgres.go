package gormstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
)

const postgresConns = 20

// openPostgres: the parse error of pgx quotes the URL with its password, so it is not passed on.
func openPostgres(ctx context.Context, cfg Config) (*Store, error) {
	parsed, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, errors.New("opening PostgreSQL: the URL cannot be read; expected postgres://user:password@host:port/database?sslmode=…")
	}
	parsed.RuntimeParams["timezone"] = "UTC"
	parsed.RuntimeParams["application_name"] = "ergon-server"
	// A replica that lost its network in a transaction does not hold rows for the two hours of TCP's keepalive.
	parsed.RuntimeParams["idle_in_transaction_session_timeout"] = "5min"
	pool := stdlib.OpenDB(*parsed)
	conns := cfg.MaxConns
	if conns == 0 {
		conns = postgresConns
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return newStore(ctx, postgres.New(postgres.Config{Conn: pool}), pool, cfg)
}
