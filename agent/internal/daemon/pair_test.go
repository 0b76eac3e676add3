package daemon_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/google/uuid"
)

// pair is two login nodes of one cluster with an agent each, at one control plane and one Slurm. Both clocks can be put
// forward.
type pair struct {
	first, second *node
	shift         atomic.Int64
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{first: newNode(t, false), second: newNode(t, false)}
	p.second.fake, p.second.plane = p.first.fake, p.first.plane
	p.second.opt.Config.Slurm.BinDir = p.first.opt.Config.Slurm.BinDir
	p.first.plane.holders, p.first.plane.gone = map[uuid.UUID]holder{}, map[string]bool{}
	for _, n := range []*node{p.first, p.second} {
		n.opt.Now = func() time.Time { return time.Now().Add(time.Duration(p.shift.Load())) }
		n.enrol()
	}
	return p
}

// count says how often a worker was asked to collect.
func (w *worker) count() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.jobs) }

func (p *pair) verifiedOnce(t *testing.T) {
	t.Helper()
	told := p.first.plane.told()
	n := 0
	for _, line := range told {
		if line == "manifest DONE verified" {
			n++
		}
	}
	if n != 1 { // the beginning may be told by both: by the finder before the other one was heard
		t.Errorf("the manifest was told %d times: %q", n, told)
	}
}

// begin submits at the first node and starts the second agent when the first one holds the job. It gives the
// row that Slurm shows.
func (p *pair) begin(t *testing.T) (running slurmtest.Row, finder *socket.Client) {
	t.Helper()
	told := p.first.start()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	in := socket.Intent{SubmissionID: id, Dirs: outputs.Dirs{Output: "/o"}}
	if err := errors.Join(told.Intent(t.Context(), in), told.Result(t.Context(), socket.Result{Intent: in, BaseID: "7"})); err != nil {
		t.Fatal(err)
	}
	running = row(id, "RUNNING")
	p.first.fake.Answer("squeue", slurmtest.Squeue(running))
	p.first.until("the told agent holds the job", func() bool {
		p.first.plane.mu.Lock()
		defer p.first.plane.mu.Unlock()
		return p.first.plane.holders[jobkey.Tagged(id, "")].told
	})
	finder = p.second.start()
	p.second.until("the other one sees the job", func() bool {
		jobs, err := finder.Jobs(t.Context())
		return err == nil && len(jobs) == 1 && jobs[0].State == "RUNNING"
	})
	return running, finder
}

// end lets Slurm end the job, and waits until the second agent has seen it.
func (p *pair) end(t *testing.T, running slurmtest.Row, finder *socket.Client) {
	t.Helper()
	ended := slurmtest.Row{}
	for k, v := range running {
		ended[k] = v
	}
	ended["State"] = "COMPLETED"
	p.first.fake.Answer("sacct", slurmtest.Sacct(ended))
	p.first.fake.Answer("squeue", "")
	p.second.until("the other agent has seen the end", func() bool { return p.second.state(finder).State == "ENDED" })
}

func TestOfTwoAgentsTheOneThatTheWrapperToldReportsAndUploads(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	running, finder := p.begin(t)
	p.end(t, running, finder)
	p.first.until("outputs are verified", func() bool { return slices.Contains(p.first.plane.told(), "manifest DONE verified") })
	if p.first.worker.count() != 1 || p.second.worker.count() != 0 {
		t.Errorf("collected %d and %d times", p.first.worker.count(), p.second.worker.count())
	}
	p.verifiedOnce(t)
	p.first.halt()
	p.second.halt()
}

func TestTheOtherAgentTakesOverWhenOneDies(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	running, finder := p.begin(t)
	p.first.halt() // for ever
	p.end(t, running, finder)
	if n := p.second.worker.count(); n != 0 {
		t.Fatalf("collected %d times while the control plane counts the other agent alive", n)
	}
	dead, err := enrol.Load(p.first.opt.Config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	p.first.plane.set(func() { p.first.plane.gone[dead.AgentID.String()] = true })
	p.shift.Store(int64(6 * time.Minute)) // the next offer is due
	p.second.until("the other one brings the outputs", func() bool {
		p.shift.Add(int64(10 * time.Second)) // the clocks go on: a job whose answer is awaited is looked at again in minutes
		return slices.Contains(p.first.plane.told(), "manifest DONE verified")
	})
	if n := p.second.worker.count(); n != 1 {
		t.Errorf("collected %d times", n)
	}
	p.verifiedOnce(t)
	p.second.halt()
}
