package crash

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// crashAt starts the agent, with extra words in its environment, so that it kills itself at the boundary.
func crashAt(t *testing.T, point string, extra ...string) {
	t.Helper()
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	// A boundary of what was going on before is crossed at once: the agent may be gone before it is running.
	if err := world.StartAgent(t.Context(), append(extra, "ERGON_CRASH_AT="+point)...); err != nil && !dead() {
		t.Fatal(err)
	}
}

func dead() bool {
	select {
	case <-world.Agent().Done():
		return true
	default:
		return false
	}
}

// waitDeath fails the test when the agent does not come to the boundary.
func waitDeath(t *testing.T, point string) {
	t.Helper()
	harness.Eventually(t, site.Patience, func() (bool, string) { return dead(), "the agent has not come to " + point })
	if err := world.KillAgent(); err != nil { // helpers, if any, die with their pipe
		t.Fatal(err)
	}
}

// untilDeath submits until the agent dies: on a busy machine the wrapper may spend its 100 ms before the agent has
// answered, and then it submits without.
func untilDeath(t *testing.T, point string, submit func()) {
	t.Helper()
	for range 10 {
		submit()
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline) && !dead(); {
			time.Sleep(20 * time.Millisecond)
		}
		if dead() {
			break
		}
	}
	waitDeath(t, point)
}

func restart(t *testing.T, extra ...string) {
	t.Helper()
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	if err := world.StartAgent(t.Context(), extra...); err != nil {
		t.Fatal(err)
	}
}

func both(names ...string) (points []string) {
	for _, name := range names {
		points = append(points, name+".before", name+".after")
	}
	return points
}

const script = `#!/bin/bash
#SBATCH --mem=300M --output=stdout.txt
#ERGON outputs=*.dat
head -c %d /dev/urandom > out.dat
sleep %g
`

// submit runs a job that writes size bytes, in a directory of its own.
func submit(t *testing.T, name string, size int, seconds float64, options ...string) expected {
	t.Helper()
	dir := alice.Mkdir(t)
	options = append([]string{"--chdir=" + dir, "--job-name=" + name}, options...)
	return expected{slurmID: alice.Sbatch(t, fmt.Sprintf(script, size, seconds), options...), dir: dir}
}

func TestAgentKilledWhileAJobIsSubmitted(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	var all []expected
	for _, point := range both("submission.INTENT", "submission.SUBMITTING", "submission.TRACKED") {
		crashAt(t, point)
		untilDeath(t, point, func() { all = append(all, submit(t, "submit", 1000, 0)) })
	}
	restart(t)
	handIn(t)
	for _, e := range all {
		e.settle(t)
	}
}

// handIn lets the wrapper tell the agent of earlier submissions, as the user's next submission does.
func handIn(t *testing.T) {
	t.Helper()
	submit(t, "hand-in", 10, 0).settle(t)
}

// One job lives through a crash at every boundary from its release to the verified end, one after the other.
// TestAgentKilledWhileAJobWaits has those of a job that waits.
func TestAgentKilledAtEveryBoundaryOfAJob(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	job := submit(t, "boundary", 5000, 2, "--hold")
	points := append([]string{"release"}, both("job.RUNNING", "job.SETTLING", "job.ENDED", "job.COLLECTING", "job.UPLOADING")...)
	points = append(points, both("file.HASHED", "file.RESERVED", "file.PUT", "file.COMPLETED", "file.VERIFIED", "job.VERIFIED")...)
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	for _, point := range points {
		if point == "release" {
			alice.Must(t, "scontrol", "release", job.slurmID)
			continue
		}
		began := time.Now()
		crashAt(t, point)
		waitDeath(t, point)
		t.Logf("%-22s %v", point, time.Since(began).Round(10*time.Millisecond))
	}
	restart(t)
	job.settle(t)
}

func TestAgentKilledWhileAJobWaits(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	var all []expected
	for _, point := range both("job.PENDING", "outbox.add", "outbox.delivered") {
		crashAt(t, point)
		job := submit(t, "waits", 100, 0, "--hold")
		waitDeath(t, point)
		alice.Must(t, "scontrol", "release", job.slurmID)
		all = append(all, job)
	}
	restart(t)
	handIn(t)
	for _, job := range all {
		job.settle(t)
	}
}

func TestAgentKilledWhileALargeFileIsSent(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	job := submit(t, "parts", 70<<20, 1)
	for _, point := range both("file.PARTS") {
		crashAt(t, point)
		waitDeath(t, point)
	}
	restart(t)
	job.settle(t)
}

// The other states of the journal, each reached by what makes it.
func TestAgentKilledOnTheSideWays(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	for name, failed := range map[string]struct{ state, option string }{
		"a rejected script":           {"submission.REJECTED", "--partition=nowhere"},
		"an sbatch that leaves doubt": {"submission.SUBMIT_UNKNOWN", "--clusters=nowhere"}, // its words are none that we know
	} {
		t.Run(name, func(t *testing.T) {
			for _, point := range both(failed.state) {
				crashAt(t, point)
				untilDeath(t, point, func() {
					result := alice.Run(t, "ergon", "sbatch", "--job-name=rejected", failed.option, "--wrap", "true")
					if result.Code != 1 || result.Stdout != "" {
						t.Errorf("sbatch ended with %d: %s%s", result.Code, result.Stdout, result.Stderr)
					}
				})
			}
			restart(t)
			noJob(t, "rejected")
		})
	}
	t.Run("a suspended job", func(t *testing.T) {
		restart(t)
		job := submit(t, "suspend", 100, 4)
		alice.WaitJob(t, job.slurmID, "RUNNING", func(j site.Job) bool { return j.SlurmState == "RUNNING" })
		for i, point := range both("job.SUSPENDED") {
			crashAt(t, point)
			if i == 0 {
				world.Root(t, "scontrol", "suspend", job.slurmID)
			}
			waitDeath(t, point)
		}
		world.Root(t, "scontrol", "resume", job.slurmID)
		restart(t)
		job.settle(t)
	})
	t.Run("a requeued job", func(t *testing.T) {
		for _, point := range both("job.REQUEUED") {
			restart(t)
			job := submit(t, "requeue", 100, 3)
			alice.WaitJob(t, job.slurmID, "RUNNING", func(j site.Job) bool { return j.SlurmState == "RUNNING" })
			crashAt(t, point)
			world.Root(t, "scontrol", "requeue", job.slurmID)
			waitDeath(t, point)
			world.Root(t, "scontrol", "update", "JobId="+job.slurmID, "StartTime=now")
			restart(t)
			job.settle(t)
			if got := alice.Jobs(t, job.slurmID)[0]; len(got.Attempts) != 2 {
				t.Errorf("job %s has attempts %+v, want two", job.slurmID, got.Attempts)
			}
		}
	})
}

// What was kept because nobody was linked is uploaded after the link, whatever happened to the agent meanwhile.
func TestAgentKilledWhileOutputsAreKept(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	var all []expected
	for _, point := range both("job.KEPT") {
		crashAt(t, point)
		dir := carol.Mkdir(t)
		all = append(all, expected{slurmID: carol.Sbatch(t, fmt.Sprintf(script, 3000, 0.0), "--chdir="+dir), dir: dir, by: carol})
		waitDeath(t, point)
	}
	restart(t)
	if err := carol.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, job := range all {
		job.settle(t)
	}
}

// noJob says that Slurm has no job of that name, and never had: a later job has gone all the way into accounting.
func noJob(t *testing.T, name string) {
	t.Helper()
	handIn(t)
	for _, args := range [][]string{
		{"squeue", "-h", "-a", "-n", name, "-o", "%A"}, {"sacct", "-a", "-X", "-n", "-P", "-S", "now-1days", "--name", name, "-o", "JobIDRaw"},
	} {
		if out := strings.TrimSpace(alice.Must(t, args...)); out != "" {
			t.Errorf("%s shows a job %q: %s", args[0], name, out)
		}
	}
}

// The wrapper itself is killed: there is one job or none, and one that there is, is found by its tag.
func TestWrapperKilled(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	for point, want := range map[string]int{"wrapper.intent.before": 0, "wrapper.intent.after": 0, "wrapper.sbatch.after": 1} {
		t.Run(point, func(t *testing.T) {
			name := "killed-" + strings.ReplaceAll(point, ".", "-")
			dir := alice.Mkdir(t)
			path := alice.Write(t, name+".sh", fmt.Sprintf(script, 100, 0.0), 0o755)
			killed := *alice
			killed.Extra = []string{"ERGON_CRASH_AT=" + point}
			if result := killed.Run(t, "ergon-sbatch", "--job-name="+name, "--chdir="+dir, path); result.Code != -1 {
				t.Fatalf("the wrapper was not killed: %d %s%s", result.Code, result.Stdout, result.Stderr)
			}
			if want == 0 {
				noJob(t, name)
				return
			}
			var id string
			harness.Eventually(t, site.Patience, func() (bool, string) { // slurmdbd hears of it a moment later
				id = strings.TrimSpace(alice.Must(t, "sacct", "-X", "-n", "-P", "-o", "JobIDRaw", "--name", name))
				return id != "" && !strings.Contains(id, "\n"), fmt.Sprintf("jobs %q, want one", id)
			})
			expected{slurmID: id, dir: dir}.settle(t)
		})
	}
}
