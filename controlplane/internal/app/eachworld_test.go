package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

// eachWorld runs a test on a server with SQLite and on one with PostgreSQL.
func eachWorld(t *testing.T, fn func(t *testing.T, w *world), environ ...string) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, newWorld(t, environ...)) })
	t.Run("postgres", func(t *testing.T) { fn(t, newWorld(t, append(onPostgres(t, storetest.PostgresURL(t)), environ...)...)) })
}

// onPostgres are the settings of a replica on that database.
func onPostgres(t *testing.T, url string) []string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"ERGON_DATABASE_URL=" + url, "ERGON_AUTH_SECRET_FILE=" + secret}
}
