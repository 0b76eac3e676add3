package badinput

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

const short = "#!/bin/bash\n#SBATCH --mem=50M --output=stdout.txt\n#ERGON outputs=*.dat\necho fine > out.dat\nsleep %d\n"

func submitShort(t *testing.T, seconds int, options ...string) (id, dir string) {
	t.Helper()
	dir = alice.Mkdir(t)
	return alice.Sbatch(t, fmt.Sprintf(short, seconds), append([]string{"--chdir=" + dir}, options...)...), dir
}

// submitOpen runs a job that ends when the function is called.
func submitOpen(t *testing.T) (id string, end func()) {
	t.Helper()
	dir := alice.Mkdir(t)
	id = alice.Sbatch(t, strings.Replace(short, "sleep %d", "until [ -e end ]; do sleep 0.1; done; echo ended", 1), "--chdir="+dir)
	return id, func() {
		alice.WriteIn(t, dir, "end", "", 0o644)
		harness.Eventually(t, site.Patience, func() (bool, string) {
			text, err := os.ReadFile(filepath.Join(dir, "stdout.txt"))
			return err == nil && string(text) == "ended\n", "the job does not end"
		})
	}
}

func waitSlurm(t *testing.T, id, want string) {
	t.Helper()
	n, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	world.Slurm.WaitState(t, n, want, site.Patience)
}

// complete says that nothing of the job was lost.
func complete(t *testing.T, id string) {
	t.Helper()
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if job.State != "DONE" || job.SubmissionID == "" {
		t.Errorf("job %+v, want DONE, tagged", job)
	}
	if n := len(alice.Files(t, job.ID)); n != 2 {
		t.Errorf("job %s has %d stored files, want two", id, n)
	}
	seqs := map[int64]bool{}
	for _, e := range alice.Events(t, job.ID) {
		if seqs[e.Seq] {
			t.Errorf("event %d came twice", e.Seq)
		}
		seqs[e.Seq] = true
	}
}

func TestServerAway(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	if err := world.StopServer(); err != nil {
		t.Fatal(err)
	}
	id, _ := submitShort(t, 1)
	waitSlurm(t, id, "COMPLETED")
	if result := alice.Run(t, "ergon", "files", "ls"); result.Code != 4 || !strings.Contains(result.Stderr, "ergon: cannot reach ") || !strings.Contains(result.Stderr, "is the server up, and the address right?") {
		t.Errorf("ergon files ls: %d %q, want 4, and that the server cannot be reached", result.Code, result.Stderr)
	}
	if result := alice.Run(t, "ergon", "job", id); result.Code != 0 || !strings.Contains(result.Stdout+result.Stderr, "local") {
		t.Errorf("ergon job without the server: %d %s%s", result.Code, result.Stdout, result.Stderr)
	}
	harness.Eventually(t, site.Patience, func() (bool, string) {
		out := alice.Must(t, "ergon", "status")
		return strings.Contains(out, "Outbox"), "the agent's status does not tell of waiting events: " + out
	})
	if err := world.StartServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete(t, id)
}

func TestStoreAway(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	thaw, err := world.FreezeStore()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := submitShort(t, 0)
	alice.WaitJob(t, id, "uploading", func(j site.Job) bool { return j.UploadPhase == "uploading" })
	harness.Eventually(t, site.Patience, func() (bool, string) {
		out := alice.Must(t, "ergon", "status")
		return strings.Contains(out, "uploading 1") && strings.Contains(out, "job "+id+": 0 of 2 files, 0 B of "), "the agent's status does not tell what it is sending: " + out
	})
	_ = thaw() // the server may have replaced it meanwhile
	complete(t, id)
}

// A store that is killed refuses connections until the server has started a new one.
func TestStoreKilledAgainAndAgain(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	var last int
	for range 2 {
		id, _ := submitShort(t, 0)
		harness.Eventually(t, site.Patience, func() (bool, string) {
			pid, err := world.KillStore()
			if err != nil || pid == last {
				return false, fmt.Sprintf("no new store to kill: process %d, %v", pid, err)
			}
			last = pid
			return true, ""
		})
		complete(t, id)
		if out := alice.Must(t, "ergon", "status"); !strings.Contains(out, "verified ") || strings.Contains(out, "Sending") || strings.Contains(out, "Outbox") {
			t.Errorf("the agent's status after the store came back: %s", out)
		}
	}
}

func TestDiskOfTheJournalFull(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	before, _ := submitShort(t, 3)
	filler := filepath.Join(world.StateDir(), "filler")
	fill(t, filler)
	var during []string
	for range 3 {
		id, _ := submitShort(t, 0)
		during = append(during, id)
	}
	// The reserve lets the journal finish what it has begun; new intents are refused and said so.
	harness.Eventually(t, site.Patience, func() (bool, string) {
		fill(t, filler)
		id, _ := submitShort(t, 0)
		during = append(during, id)
		waitSlurm(t, id, "COMPLETED")
		out := alice.Must(t, "ergon", "status")
		return strings.Contains(out, "disk"), "the agent's status does not tell of the full disk: " + out
	})
	t.Log(alice.Must(t, "ergon", "status"))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	if err := world.StartAgent(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, _ := submitShort(t, 0) // hands in what the wrapper could not tell
	for _, id := range append(during, before, after) {
		complete(t, id)
	}
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
}

func TestSlurmctldAway(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	id, end := submitOpen(t)
	alice.WaitJob(t, id, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	if err := world.Slurm.SaveState(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := world.Slurm.KillDaemon(t.Context(), "slurmctld"); err != nil {
		t.Fatal(err)
	}
	end()
	want := alice.Run(t, "sbatch", "--wrap", "true")
	got := alice.Run(t, "ergon", "sbatch", "--wrap", "true")
	if want.Code == 0 || got.Code != want.Code || got.Stdout != want.Stdout || got.Stderr != want.Stderr {
		t.Errorf("the wrapper: %d %q, sbatch: %d %q", got.Code, got.Stderr, want.Code, want.Stderr)
	}
	if result := alice.Run(t, "ergon", "status"); !strings.Contains(result.Stdout, "Problem") {
		t.Errorf("the agent's status tells of no problem: %s", result.Stdout)
	}
	if job := alice.Jobs(t, id)[0]; job.State != "RUNNING" {
		t.Errorf("without slurmctld the job became %s (%s)", job.State, job.SlurmState)
	}
	if err := world.Slurm.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete(t, id)
}

func TestSlurmdbdAway(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	id, end := submitOpen(t)
	alice.WaitJob(t, id, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	if err := world.Slurm.KillDaemon(t.Context(), "slurmdbd"); err != nil {
		t.Fatal(err)
	}
	during, _ := submitShort(t, 0)
	end()
	harness.Eventually(t, site.Patience, func() (bool, string) {
		out := alice.Must(t, "squeue", "-h", "-a", "-t", "PD,R,CG", "-j", id+","+during)
		return strings.TrimSpace(out) == "", "still in the queue: " + out
	})
	if job := alice.Jobs(t, id)[0]; job.State != "RUNNING" {
		t.Errorf("without accounting nothing proves the end, but the job became %s (%s)", job.State, job.SlurmState)
	}
	if err := world.Slurm.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete(t, id)
	complete(t, during)
}
