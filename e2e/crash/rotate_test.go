package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// takesUpWithin is how soon a running agent signs with a key that was put on disk; docs/install.md says a minute.
const takesUpWithin = time.Minute

func rotateKey(t *testing.T, extra ...string) harness.Result {
	t.Helper()
	result, err := world.AgentCommand(t.Context(), extra, "rotate-key")
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func agentFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(world.StateDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// formerAgent is a directory with what a thief has who copied the agent's key before it was replaced.
func formerAgent(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"agent.json", "agent.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(agentFile(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// takenKey asks the server whether it takes the key in a directory.
func takenKey(t *testing.T, dir string) bool {
	t.Helper()
	result, err := world.AgentCommand(t.Context(), nil, "check", "--state-dir", dir)
	const line = "the server takes this agent's key"
	if err != nil || !strings.Contains(result.Stdout, line) {
		t.Fatalf("check does not speak of the key (%v): %s%s", err, result.Stdout, result.Stderr)
	}
	return strings.Contains(result.Stdout, "ok   "+line)
}

// openEnded is a job that runs until a file beside its directory ends it.
func openEnded(t *testing.T, name string) (job expected, end func()) {
	t.Helper()
	dir := alice.Mkdir(t)
	const script = `#!/bin/bash
#SBATCH --mem=100M --output=stdout.txt
#ERGON outputs=*.dat
head -c 1000 /dev/urandom > out.dat
until [ -e "$PWD.end" ]; do sleep 0.1; done
`
	id := alice.Sbatch(t, script, "--chdir="+dir, "--job-name="+name)
	return expected{slurmID: id, dir: dir}, func() { alice.WriteIn(t, filepath.Dir(dir), filepath.Base(dir)+".end", "", 0o644) }
}

// A job is tracked while the key is replaced: its later events and its outputs come by the new key, and the old one is good for
// nothing.
func TestTheKeyIsReplacedWhileAJobRuns(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	job, end := openEnded(t, "rotate")
	alice.WaitJob(t, job.slurmID, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	former := formerAgent(t)
	if !takenKey(t, former) {
		t.Fatal("the key is refused before it was replaced")
	}
	if result := rotateKey(t); result.Code != 0 {
		t.Fatalf("rotate-key ended with %d: %s", result.Code, result.Stderr)
	}
	if takenKey(t, former) {
		t.Error("the old key is still taken")
	}
	if !takenKey(t, world.StateDir()) {
		t.Error("the new key is refused")
	}
	world.Agent().WaitLog(t, "the new key of this agent was taken up", takesUpWithin)
	end()
	job.settle(t)
	if strings.Contains(world.Agent().Log(), "has changed\",\"revoked\":true") {
		t.Error("the running agent was refused in between")
	}
}

// The command is killed −9 before and after the server has taken the new key. The agent that starts afterwards works, whether or
// not anybody runs the command again, and the command can be run again.
func TestTheCommandThatReplacesTheKeyIsKilled(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	for _, point := range []string{"rotation.begun", "rotation.taken"} {
		t.Run(point, func(t *testing.T) {
			before := agentFile(t, "agent.key")
			if result := rotateKey(t, "ERGON_CRASH_AT="+point); result.Code != -1 {
				t.Fatalf("rotate-key was not killed: %d %s", result.Code, result.Stderr)
			}
			next := agentFile(t, "agent.key.next")
			if agentFile(t, "agent.key") != before || next == before {
				t.Fatal("the old key is not beside the new one")
			}
			if taken := takenKey(t, world.StateDir()); taken != (point == "rotation.begun") {
				t.Fatalf("the server takes the old key: %v", taken)
			}
			restart(t) // no token of before is left
			submit(t, "killed", 1000, 0).settle(t)
			if point == "rotation.taken" && agentFile(t, "agent.key") != next {
				t.Error("the key that the server has taken is not the agent's")
			}
			if result := rotateKey(t); result.Code != 0 {
				t.Fatalf("the command again ended with %d: %s", result.Code, result.Stderr)
			}
			if !takenKey(t, world.StateDir()) {
				t.Error("then the server refuses the agent's key")
			}
		})
	}
}
