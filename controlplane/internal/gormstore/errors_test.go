package gormstore_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

// isFull says that a caller learns that nothing was stored, why, and when to come again.
func isFull(err error) bool {
	e, ok := errors.AsType[*apperr.Error](err)
	return ok && e.Code == apperr.Busy && strings.Contains(e.Message, "disk") && strings.Contains(e.Message, "nothing of this request was stored") &&
		e.Hint != "" && e.RetryAfter > 0
}

func TestAFullDiskIsNamedInEveryDialect(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		full bool
	}{
		"SQLite":                       {sqlite3.Error{Code: sqlite3.ErrFull}, true},
		"SQLite's WAL cannot grow":     {sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.ENOSPC}, true},
		"SQLite can make no file":      {sqlite3.Error{Code: sqlite3.ErrCantOpen, SystemErrno: syscall.ENOSPC}, true},
		"SQLite may open no file":      {sqlite3.Error{Code: sqlite3.ErrCantOpen, SystemErrno: syscall.EACCES}, false},
		"SQLite above a quota":         {sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EDQUOT}, true},
		"PostgreSQL":                   {&pgconn.PgError{Code: "53100"}, true},
		"SQLite on a broken disk":      {sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EIO}, false},
		"SQLite waits for another":     {sqlite3.Error{Code: sqlite3.ErrBusy}, false},
		"PostgreSQL has no connection": {&pgconn.PgError{Code: "53300"}, false},
	} {
		if err := gormstore.MapErr(fmt.Errorf("storing: %w", c.err)); isFull(err) != c.full || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWriteThatFindsNoRoomIsRefusedWholeAndTheNextOneGoesOn(t *testing.T) {
	s := storetest.SQLite(t)
	s.SQL().SetMaxOpenConns(1) // the limit below is the connection's
	var pages int
	if err := s.SQL().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		if _, err := s.SQL().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 8)
	stored := 0
	var err error
	for ; err == nil && stored < 1000; stored++ {
		err = insert(t, s, &cluster{ID: fmt.Sprint(stored), Name: fmt.Sprint(stored), Facts: strings.Repeat("x", 3000)})
	}
	stored--
	if !isFull(err) {
		t.Fatalf("after %d rows: %v", stored, err)
	}
	rows := func() (n int) {
		if err := s.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM clusters").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := rows(); n != stored {
		t.Errorf("%d rows, %d were confirmed", n, stored)
	}
	limit(pages + 1000)
	if err := insert(t, s, &cluster{ID: "after", Name: "after", Facts: "{}"}); err != nil || rows() != stored+1 {
		t.Errorf("with room again: %v, %d rows", err, rows())
	}
	var verdict string
	if err := s.SQL().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("the database is %q, %v", verdict, err)
	}
}
