package daemon_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/daemon"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/google/uuid"
)

// reader is a worker that reads stdout files as a helper would.
type reader struct{ *worker }

func (r reader) Tail(_ context.Context, job outputs.JobFiles, _ outputs.Class, _ int64, to io.Writer) error {
	data, err := os.ReadFile(job.Dirs.Stdout)
	if err == nil {
		_, err = to.Write(data)
	}
	return err
}

// adopter is a node's agent that was away when a tagged job was submitted; keep writes what the wrapper kept.
func adopter(t *testing.T, keep func(spool string, id uuid.UUID)) (*node, *socket.Client) {
	t.Helper()
	n := newNode(t, true)
	home := t.TempDir()
	n.opt.Worker = reader{n.worker}
	n.opt.Place = func(context.Context, uint32) (daemon.Place, error) { return daemon.Place{Home: home, GID: 7}, nil }
	n.plane.links = []api.Link{{Id: uuid.New(), Cluster: "lab", Uid: int64(os.Getuid()), UnixName: "me", UserId: uuid.New()}}
	n.enrol()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(home, ".local", "state", "ergon", "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		t.Fatal(err)
	}
	keep(spool, id)
	n.fake.Answer("squeue", slurmtest.Squeue(row(id, "RUNNING")))
	c := n.start()
	n.until("the job is adopted", func() bool {
		jobs, err := c.Jobs(t.Context())
		return err == nil && len(jobs) == 1 && jobs[0].State == "RUNNING"
	})
	n.halt() // the first look after a start finds it, so the test need not wait for the next
	return n, n.start()
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, data, fs.FileMode(0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatTheWrapperKeptWhileTheAgentWasAwayIsFoundByTheAgent(t *testing.T) {
	t.Parallel()
	n, c := adopter(t, func(spool string, id uuid.UUID) {
		write(t, filepath.Join(spool, id.String()+".json"), socket.Result{
			Intent: socket.Intent{SubmissionID: id, Dirs: outputs.Dirs{Output: "/o"}, Globs: []string{"*.nc"}},
		})
	})
	id := n.state(c).SubmissionID
	ended := row(id, "COMPLETED")
	n.fake.Answer("sacct", slurmtest.Sacct(ended))
	n.fake.Answer("squeue", "")
	n.until("the declared outputs are collected", func() bool {
		n.worker.mu.Lock()
		defer n.worker.mu.Unlock()
		return slices.ContainsFunc(n.worker.jobs, func(j outputs.JobFiles) bool {
			return j.SubmissionID == id && j.Dirs.Output == "/o" && slices.Equal(j.Globs, []string{"*.nc"}) && j.GID == 7
		})
	})
	n.halt()
}

func TestAKeptFileThatIsNotOfTheSubmissionIsNotTaken(t *testing.T) {
	t.Parallel()
	n, c := adopter(t, func(spool string, id uuid.UUID) {
		write(t, filepath.Join(spool, id.String()+".json"), socket.Result{Intent: socket.Intent{SubmissionID: uuid.New(), Globs: []string{"*"}}})
	})
	n.until("it is said in the log", func() bool { return strings.Contains(n.log.String(), "holds no result of this submission") })
	if got := n.state(c); got.State != "RUNNING" {
		t.Errorf("got %+v", got)
	}
	n.halt()
}
