// Package private runs the site's agent where Slurm hides other users' jobs from it (PrivateData in slurm.conf and
// slurmdbd.conf) and nobody has given its account the right to see them: it asks as each linked user, through that user's
// helper, and takes nothing that it is not shown for gone.
package private

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

var (
	world      *site.Site
	alice, bob *site.Person
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		world, err = site.Start(ctx, h, site.Options{Slurm: harness.SlurmOptions{Nodes: 2, PrivateData: "jobs,usage,users"}})
		if err != nil {
			return err
		}
		if alice, err = world.Join(ctx, "alice"); err != nil {
			return err
		}
		bob, err = world.Visit("bob")
		return err
	}))
}

const script = "#!/bin/sh\n#ERGON outputs=result.txt\necho done >\"$ERGON_OUTPUT_DIR/result.txt\"\nsleep 1\n"

func TestALinkedUsersJobIsFollowedAndUploadedThroughTheUsersOwnEyes(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	id := alice.Sbatch(t, script)
	job := alice.WaitJob(t, id, "ended, with its outputs stored", site.Settled)
	if job.State != "DONE" {
		t.Errorf("state %s", job.State)
	}
	stored := false
	for _, f := range alice.Files(t, job.ID) {
		stored = stored || strings.HasSuffix(f.Name, "result.txt")
	}
	if !stored {
		t.Errorf("result.txt is not stored: %+v", alice.Files(t, job.ID))
	}
	if status := alice.Must(t, "ergon", "status"); !strings.Contains(status, "adminlevel=operator") {
		t.Errorf("status does not say what would show all jobs:\n%s", status)
	}
}

func TestAJobThatNobodyShowsTheAgentIsNotGivenUp(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	hidden := bob.Sbatch(t, "#!/bin/sh\nsleep 1\n")
	waited := alice.Sbatch(t, script) // whole cycles go by
	alice.WaitJob(t, waited, "ended, with its outputs stored", site.Settled)
	if log := world.Logs(); strings.Contains(log, `"state":"ABSENT"`) || strings.Contains(log, `"state":"LOST"`) {
		t.Errorf("job %s, which only bob sees, was given up", hidden)
	}
	if err := bob.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	if job := bob.WaitJob(t, hidden, "ended, after its owner had linked", site.Ended); job.State != "DONE" || job.SubmissionID == "" {
		t.Errorf("job %+v, want DONE, and still known as a submission", job)
	}
}
