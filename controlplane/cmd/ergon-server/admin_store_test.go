package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
)

// The test binary is the embedded store's child too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "objectstore" {
		if err := objectstore.RunChild(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func rowsOf(t *testing.T, text string) (rows []map[string]string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return rows
}

func TestStoreCommandsWorkWithoutAServer(t *testing.T) {
	dir := t.TempDir() + "/data"
	adminRun(t, "a long enough password\n", "user", "create", "alice", "--data-dir", dir)
	out, _ := adminRun(t, "", "store", "check", "-o", "json", "--data-dir", dir)
	features := map[string]string{}
	for _, r := range rowsOf(t, out) {
		features[r["feature"]] = r["in_force"]
		if r["needed"] == "yes" && r["in_force"] != "yes" {
			t.Errorf("%v", r)
		}
	}
	for name, want := range map[string]string{
		"versioning": "no", "encryption": "no", "lifecycle": "no", "SHA-256 of objects": "yes", "put signer cannot read": "yes",
		"presigned PUT refuses an unsigned copy source": "yes", "presigned PUT does not overwrite": "yes", "CORS": "no",
	} {
		if features[name] != want {
			t.Errorf("%s: %q, want %q", name, features[name], want)
		}
	}
	if out, _ := adminRun(t, "", "store", "recount", "--data-dir", dir); !strings.Contains(out, "0 accounts computed anew") {
		t.Error(out)
	}
	if out, _ := adminRun(t, "", "store", "sweep", "-o", "json", "--data-dir", dir); rowsOf(t, out)[0]["examined"] != "0" {
		t.Error(out)
	}
	users, _ := adminRun(t, "", "user", "list", "-o", "json", "--data-dir", dir)
	id := rowsOf(t, users)[0]["id"]
	if out, _ := adminRun(t, "", "prefix", "delete", id+"/", "--yes", "-o", "json", "--data-dir", dir); rowsOf(t, out)[0]["files"] != "0" {
		t.Error(out)
	}
	out, _ = adminRun(t, "", "user", "delete", "alice", "--yes", "-o", "json", "--data-dir", dir)
	if r := rowsOf(t, out)[0]; r["state"] != "done" || r["receipt"] == "" {
		t.Errorf("%v", r)
	}
	if users, _ := adminRun(t, "", "user", "list", "-o", "json", "--data-dir", dir); len(rowsOf(t, users)) != 0 {
		t.Errorf("still there: %s", users)
	}
}

func TestWhatCannotBeTakenBackWantsAYes(t *testing.T) {
	c := newCLI(t)
	c.run("a long enough password\n", "admin", "user", "create", "alice")
	for _, args := range [][]string{
		{"admin", "user", "delete", "alice"},
		{"admin", "store", "forget-lost", "alice"},
		{"admin", "prefix", "delete", "6f1ed002-ab9d-4a3e-8f0e-0d1a2b3c4d5e/"},
		{"admin", "prefix", "delete", "_ergon/", "--yes"},
	} {
		if out, err := c.try("", args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
}

// linked links an account on a cluster, as its owner would there.
func (c cli) linked(user, cluster string) {
	c.t.Helper()
	_, dir, _ := strings.Cut(c.environ[0], "=")
	db, err := gormstore.Open(c.t.Context(), gormstore.Config{Path: filepath.Join(dir, "ergon.db"), Synchronous: "NORMAL"})
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	res, err := db.SQL().ExecContext(c.t.Context(), `INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at)
		SELECT 'link', c.id, 7, 7, u.username, u.id, u.created_at FROM users u, clusters c WHERE u.username = $1 AND c.name = $2`, user, cluster)
	if err != nil {
		c.t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		c.t.Fatalf("%d links, %v", n, err)
	}
}

func TestQuotasAreSetShownAndTakenBack(t *testing.T) {
	c := newCLI(t)
	c.run("a long enough password\n", "admin", "user", "create", "alice")
	c.run("", "admin", "cluster", "create", "near")
	c.run("", "admin", "cluster", "create", "far")
	c.linked("alice", "near")
	show := func() map[string]string {
		return rowsOf(t, c.run("", "admin", "quota", "show", "alice", "-o", "json"))[0]
	}
	for _, step := range []struct {
		args  []string
		from  string
		bytes string
	}{
		{nil, "default", "107374182400"},
		{[]string{"set", "--role", "user", "--bytes", "2K", "--objects", "3"}, "role", "2048"},
		{[]string{"set", "--user", "alice", "--bytes", "1K", "--objects", "3"}, "user", "1024"},
		{[]string{"unset", "--user", "alice"}, "role", "2048"},
		{[]string{"unset", "--role", "user"}, "default", "107374182400"},
		{[]string{"set", "--cluster", "far", "--bytes", "9K", "--objects", "3"}, "default", "107374182400"}, // alice is not linked there
		{[]string{"set", "--cluster", "near", "--bytes", "4K", "--objects", "3"}, "cluster", "4096"},
		{[]string{"set", "--cluster", "near", "--bytes", "5K", "--objects", "3"}, "cluster", "5120"},
		{[]string{"set", "--role", "user", "--bytes", "2K", "--objects", "3"}, "role", "2048"}, // closer, though smaller
		{[]string{"unset", "--role", "user"}, "cluster", "5120"},
		{[]string{"unset", "--cluster", "near"}, "default", "107374182400"},
		{[]string{"unset", "--cluster", "far"}, "default", "107374182400"},
	} {
		if step.args != nil {
			c.run("", append([]string{"admin", "quota"}, step.args...)...)
		}
		if got := show(); got["limit_from"] != step.from || got["limit_bytes"] != step.bytes {
			t.Errorf("after %v: %v", step.args, got)
		}
	}
	c.run("", "admin", "user", "set-quota", "alice", "--bytes", "1T", "--objects", "9")
	if rows := rowsOf(t, c.run("", "admin", "quota", "list", "-o", "json")); len(rows) != 2 || rows[0]["name"] != "alice" || rows[1]["for"] != "default" {
		t.Errorf("%v", rows)
	}
	for _, wrong := range [][]string{
		{"set", "--bytes", "1", "--objects", "1"},
		{"set", "--role", "root", "--bytes", "1", "--objects", "1"},
		{"set", "--user", "nobody1", "--bytes", "1", "--objects", "1"},
		{"set", "--cluster", "moon", "--bytes", "1", "--objects", "1"},
		{"set", "--user", "alice", "--bytes", "much", "--objects", "1"},
		{"unset", "--role", "admin"},
		{"unset", "--cluster", "near"},
	} {
		if out, err := c.try("", append([]string{"admin", "quota"}, wrong...)...); err == nil {
			t.Errorf("%v: %s", wrong, out)
		}
	}
}
