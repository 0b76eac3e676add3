package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/grafana/board"
	"github.com/ergon-hpc/ergon/grafana/dashboard"
)

func TestWriteReplacesAndRemoves(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "gone.json")
	other := filepath.Join(dir, "README")
	for _, name := range []string{stale, other} {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run([]string{dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("a dashboard that is gone is still there (%v)", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file that is no dashboard was removed: %v", err)
	}
	for _, d := range board.All() {
		if _, err := os.Stat(filepath.Join(dir, d.UID+".json")); err != nil {
			t.Error(err)
		}
	}
}

func TestWriteTouchesNothingWhenADashboardIsWrong(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir, append(board.All(), dashboard.Dashboard{UID: "bad"})); err == nil {
		t.Error("a wrong dashboard was written")
	}
	if err := write(dir, append(board.All(), board.Jobs())); err == nil {
		t.Error("two dashboards with one uid were written")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files, %v; want none", len(entries), err)
	}
}
