package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An objection is recorded, worked off, listed and in the audit log; reports are made anew without the person, and sums stay.
func TestAnObjectionByCommandTakesThePersonOutAndIsAudited(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) string {
		t.Helper()
		out, _ := adminRun(t, stdin, append(args, "--data-dir", dir)...)
		return out
	}
	run(history, "import", "sacct", "--cluster", "old", "--timezone", "UTC", "-")
	run("", "reanalyse")
	before := run("", "usage", "--by", "account", "--metrics", "job_count,cpu_hours,cpu_ledger", "-o", "csv")
	if out := run("", "optout", "add", "old", "1"); !strings.Contains(out, "stands") {
		t.Errorf("add: %s", out)
	}
	run("", "reanalyse")
	if after := run("", "usage", "--by", "account", "--metrics", "job_count,cpu_hours,cpu_ledger", "-o", "csv"); after != before {
		t.Errorf("sums were\n%s, are\n%s", before, after)
	}
	if out := run("", "usage", "--by", "user", "-o", "csv"); strings.Contains(out, "alice") || !strings.Contains(out, "bob") {
		t.Errorf("by user: %s", out)
	}
	if out := run("", "optout", "list"); !strings.Contains(out, "old") || !strings.Contains(out, "1") {
		t.Errorf("list: %s", out)
	}
	if out := run("", "audit", "export"); !strings.Contains(out, "objection.add") {
		t.Errorf("audit: %s", out)
	}
	if out := run("", "optout", "remove", "old", "1"); !strings.Contains(out, "taken back") {
		t.Errorf("remove: %s", out)
	}
	if out := run("", "optout", "remove", "old", "1"); !strings.Contains(out, "there was none") {
		t.Errorf("remove again: %s", out)
	}
}
