package efficiency

import (
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func ids(groups []JobRows) []string {
	var out []string
	for _, g := range groups {
		out = append(out, g.ID)
	}
	return out
}

func wantIDs(t *testing.T, got []JobRows, expected ...string) {
	t.Helper()
	list := ids(got)
	if len(list) != len(expected) {
		t.Fatalf("jobs %q, want %q", list, expected)
	}
	for i := range list {
		if list[i] != expected[i] {
			t.Fatalf("jobs %q, want %q", list, expected)
		}
	}
}

func TestGroupKnowsEveryKindOfID(t *testing.T) {
	var rows []*record
	for _, id := range []string{"123", "123.batch", "123.0", "123_4", "123_4.batch", "123_[1-10%5]", "123+0", "123+1.0", "123_2+3.1", "123.extern"} {
		rows = append(rows, row("JobID="+id))
	}
	wantIDs(t, Group(rows), "123", "123_4", "123_[1-10%5]", "123+0", "123+1", "123_2+3")
}

func TestRowsWithoutIDAreJobsOfTheirOwn(t *testing.T) {
	wantIDs(t, Group([]*record{row("AllocTRES=cpu=1"), row("AllocTRES=cpu=1"), row("JobID=", "JobIDRaw=7"), row("JobIDRaw=7.batch")}), "", "", "7")
}

func TestAnUnreadableIDIsKeptAndTheNumbersComputed(t *testing.T) {
	groups := Group([]*record{
		row("JobID=job#1", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=100"),
		row("JobID=job#1.batch", "State=COMPLETED", "TotalCPU=00:50.000", "NTasks=1"),
	})
	wantIDs(t, groups, "job#1")
	r := Analyse(Input{Rows: groups[0].Rows})
	if m := want(t, r, CPUEfficiency, 50); !m.Has(BadJobID) {
		t.Errorf("reasons %v", m.Reasons)
	}
	if r.Job.JobID != "job#1" || r.ID != "job#1" {
		t.Errorf("id %q, job %q", r.ID, r.Job.JobID)
	}
}

func fixture(name string) string { return filepath.Join("..", "slurmfmt", "testdata", name) }

func TestRequeuedJobIsOneJobWithTwoAttempts(t *testing.T) {
	rows := sacctRows(t, fixture("sacct_D_15.p2"), slurmfmt.Options{})
	groups := Group(rows)
	wantIDs(t, groups, "15")
	r := Analyse(Input{Rows: groups[0].Rows})
	if len(r.Attempts) != 2 || r.Job.Restarts != 1 || r.Job.SlurmState != "COMPLETED" {
		t.Fatalf("%d attempts, %d restarts, %s", len(r.Attempts), r.Job.Restarts, r.Job.SlurmState)
	}
	if first := r.Attempts[0].Job; first.SlurmState != "REQUEUED" || first.NodeList != "n3" {
		t.Errorf("the oldest comes first: %+v", first)
	}
}

func TestNodeFailureThenCancelledBeforeStart(t *testing.T) {
	groups := Group(sacctRows(t, fixture("sacct_D_11.p2"), slurmfmt.Options{}))
	wantIDs(t, groups, "11")
	r := Analyse(Input{Rows: groups[0].Rows})
	if len(r.Attempts) != 2 || r.Attempts[0].Job.SlurmState != "NODE_FAIL" || r.Attempts[1].Started() {
		t.Errorf("attempts %+v", r.Attempts)
	}
}

func TestReusedNumbersAreDifferentJobs(t *testing.T) {
	first := row("JobID=1", "JobIDRaw=1", "JobName=a", "UID=1", "Submit=1000", "Start=1001", "End=1100", "State=COMPLETED")
	later := row("JobID=1", "JobIDRaw=1", "JobName=a", "UID=1", "Submit=9000", "Start=9001", "End=9100", "State=COMPLETED")
	again := row("JobID=1", "JobIDRaw=1", "JobName=a", "UID=1", "Submit=1100", "Start=1200", "End=1300", "State=COMPLETED")
	other := row("JobID=1", "JobIDRaw=1", "JobName=b", "UID=2", "Submit=1100", "Start=1200", "End=1300", "State=COMPLETED")
	wantIDs(t, Group([]*record{first, later}), "1", "1")
	wantIDs(t, Group([]*record{first, again}), "1")
	wantIDs(t, Group([]*record{again, first, later}), "1", "1")
	wantIDs(t, Group([]*record{first, other}), "1", "1")
}

func TestTheSameTagMakesOneJob(t *testing.T) {
	const comment = "Comment=ergon1:0195f3a0-0000-7000-8000-000000000001"
	a := row("JobID=1", "Submit=1000", "Start=1001", "End=1100", comment)
	b := row("JobID=1", "Submit=5000", "Start=5001", "End=5100", comment)
	wantIDs(t, Group([]*record{a, b}), "1")
}

func TestTwoAttemptsAreNotMerged(t *testing.T) {
	rows := []*record{
		row("JobID=7", "Submit=1000", "Start=1000", "End=4600", "State=NODE_FAIL", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=3600"),
		row("JobID=7.batch", "Start=1000", "End=4600", "State=CANCELLED", "ExitCode=", "TotalCPU=01:00:00", "NTasks=1"),
		row("JobID=7", "Submit=4600", "Start=5000", "End=6800", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=1800"),
		row("JobID=7.batch", "Start=5000", "End=6800", "State=COMPLETED", "ExitCode=0:0", "TotalCPU=00:54:00", "NTasks=1"),
	}
	for name, order := range map[string][]int{"as sacct prints": {0, 1, 2, 3}, "shuffled": {3, 1, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			var in []*record
			for _, i := range order {
				in = append(in, rows[i])
			}
			r := Analyse(Input{Rows: in})
			want(t, r.Attempts[0], CPUEfficiency, 50)
			want(t, r.Attempts[1], CPUEfficiency, 90)
			want(t, r, CPUUsed, 3600+3240)
			want(t, r, CPUEfficiency, 100*6840.0/10800)
			a := r.Ledger.CoreS
			if a.Lost != 7200 || a.Used != 3240 || a.Idle != 360 || a.LostBy[CauseNodeFail] != 7200 {
				t.Errorf("%+v", *a)
			}
			if *r.Job.ElapsedSeconds != 5400 {
				t.Errorf("elapsed %v, want the sum of both", *r.Job.ElapsedSeconds)
			}
		})
	}
}

func TestTheSameRowReadTwiceIsOneAttempt(t *testing.T) {
	running := row("JobID=7", "Submit=1000", "Start=1000", "State=RUNNING", "AllocCPUS=1", "ElapsedRaw=10")
	done := row("JobID=7", "Submit=1000", "Start=1000", "End=1100", "State=COMPLETED", "AllocCPUS=1", "ElapsedRaw=100")
	for _, rows := range [][]*record{{running, done}, {done, running}, {done, done, running}} {
		r := Analyse(Input{Rows: rows})
		if len(r.Attempts) != 0 || r.Job.SlurmState != "COMPLETED" {
			t.Errorf("%d attempts, state %s", len(r.Attempts), r.Job.SlurmState)
		}
	}
}

func TestAttemptsWithoutTimesFollowTheOrderOfTheRows(t *testing.T) {
	r := analyse(t,
		row("JobID=7", "State=NODE_FAIL", "AllocCPUS=1", "ElapsedRaw=100"), row("JobID=7.batch", "TotalCPU=00:50.000", "NTasks=1"),
		row("JobID=7", "State=COMPLETED", "AllocCPUS=1", "ElapsedRaw=200"), row("JobID=7.batch", "TotalCPU=03:20.000", "NTasks=1"))
	want(t, r.Attempts[0], CPUEfficiency, 50)
	want(t, r.Attempts[1], CPUEfficiency, 100)
}

// A dump may hold a job as it waited and as it ran: the row that waits has no start yet.
func TestARowThatWaitedIsNoAttemptOfItsOwn(t *testing.T) {
	waits := row("JobID=7", "Submit=1000", "State=PENDING", "Start=Unknown", "End=Unknown")
	ran := row("JobID=7", "Submit=1000", "State=COMPLETED", "Start=1100", "End=1200", "ElapsedRaw=100", "AllocCPUS=1")
	again := row("JobID=7", "Submit=1200", "State=COMPLETED", "Start=1300", "End=1400", "ElapsedRaw=100", "AllocCPUS=1")
	cancelled := row("JobID=7", "Submit=1000", "State=CANCELLED", "Start=None", "End=1050")
	for name, c := range map[string]struct {
		rows     []*record
		attempts int
		state    string
	}{
		"waited, then ran":           {[]*record{waits, ran}, 0, "COMPLETED"},
		"the other order":            {[]*record{ran, waits}, 0, "COMPLETED"},
		"waited, ran, requeued":      {[]*record{waits, ran, again}, 2, "COMPLETED"},
		"requeued, in another order": {[]*record{again, ran, waits}, 2, "COMPLETED"},
		"waited, then cancelled":     {[]*record{waits, cancelled}, 0, "CANCELLED"},
		"cancelled, seen again":      {[]*record{cancelled, waits}, 0, "CANCELLED"},
		"other rows by DBIndex":      {[]*record{row("JobID=7", "Submit=1000", "State=REQUEUED", "Start=1100", "End=1200", "ElapsedRaw=100", "AllocCPUS=1", "DBIndex=1"), row("JobID=7", "Submit=1000", "State=PENDING", "Start=Unknown", "DBIndex=2")}, 2, "PENDING"},
	} {
		r := Analyse(Input{Rows: c.rows})
		if len(r.Attempts) != c.attempts || r.Job.SlurmState != c.state {
			t.Errorf("%s: %d attempts, %s; want %d, %s", name, len(r.Attempts), r.Job.SlurmState, c.attempts, c.state)
		}
	}
}
