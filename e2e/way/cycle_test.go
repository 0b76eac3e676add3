package way

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// gated stands for squeue: it waits until the test lets one call pass. It gives up long before the agent would.
const gated = `#!/bin/sh
n=0
until mv "$0.pass" "$0.taken" 2>/dev/null; do
  n=$((n + 1))
  [ $n -lt 400 ] || exit 1
  sleep 0.05
done
exec %s "$@"
`

// gate is a directory with Slurm's commands for the agent alone, in which squeue waits.
type gate struct{ squeue string }

// newGate restarts the agent behind it, and without it when the test ends.
func newGate(t *testing.T) gate {
	t.Helper()
	dir := world.Commands(t, map[string]string{"squeue": gated})
	g := gate{squeue: filepath.Join(dir, "squeue")}
	ctx := context.WithoutCancel(t.Context()) // it ends before the last start
	again := func(extra ...string) {
		if err := world.StopAgent(); err != nil {
			t.Error(err)
		}
		if err := world.StartAgent(ctx, extra...); err != nil {
			t.Error(err)
		}
	}
	again(site.Path(dir))
	t.Cleanup(func() { again() })
	return g
}

// cycle lets the agent ask squeue once, from now on, and returns when it has begun to.
func (g gate) cycle(t *testing.T) {
	t.Helper()
	pass := g.squeue + ".pass"
	if err := os.WriteFile(pass, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, site.Patience, func() (bool, string) {
		_, err := os.Lstat(pass)
		return os.IsNotExist(err), "the agent does not ask squeue"
	})
}

// slurmKnows waits until squeue and accounting say the state.
func slurmKnows(t *testing.T, id, state string) {
	t.Helper()
	harness.Eventually(t, site.Patience, func() (bool, string) {
		queue := strings.TrimSpace(world.Root(t, "squeue", "-h", "-t", "all", "-j", id, "-o", "%T"))
		accounting := strings.TrimSpace(world.Root(t, "sacct", "-X", "-n", "-P", "-j", id, "-o", "State"))
		return queue == state && accounting == state, fmt.Sprintf("squeue says %q, sacct %q, not %s", queue, accounting, state)
	})
}

const untilEnd = `#!/bin/bash
#SBATCH --mem=50M --output=/dev/null
until [ -e cycle.end ]; do sleep 0.1; done
exit %d
`

// What Slurm knows when a cycle of the agent's polling begins is at the server with no further cycle.
func TestEachStateReachesTheServerWithinOneCycle(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	g := newGate(t)
	ids := map[string]string{}
	for code, end := range []string{"COMPLETED", "FAILED"} {
		ids[end] = alice.Sbatch(t, fmt.Sprintf(untilEnd, code), "--hold", "--chdir="+alice.Home)
	}
	within := func(want map[string]string, known func(end string) string) {
		t.Helper()
		for end, id := range ids {
			slurmKnows(t, id, known(end))
		}
		g.cycle(t)
		for end, id := range ids {
			alice.WaitJob(t, id, want[end], func(j site.Job) bool { return j.State == want[end] && j.SlurmState == known(end) })
		}
	}
	both := func(state string) map[string]string { return map[string]string{"COMPLETED": state, "FAILED": state} }
	within(both("PENDING"), func(string) string { return "PENDING" })
	for _, id := range ids {
		alice.Must(t, "scontrol", "release", id)
	}
	within(both("RUNNING"), func(string) string { return "RUNNING" })
	alice.Write(t, "cycle.end", "", 0o644)
	within(map[string]string{"COMPLETED": "DONE", "FAILED": "FAILED"}, func(end string) string { return end })
}
