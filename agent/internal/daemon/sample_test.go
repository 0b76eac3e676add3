package daemon_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

const sstatScript = "#!/bin/sh\necho \"$*\" >> \"$(dirname \"$0\")/sstat.args\"\necho '7.batch|1|00:00:05|1024|n1|1024|cpu=00:00:05,mem=1024|||fs/disk=1|0'\n"

// run makes job 7 run, submitted through this agent.
func (n *node) run(c *socket.Client) {
	n.t.Helper()
	id, err := jobkey.NewSubmission()
	if err != nil {
		n.t.Fatal(err)
	}
	in := socket.Intent{SubmissionID: id, Dirs: outputs.Dirs{Output: "/o"}}
	if err := errors.Join(c.Intent(n.t.Context(), in), c.Result(n.t.Context(), socket.Result{Intent: in, BaseID: "7"})); err != nil {
		n.t.Fatal(err)
	}
	n.fake.Answer("squeue", slurmtest.Squeue(row(id, "RUNNING")))
	n.until("the job is told", func() bool { return slices.Contains(n.plane.told(), "submitted RUNNING") })
}

func TestARunningJobIsSampledWhereTheSiteAsksForIt(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.opt.Config.Slurm.SstatPerMinute = 60
	n.enrol()
	n.fake.Replace("sstat", sstatScript)
	n.run(n.start())
	var got []api.AccountingBatch
	n.until("a sample arrives", func() bool {
		n.plane.set(func() { got = slices.Clone(n.plane.samples) })
		return len(got) > 0
	})
	first := got[0]
	if len(first.Rows) != 1 || !slices.Contains(first.Columns, "TRESUsageInTot") || time.Since(*first.SampledAt) > time.Minute {
		t.Fatalf("%+v", first)
	}
	for name, want := range map[string]string{"JobID": "7.batch", "JobIDRaw": "7", "AveCPU": "00:00:05"} {
		if at := slices.Index(first.Columns, name); at < 0 || first.Rows[0][at] != want {
			t.Errorf("%s is not %s in %+v", name, want, first)
		}
	}
	n.fake.Replace("sstat", "#!/bin/sh\necho 'sstat: error: Unable to contact slurm controller (connect failure)' >&2\nexit 1\n")
	n.until("the failure is logged", func() bool { return strings.Contains(n.log.String(), "running jobs have no new sample") })
	if told := n.plane.told(); len(told) != 1 {
		t.Errorf("sampling made events: %q", told)
	}
}

func TestNobodyIsSampledUnlessTheSiteAsksForIt(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	n.fake.Replace("sstat", sstatScript)
	n.run(n.start())
	time.Sleep(1500 * time.Millisecond) // the fastest rate that can be set is a call a second
	if calls := n.fake.Calls("sstat"); len(calls) > 0 {
		t.Errorf("sstat was asked by default: %q", calls)
	}
}
