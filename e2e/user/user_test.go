// Package user runs an agent without any administrator: alice enrols her own, and it serves her alone.
package user

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

var (
	world *site.Site
	alice *site.Person
	bob   *site.Person
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		world, err = site.Start(ctx, h, site.Options{NoAgent: true, Slurm: harness.SlurmOptions{Nodes: 1, Fake: true}})
		if err != nil {
			return err
		}
		if _, err := world.Admin(ctx, "", "cluster", "create", site.Cluster); err != nil {
			return err
		}
		if alice, err = world.Join(ctx, "alice"); err != nil {
			return err
		}
		bob, err = world.Join(ctx, "bob")
		return err
	}))
}

const settings = `slurm:
  poll_interval: 500ms
  squeue_per_minute: 240
  sacct_per_minute: 240
  scontrol_per_minute: 600
uploads:
  settle: 1s
accounting:
  window_every: 1s
`

func TestAUsersOwnAgent(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	config := alice.Write(t, "agent.yaml", settings, 0o600)
	early := alice.Run(t, "ergon", "status")
	if early.Code == 0 || !strings.Contains(early.Stderr, "ergon-agent run") {
		t.Errorf("without an agent status says %d %q, want what to start", early.Code, early.Stderr)
	}
	t.Log(alice.Must(t, "ergon", "agent", "enrol", "--cluster", site.Cluster))
	agent := harness.Start(t, "alice's ergon-agent", alice.Spec("ergon-agent", "run", "--config", config))
	agent.WaitLog(t, "agent is running", 30*time.Second)
	if uid := owner(t, agent.PID()); uid != alice.UID() {
		t.Errorf("the agent runs as uid %d, want alice's %d", uid, alice.UID())
	}
	for _, pid := range world.Processes("ergon-agent") {
		if uid := owner(t, pid); uid != alice.UID() {
			t.Errorf("process %d of the agent runs as uid %d", pid, uid)
		}
	}
	status := alice.Must(t, "ergon", "status")
	if !strings.Contains(status, "user mode") || !strings.Contains(status, "on") {
		t.Errorf("status:\n%s", status)
	}
	stranger := *bob
	stranger.Extra = []string{"ERGON_AGENT_SOCKET=" + filepath.Join(alice.Home, ".local", "state", "ergon", "agent.sock")}
	if result := stranger.Run(t, "ergon", "status"); result.Code == 0 {
		t.Errorf("alice's agent answers bob: %s", result.Stdout)
	}
	job := walk(t)
	if hidden := bob.Jobs(t, job.SlurmJobID); len(hidden) != 0 {
		t.Errorf("bob sees alice's job: %+v", hidden)
	}
	theirs := submitPlain(t, bob)
	mine := submitPlain(t, alice)
	alice.WaitJob(t, mine, "ended", site.Ended)
	if jobs := bob.Jobs(t, theirs); len(jobs) != 0 {
		t.Errorf("alice's agent told of bob's job: %+v", jobs)
	}
	if code, err := agent.Stop(20 * time.Second); err != nil || code != 0 {
		t.Errorf("the agent ended with %d, %v", code, err)
	}
}

// walk is the short way of one job.
func walk(t *testing.T) site.Job {
	t.Helper()
	dir := alice.Mkdir(t)
	id := alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --mem=200M --output=stdout.txt --profile=task
#ERGON outputs=*.dat
echo "the answer is 42" > out.dat
srun python3 %s 4 40
`, world.Burn()), "--chdir="+dir)
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if job.State != "DONE" || job.SubmissionID == "" {
		t.Errorf("job %+v, want DONE, tagged", job)
	}
	stored := map[string]string{}
	for _, f := range alice.Files(t, job.ID) {
		stored[f.Name] = f.SHA256
	}
	for _, name := range []string{"stdout.txt", "out.dat"} {
		if want := site.SHA256(t, filepath.Join(dir, name)); stored[name] != want {
			t.Errorf("%s is stored as %q, the job wrote %s", name, stored[name], want)
		}
	}
	report := alice.WaitReport(t, job.ID, "from the profile", func(r site.Report) bool { return len(r.Sources) > 0 && r.Sources[0] == "hdf5_profile" })
	if out := alice.Must(t, "ergon", "job", id); !strings.Contains(out, report.Verdict) {
		t.Errorf("ergon job does not print the verdict %q:\n%s", report.Verdict, out)
	}
	return job
}

func submitPlain(t *testing.T, p *site.Person) string {
	t.Helper()
	id, _, _ := strings.Cut(strings.TrimSpace(p.Must(t, "sbatch", "--parsable", "--mem=20M", "--output=/dev/null", "--wrap", "true")), ";")
	return id
}

func owner(t *testing.T, pid int) uint32 {
	t.Helper()
	uid, err := site.Owner(pid)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}
