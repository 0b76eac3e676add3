package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// A tag that two jobs carry is reported; none of them is cancelled.
func TestAgentKilledWhileATagIsFoundTwice(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	for _, point := range both("submission.AMBIGUOUS") {
		restart(t)
		first := submit(t, "twice", 100, 0, "--hold")
		tag := strings.TrimSpace(alice.Must(t, "squeue", "-h", "-j", first.slurmID, "-o", "%k"))
		if !strings.HasPrefix(tag, "ergon1:") {
			t.Fatalf("job %s has the comment %q", first.slurmID, tag)
		}
		crashAt(t, point)
		second := strings.TrimSpace(alice.Must(t, "sbatch", "--parsable", "--hold", "--comment="+tag, "--output=/dev/null", "--wrap", "true"))
		waitDeath(t, point)
		restart(t)
		alice.WaitJob(t, first.slurmID, "known", func(site.Job) bool { return true })
		if out := alice.Must(t, "squeue", "-h", "-t", "PD", "-j", first.slurmID+","+second, "-o", "%A"); len(strings.Fields(out)) != 2 {
			t.Errorf("of jobs %s and %s are left: %s", first.slurmID, second, out)
		}
		alice.Must(t, "scancel", second)
		alice.Must(t, "scontrol", "release", first.slurmID)
		waitSlurm(t, first.slurmID, "COMPLETED")
	}
}

// A directory that lets nobody in, as a home without a ticket: its files are taken when it opens.
func TestAgentKilledWhileAHomeNeedsALogin(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	dir := alice.Mkdir(t)
	job := expected{dir: dir, slurmID: alice.Sbatch(t, fmt.Sprintf(script, 500, 1.0)+"chmod 000 .\n", "--chdir="+dir)}
	for _, point := range both("job.NEEDS_LOGIN") {
		crashAt(t, point)
		waitDeath(t, point)
	}
	restart(t)
	alice.WaitJob(t, job.slurmID, "waiting", func(j site.Job) bool { return j.UploadPhase == "waiting" })
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	job.settle(t)
}

const manyScript = `#!/bin/bash
#SBATCH --mem=50M --output=/dev/null
#ERGON outputs=*.dat
for n in 1 2 3 4; do echo $n > $n.dat; done
sleep 1
`

// More outputs than the quota of a job has room for: what does not fit is taken when there is room.
func TestAgentKilledWhileOutputsAreRefused(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	dir := alice.Mkdir(t)
	id := alice.Sbatch(t, manyScript, "--chdir="+dir)
	for _, point := range both("file.BLOCKED", "job.UPLOAD_BLOCKED") {
		crashAt(t, point)
		waitDeath(t, point)
	}
	restart(t)
	job := alice.WaitJob(t, id, "blocked", func(j site.Job) bool { return j.UploadPhase == "blocked" })
	stored := alice.Files(t, job.ID)
	if len(stored) != jobObjects {
		t.Fatalf("%d files are stored, want %d", len(stored), jobObjects)
	}
	alice.Must(t, "ergon", "files", "rm", "--yes", stored[0].ID)
	alice.WaitJob(t, id, "settled", site.Settled)
	seen := map[string]bool{stored[0].Name: true}
	for _, f := range alice.Files(t, job.ID) {
		seen[f.Name] = true
		if f.SHA256 != site.SHA256(t, filepath.Join(dir, f.Name)) {
			t.Errorf("%s is stored with %s", f.Name, f.SHA256)
		}
	}
	if len(seen) != 4 || len(onDisk(t, job.ID)) != jobObjects {
		t.Errorf("stored %v, %d objects on disk", seen, len(onDisk(t, job.ID)))
	}
}
