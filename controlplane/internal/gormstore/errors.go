package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// PostgreSQL error codes (Appendix A of its manual).
const (
	pgUniqueViolation    = "23505"
	pgForeignKey         = "23503"
	pgSerialization      = "40001"
	pgDeadlock           = "40P01"
	pgTooManyConnections = "53300"
	pgCannotConnectNow   = "57P03"
	pgAdminShutdown      = "57P01"
	pgLockNotAvailable   = "55P03"
	pgDiskFull           = "53100"
)

// mapErr gives an error of the database the code that the caller can act on: already_exists for a violated unique index,
// not_found for a missing row, conflict for a missing parent row, busy where trying again helps, also when the disk is full.
// An *apperr.Error passes unchanged; anything else stays what it was, that is internal.
func mapErr(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*apperr.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return apperr.Wrap(apperr.NotFound, "no such thing", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrTxDone):
		return apperr.Wrap(apperr.Busy, "the call was given up before the database answered; try again", err)
	}
	if diskFull(err) {
		return full(err)
	}
	if code := dialectCode(err); code != "" {
		return apperr.Wrap(code, messages[code], err)
	}
	return err
}

var messages = map[apperr.Code]string{
	apperr.AlreadyExists: "this exists already",
	apperr.Conflict:      "something that this refers to does not exist, or is still referred to",
	apperr.Busy:          "the database is busy; try again",
}

// fullWait is when a caller may try again whose write met a full disk: soon after somebody has freed space.
const fullWait = 10 * time.Second

// full tells a caller that nothing happened, and why. The transaction was rolled back.
func full(err error) error {
	e := apperr.Wrap(apperr.Busy, "the disk of the server's database is full, and nothing of this request was stored", err).
		WithHint("its administrators have to free space; try again then, what was confirmed before is safe")
	e.RetryAfter = fullWait
	return e
}

// diskFull also finds a WAL or its index that cannot grow, or be made: SQLite calls that an I/O error, or a file that cannot be opened,
// and only errno says of which kind.
func diskFull(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == pgDiskFull
	}
	lite, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return false
	}
	noRoom := lite.SystemErrno == syscall.ENOSPC || lite.SystemErrno == syscall.EDQUOT
	return lite.Code == sqlite3.ErrFull || noRoom && (lite.Code == sqlite3.ErrIoErr || lite.Code == sqlite3.ErrCantOpen)
}

func dialectCode(err error) apperr.Code {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgresCode(pg.Code)
	}
	if lite, ok := errors.AsType[sqlite3.Error](err); ok {
		return sqliteCode(lite)
	}
	return ""
}

func postgresCode(code string) apperr.Code {
	switch code {
	case pgUniqueViolation:
		return apperr.AlreadyExists
	case pgForeignKey:
		return apperr.Conflict
	case pgSerialization, pgDeadlock, pgTooManyConnections, pgCannotConnectNow, pgAdminShutdown, pgLockNotAvailable:
		return apperr.Busy
	}
	return ""
}

func sqliteCode(err sqlite3.Error) apperr.Code {
	switch err.ExtendedCode {
	case sqlite3.ErrConstraintUnique, sqlite3.ErrConstraintPrimaryKey:
		return apperr.AlreadyExists
	case sqlite3.ErrConstraintForeignKey:
		return apperr.Conflict
	}
	if err.Code == sqlite3.ErrBusy || err.Code == sqlite3.ErrLocked {
		return apperr.Busy
	}
	return ""
}

// ignoreNotFound is for a race that somebody else won.
func ignoreNotFound(err error) error {
	if apperr.Is(err, apperr.NotFound) {
		return nil
	}
	return err
}
