package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// gate makes squeue wait until the test lets one call pass, so that cycles of polling can be counted.
const gate = `#!/bin/sh
d=$(dirname "$0")
until mv "$d/pass" "$d/passed" 2>/dev/null; do sleep 0.02; done
delim=$(printf '%s\n' "$@" | sed -n 's/^--format=%i\([^%]*\)%A.*$/\1/p')
sed "s/@D@/$delim/g" "$d/squeue.out"
`

// cycle lets one call of squeue pass, and returns when it has been taken.
func (n *node) cycle() {
	n.t.Helper()
	pass := filepath.Join(n.fake.Dir, "pass")
	if err := os.WriteFile(pass, nil, 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.until("squeue is asked", func() bool { _, err := os.Stat(pass); return errors.Is(err, os.ErrNotExist) })
}

// What Slurm knows when a cycle begins is at the server with no further cycle.
func TestAStateReachesTheServerWithinOneCycle(t *testing.T) {
	t.Parallel()
	for end, state := range map[string]string{"COMPLETED": "DONE", "FAILED": "FAILED", "OUT_OF_MEMORY": "FAILED"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			eachStateInItsCycle(t, end, state)
		})
	}
}

func eachStateInItsCycle(t *testing.T, end, state string) {
	t.Helper()
	n := newNode(t, false)
	n.enrol()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	job := row(id, "PENDING") // one row, for its times stand for the job
	n.fake.Answer("squeue", slurmtest.Squeue(job))
	n.fake.Replace("squeue", gate)
	c := n.start()
	in := socket.Intent{SubmissionID: id}
	if err := errors.Join(c.Intent(t.Context(), in), c.Result(t.Context(), socket.Result{Intent: in, BaseID: "7"})); err != nil {
		t.Fatal(err)
	}
	tells := func(event string) {
		t.Helper()
		n.cycle()
		n.until(event+" is told", func() bool { return slices.Contains(n.plane.told(), event) })
	}
	tells("submitted PENDING")
	job["State"] = "RUNNING"
	n.fake.Answer("squeue", slurmtest.Squeue(job))
	tells("state RUNNING")
	job["State"] = end
	n.fake.Answer("sacct", slurmtest.Sacct(job))
	n.fake.Answer("squeue", "")
	tells("state " + state)
}
