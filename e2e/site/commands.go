package site

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Commands makes a directory of Slurm's commands for the agent alone (see Path) in which some are shell scripts of the test's.
// In a script %s is the real command. Everybody may write there: scripts and test tell each other things by files.
func (s *Site) Commands(t testing.TB, scripts map[string]string) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp(s.Dir, "commands-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the account of the agent writes there
		t.Fatal(err)
	}
	for _, name := range []string{"squeue", "sacct", "scontrol", "sstat", "sdiag", "sacctmgr"} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		if script, own := scripts[name]; own {
			err = os.WriteFile(at, fmt.Appendf(nil, script, program), 0o755) //nolint:gosec // the agent runs it
		} else {
			err = os.Symlink(program, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Path is what the agent is started with so that it finds the commands of a directory.
func Path(dir string) string { return "PATH=" + dir + ":/usr/bin:/bin" }
