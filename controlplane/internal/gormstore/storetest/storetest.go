// Package storetest gives each test a fresh, migrated database, on real SQLite and on real PostgreSQL.
//
//	storetest.Each(t, func(t *testing.T, s *gormstore.Store) { … })
//
// PostgreSQL comes from ERGON_TEST_POSTGRES_URL (a role that may create databases), or from a private server that is
// started once a test process from Debian's binaries and goes away with it. ERGON_TEST_SKIP_POSTGRES=1 skips, and says so.
package storetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
)

// Each runs fn as a sub-test on both databases.
func Each(t *testing.T, fn func(t *testing.T, s *gormstore.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// SQLite opens a migrated database in a directory of its own.
func SQLite(t testing.TB) *gormstore.Store {
	t.Helper()
	return open(t, gormstore.Config{Path: filepath.Join(t.TempDir(), "ergon.db"), Synchronous: "NORMAL"})
}

// Postgres opens a migrated database of its own and drops it afterwards.
func Postgres(t testing.TB) *gormstore.Store {
	t.Helper()
	return open(t, gormstore.Config{URL: PostgresURL(t)})
}

// PostgresURL makes an empty database and drops it when the test ends.
func PostgresURL(t testing.TB) string {
	t.Helper()
	if os.Getenv("ERGON_TEST_SKIP_POSTGRES") == "1" {
		t.Skip("ERGON_TEST_SKIP_POSTGRES=1: not tested on PostgreSQL")
	}
	return freshDatabase(t, serverURL(t))
}

func open(t testing.TB, cfg gormstore.Config) *gormstore.Store {
	t.Helper()
	ctx := context.Background()
	s, err := gormstore.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// Personal are the names of columns that hold an account, a job or a unix user.
var Personal = []string{"user_id", "owner_user_id", "created_by", "job_id", "viewer_id", "actor_id", "subject", "caller", "unix_name", "person"}
