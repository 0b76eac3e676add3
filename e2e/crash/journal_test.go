package crash

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rows asks the agent's journal while no agent runs, and gives the first column of the answer. It asks a copy: whoever opens the
// file itself leaves files beside it that the agent's account cannot write.
func rows(t *testing.T, query string) []string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		data, err := os.ReadFile(filepath.Join(world.StateDir(), name))
		if errors.Is(err, fs.ErrNotExist) && name != "journal.db" {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const program = `import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(row[0])`
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program, filepath.Join(dir, "journal.db"), query)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", query, err, &errs)
	}
	return strings.Fields(string(out))
}

// accounting runs a statement on the table of jobs of the cluster's accounting. %s stands for the table.
func accounting(t *testing.T, statement string) {
	t.Helper()
	name := strings.TrimSpace(world.Root(t, "sacctmgr", "-n", "-P", "show", "cluster", "format=cluster"))
	table := "slurm_acct_db.`" + name + "_job_table`"
	out, err := exec.CommandContext(t.Context(), "mariadb", "--no-defaults", "-S", filepath.Join(world.Slurm.Prefix, "run", "mysql.sock"), "-u", "root",
		"-e", strings.ReplaceAll(statement, "%s", table)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", statement, err, out)
	}
}
