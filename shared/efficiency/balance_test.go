package efficiency

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// conserved checks the ledger's equation exactly, in two orders of summation.
func conserved(t interface{ Errorf(string, ...any) }, a *Account) {
	if a == nil {
		return
	}
	parts := []float64{a.Used, a.Idle, a.Forced, a.Lost, a.Unmeasured}
	var up, down, lost float64
	for i := range parts {
		up += parts[i]
		down += parts[len(parts)-1-i]
		if parts[i] < 0 || math.IsNaN(parts[i]) || math.IsInf(parts[i], 0) {
			t.Errorf("part %d is %v", i, parts[i])
		}
	}
	if left := a.Allocated + a.Overuse; left != up || left != down || a.Allocated < 0 || a.Overuse < 0 {
		t.Errorf("%v + %v = %v, parts %v add up to %v and %v", a.Allocated, a.Overuse, left, parts, up, down)
	}
	for _, c := range sortedKeys(a.LostBy) {
		lost += a.LostBy[c]
	}
	if lost != a.Lost {
		t.Errorf("causes %v add up to %v, not to %v", a.LostBy, lost, a.Lost)
	}
}

func anyParts(t *rapid.T) parts {
	amountOf := func(name string) float64 {
		return rapid.OneOf(rapid.Float64Range(0, 1e6), rapid.Float64Range(0, 1e24), rapid.Just(0.0)).Draw(t, name)
	}
	return parts{
		allocated: amountOf("allocated"), used: amountOf("used"), usedOK: rapid.Bool().Draw(t, "ok"),
		forced: amountOf("forced"), unmeasured: amountOf("unmeasured"),
		cause: rapid.SampledFrom([]Cause{"", "", CauseOOM, CauseTimeout, CauseUser}).Draw(t, "cause"), bound: Exact,
	}
}

func TestEveryBalanceIsConserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { conserved(t, balance(anyParts(t))) })
}

func TestEverySumOfAccountsIsConserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var total *Account
		var allocated float64
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			a := balance(anyParts(t))
			allocated += a.Allocated
			total = total.Plus(a)
			conserved(t, total)
		}
		// The smallest unit of an account follows its whole.
		if math.Abs(total.Allocated-allocated) > 1e-12*(allocated+total.Overuse) {
			t.Errorf("allocated %v, want %v", total.Allocated, allocated)
		}
	})
}

func TestAFailedAttemptIsLostWhole(t *testing.T) {
	a := balance(parts{allocated: 100, used: 30, usedOK: true, unmeasured: 10, forced: 5, cause: CauseOOM})
	if a.Lost != 100 || a.Used+a.Idle+a.Forced+a.Unmeasured+a.Overuse != 0 || a.LostBy[CauseOOM] != 100 {
		t.Errorf("%+v", *a)
	}
}

func TestForcedCapacityIsNotWaste(t *testing.T) {
	r := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=64", "ReqCPUS=4", "NNodes=1", "ElapsedRaw=1000"),
		row("JobID=9.0", "State=COMPLETED", "TotalCPU=00:50:00", "NTasks=4"))
	a := r.Ledger.CoreS
	if a.Used != 3000 || a.Forced != 60000 || a.Idle != 1000 {
		t.Errorf("%+v: 60 CPUs were forced, 1000 core seconds idle", *a)
	}
	want(t, r, WastedCPU, 1000)
	exclusive := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=64", "ReqCPUS=4", "NNodes=1", "ElapsedRaw=1000", "SubmitLine=sbatch --exclusive x.sh"),
		row("JobID=9.0", "State=COMPLETED", "TotalCPU=00:50:00", "NTasks=4"))
	if f := exclusive.Ledger.CoreS.Forced; f != 0 {
		t.Errorf("the user asked for the whole node, yet %v are forced", f)
	}
}

func TestKilledStepsLeaveUnmeasuredTime(t *testing.T) {
	r := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=1000"),
		row("JobID=9.batch", "State=COMPLETED", "ExitCode=0:0", "TotalCPU=00:00.000", "TRESUsageInTot=cpu=00:00:00", "NTasks=1"),
		row("JobID=9.0", "State=CANCELLED", "ExitCode=0:9", "TotalCPU=00:10.000", "NTasks=1", "ElapsedRaw=500", "AllocCPUS=4"))
	a := r.Ledger.CoreS
	if a.Used != 10 || a.Unmeasured != 1990 || a.Idle != 2000 {
		t.Errorf("%+v", *a)
	}
}

func TestLostByCause(t *testing.T) {
	for state, cause := range map[string]Cause{
		"OUT_OF_MEMORY": CauseOOM, "TIMEOUT": CauseTimeout, "DEADLINE": CauseTimeout, "NODE_FAIL": CauseNodeFail, "BOOT_FAIL": CauseNodeFail,
		"PREEMPTED": CausePreemption, "REQUEUED": CauseRequeue, "FAILED": CauseUser, "CANCELLED by 1000": CauseUser,
	} {
		t.Run(state, func(t *testing.T) {
			r := analyse(t, row("JobID=9", "State="+state, "AllocCPUS=4", "NNodes=1", "ElapsedRaw=100", "NodeList=n1", "Start=1000"))
			if got := r.Ledger.CoreS.LostBy[cause]; got != 400 {
				t.Errorf("lost by %s: %v, want 400 (%+v)", cause, got, *r.Ledger.CoreS)
			}
		})
	}
}
