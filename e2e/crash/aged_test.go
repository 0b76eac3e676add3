package crash

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// ages are the waits that the agent's test build takes; the product's are minutes and days.
func ages(words string) string { return "ERGON_CRASH_AGES=" + words }

// killedWrapper submits by a wrapper that kills itself at the point.
func killedWrapper(t *testing.T, point, name string, options ...string) (dir string) {
	t.Helper()
	dir = alice.Mkdir(t)
	path := alice.Write(t, name+".sh", fmt.Sprintf(script, 100, 0.0), 0o755)
	killed := *alice
	killed.Extra = []string{"ERGON_CRASH_AT=" + point}
	options = append([]string{"ergon-sbatch", "--job-name=" + name, "--chdir=" + dir}, options...)
	if result := killed.Run(t, append(options, path)...); result.Code != -1 {
		t.Fatalf("the wrapper was not killed: %d %s%s", result.Code, result.Stdout, result.Stderr)
	}
	return dir
}

// A submission without a result is proven absent, and not run by the agent. It is one of ours all the same when its tag turns up
// late; and one whose job is in the queue is never absent.
func TestAgentKilledWhileASubmissionIsProvenAbsent(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	accepted := map[string]string{}
	for i, point := range both("submission.ABSENT") {
		crashAt(t, point, ages("result=1s absent=1s"))
		if i > 0 { // what the first death left is proven again
			waitDeath(t, point)
			continue
		}
		untilDeath(t, point, func() {
			name := fmt.Sprintf("accepted-%d", len(accepted))
			accepted[name] = killedWrapper(t, "wrapper.sbatch.after", name, "--hold")
			killedWrapper(t, "wrapper.intent.after", "absent")
		})
	}
	absent := rows(t, `SELECT id FROM submissions WHERE state = 'ABSENT' ORDER BY created_us`)
	if len(absent) == 0 {
		t.Fatal("no submission is absent")
	}
	restart(t)
	late := expected{dir: alice.Mkdir(t)}
	path := alice.Write(t, "late.sh", fmt.Sprintf(script, 100, 0.0), 0o755)
	late.slurmID = strings.TrimSpace(alice.Must(t, "sbatch", "--parsable", "--comment=ergon1:"+absent[0], "--chdir="+late.dir, path))
	held := map[string]expected{}
	for name, dir := range accepted {
		id := strings.TrimSpace(alice.Must(t, "squeue", "-h", "-n", name, "-o", "%A"))
		alice.Must(t, "scontrol", "release", id)
		held[id] = expected{slurmID: id, dir: dir}
	}
	noJob(t, "absent")
	for id, job := range held {
		job.settle(t)
		if own := alice.Jobs(t, id)[0].SubmissionID; slices.Contains(absent, own) {
			t.Errorf("submission %s was called absent while job %s waited", own, id)
		}
	}
	late.settle(t)
	if own := alice.Jobs(t, late.slurmID)[0].SubmissionID; own != absent[0] {
		t.Errorf("the late job has the submission %q, want %s", own, absent[0])
	}
}

// pruning are ages that stand to each other as the product's do: what accounting still shows is not forgotten.
const pruning = "kept=2s overlap=1s prune=100ms"

// What is closed and old enough is forgotten, what is not stays; the server keeps both, and nothing begins anew.
func TestAgentKilledWhileOldJobsAreForgotten(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	waits := submit(t, "waits", 100, 0, "--hold")
	old := submit(t, "old", 100, 0)
	old.settle(t)
	alice.WaitJob(t, waits.slurmID, "PENDING", func(j site.Job) bool { return j.State == "PENDING" })
	before, waiting := alice.Jobs(t, old.slurmID)[0], alice.Jobs(t, waits.slurmID)[0]
	events := len(alice.Events(t, before.ID))
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	has := func(table string) bool { return rows(t, "SELECT COUNT(*) FROM "+table)[0] != "0" }
	// forget kills until what stands in the table is gone: what earlier tests left may be forgotten first.
	forget := func(table string, points []string) {
		t.Helper()
		for i, point := range append(points, slices.Repeat(points[1:], 10)...) {
			crashAt(t, point, ages(pruning))
			waitDeath(t, point)
			switch there := has(table); {
			case i == 0 && !there:
				t.Fatalf("%s: gone after a kill at %s", table, point)
			case i > 0 && !there:
				return
			}
		}
		t.Errorf("%s: still there", table)
	}
	job, files := fmt.Sprintf("jobs WHERE job_id = '%s'", before.ID), fmt.Sprintf("files WHERE job_id = '%s'", before.ID)
	if !has(files) {
		t.Fatal("the journal has no files of the job that is to be forgotten")
	}
	forget(job, both("prune.jobs"))
	if has(files) {
		t.Error("the files of a job that was forgotten are still there")
	}
	crashAt(t, "submission.REJECTED.after")
	untilDeath(t, "submission.REJECTED.after", func() {
		alice.Run(t, "ergon", "sbatch", "--partition=nowhere", "--wrap", "true")
	})
	forget("submissions WHERE state = 'REJECTED'", both("prune.submissions"))
	if !has(fmt.Sprintf("jobs WHERE job_id = '%s'", waiting.ID)) || !has(fmt.Sprintf("submissions WHERE id = '%s'", waiting.SubmissionID)) {
		t.Error("a job that waits was forgotten")
	}
	restart(t, ages(pruning))
	alice.Must(t, "scontrol", "release", waits.slurmID)
	waits.settle(t) // cycles and windows have passed
	old.settle(t)
	if now := alice.Jobs(t, old.slurmID); len(now) != 1 || len(now[0].Attempts) != 1 || len(alice.Events(t, before.ID)) != events {
		t.Errorf("a job that was forgotten began anew: %+v", now)
	}
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	// Windows of the usual length would show what was forgotten here.
	accounting(t, "DELETE FROM %s WHERE time_end > 0")
}
