package crash

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// forgetful stands for squeue and sacct of a Slurm that has forgotten one job. Deleting its row would not do: slurmctld sends it
// again while it remembers the job itself.
const forgetful = `#!/bin/sh
all=$(mktemp) || exit
trap 'rm -f "$all"' EXIT
%s "$@" > "$all" || exit
sed '/^JOB[^0-9]/d' "$all"
`

// A job that is neither in squeue nor in accounting is given up once, and nothing of it is touched. One that waits is not.
func TestAgentKilledWhileAJobIsGivenUp(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	waits := submit(t, "waits", 100, 0, "--hold")
	lost, end := openEnded(t, "lost")
	defer end()
	running := alice.WaitJob(t, lost.slurmID, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	waitFile(t, filepath.Join(lost.dir, "out.dat"))
	alice.WaitJob(t, waits.slurmID, "PENDING", func(j site.Job) bool { return j.State == "PENDING" })
	script := strings.ReplaceAll(forgetful, "JOB", lost.slurmID)
	path := site.Path(world.Commands(t, map[string]string{"squeue": script, "sacct": script}))
	for _, point := range both("job.LOST") {
		crashAt(t, point, path, ages("lost=1s"))
		waitDeath(t, point)
	}
	restart(t, path)
	defer restart(t)
	job := alice.WaitJob(t, lost.slurmID, "LOST", func(j site.Job) bool { return j.State == "FAILED" && j.SlurmState == "LOST" })
	alice.Must(t, "scontrol", "release", waits.slurmID)
	waits.settle(t)
	times := 0
	for _, event := range alice.Events(t, job.ID) {
		if event.SlurmState == "LOST" {
			times++
		}
	}
	if after := alice.Jobs(t, lost.slurmID); times != 1 || len(after) != 1 || len(after[0].Attempts) != 1 || job.ID != running.ID {
		t.Errorf("the end was told %d times, the jobs are %+v; want once, and one", times, after)
	}
	if n := tagged(t, job.SubmissionID); n != 1 {
		t.Errorf("the submission has %d jobs in Slurm, want the one that was forgotten", n)
	}
	if stored := onDisk(t, job.ID); len(stored) != 0 || len(lost.want(t)) != 2 {
		t.Errorf("of the files that stay where they are, %d were stored", len(stored))
	}
}
