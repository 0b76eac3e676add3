package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/migrations"
)

// private is the server of this test process. A sync.Once suits: tests of one process share it, and nobody can hand it in.
var private struct {
	once  sync.Once
	url   string
	err   error
	alive io.Closer // held until the process ends: the server goes when this pipe closes
}

func serverURL(t testing.TB) string {
	t.Helper()
	if u := os.Getenv("ERGON_TEST_POSTGRES_URL"); u != "" {
		return u
	}
	private.once.Do(func() { private.url, private.err = startServer() })
	if private.err != nil {
		t.Fatalf("no PostgreSQL for the test: %v\nSet ERGON_TEST_POSTGRES_URL, or apt-get install postgresql-15, or skip with ERGON_TEST_SKIP_POSTGRES=1", private.err)
	}
	return private.url
}

// startTimeout only ends a wait that would be for ever: on a loaded machine a migration takes its time.
const startTimeout = 5 * time.Minute

// script starts the server and ends it when its standard input closes, which happens at the latest when the test process dies.
const script = `
set -eu
bin=$1 dir=$2
as() { if [ "$(id -u)" = 0 ]; then exec setpriv --reuid postgres --regid postgres --init-groups "$@"; else exec "$@"; fi; }
[ "$(id -u)" != 0 ] || chown postgres: "$dir"
cd "$dir"
(as "$bin/initdb" -D "$dir/data" -U ergon -E UTF8 --locale=C.UTF-8 --no-sync -A trust) >"$dir/initdb.log" 2>&1   # stays to be read when it fails
trap 'rm -rf "$dir"' EXIT
as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
   -c synchronous_commit=off -c max_connections=200 -c shared_buffers=32MB >"$dir/log" 2>&1 </dev/null &
pg=$!
cat >/dev/null
kill -INT $pg   # fast shutdown; as is exec, so that this is the server itself
wait $pg || true
`

func startServer() (string, error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("/tmp", "ergon-pg-")
	if err != nil {
		return "", fmt.Errorf("making its directory: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("opening its directory: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", script, "sh", bin, dir)
	alive, err := cmd.StdinPipe()
	if err != nil {
		return "", fmt.Errorf("starting it: %w", err)
	}
	private.alive = alive
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting it: %w", err)
	}
	u := "postgres://ergon@/postgres?host=" + url.QueryEscape(dir)
	return u, waitReady(u)
}

func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("no /usr/lib/postgresql/*/bin/initdb on this machine")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func waitReady(u string) error {
	db, err := sql.Open("pgx", u)
	if err != nil {
		return fmt.Errorf("reaching it: %w", err)
	}
	defer db.Close()
	deadline := time.Now().Add(startTimeout)
	for {
		if err = db.Ping(); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for it: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// freshDatabase copies a migrated template, which is made once a server and schema: copying takes a tenth of migrating.
func freshDatabase(t testing.TB, server string) string {
	t.Helper()
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	name := "ergon_test_" + hex.EncodeToString(raw)
	execute(t, server, "CREATE DATABASE "+name+" TEMPLATE "+template(t, server))
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	return database(t, server, name)
}

func database(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("ERGON_TEST_POSTGRES_URL is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

// template names a database with the schema of this build and makes it when the server has none. Test processes that come at
// once queue at an advisory lock.
func template(t testing.TB, server string) string {
	t.Helper()
	name := "ergon_template_" + schemaDigest(t)
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(7262)"); err != nil {
		t.Fatal(err)
	}
	var found bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&found); err != nil {
		t.Fatal(err)
	}
	if !found {
		makeTemplate(t, server, name)
	}
	return name
}

// makeTemplate renames at the end, so that a template is complete or not there.
func makeTemplate(t testing.TB, server, name string) {
	t.Helper()
	half := name + "_half"
	execute(t, server, "DROP DATABASE IF EXISTS "+half)
	execute(t, server, "CREATE DATABASE "+half)
	s, err := gormstore.Open(context.Background(), gormstore.Config{URL: database(t, server, half)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Migrate(context.Background())
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	execute(t, server, "ALTER DATABASE "+half+" RENAME TO "+name)
}

func schemaDigest(t testing.TB) string {
	t.Helper()
	h := sha256.New()
	files, err := fs.Glob(migrations.Postgres, "postgres/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, name := range files {
		text, err := migrations.Postgres.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s %d ", name, len(text))
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func execute(t testing.TB, server, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
