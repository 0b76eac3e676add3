package app

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

// docs/security.md tells a site to do this. Every call of the contract is made under that role, and the log is out of reach.
func TestThreat_T32_TheServerRunsUnderTheRoleOfTheDocument(t *testing.T) {
	owner := storetest.PostgresURL(t)
	cfg := testConfig(t, onPostgres(t, owner)...)
	migrateAs(t, cfg)
	app := grantedRole(t, owner)
	w := newWalk(t, newWorld(t, append(append(onPostgres(t, app), "ERGON_DATABASE_AUTO_MIGRATE=false"), walkEnviron...)...))
	for _, op := range w.operations() {
		t.Run(op.name(), func(t *testing.T) { w.check(t, op, "owner") })
	}
	for _, s := range []string{
		"UPDATE audit SET outcome = 'x'", "DELETE FROM audit", "TRUNCATE audit", "ALTER TABLE audit DISABLE TRIGGER ALL", "DROP TABLE audit", "DELETE FROM audit_heads",
		"CREATE TABLE public.mine (x INT)",
	} {
		if _, err := w.app.store.SQL().ExecContext(t.Context(), s); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("the server's role may: %s (%v)", s, err)
		}
	}
}

func migrateAs(t *testing.T, cfg config.Config) {
	t.Helper()
	base, err := OpenBase(t.Context(), cfg, testDeps())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(base.MigrateQueue(t.Context(), testDeps()), base.Close()); err != nil {
		t.Fatal(err)
	}
}

// grantedRole makes a role with the rights of the document, and gives the URL of the same database for it.
func grantedRole(t *testing.T, owner string) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatal("docs/security.md has no SQL")
	}
	role := "ergon_app_" + strings.ReplaceAll(time.Now().Format("150405.000000"), ".", "_")
	db, err := sql.Open("pgx", owner)
	if err != nil {
		t.Fatal(err)
	}
	run := func(s string) {
		if _, err := db.Exec(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	run("CREATE ROLE " + role + " LOGIN PASSWORD 'only-a-test'")
	t.Cleanup(func() {
		run("DROP OWNED BY " + role)
		run("DROP ROLE " + role)
		_ = db.Close()
	})
	run(strings.ReplaceAll(string(block[1]), "ergon_app", role))
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal("the URL of the test's database cannot be parsed")
	}
	u.User = url.UserPassword(role, "only-a-test")
	return u.String()
}
