package efficiency

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func accountsOf(l Ledger) map[string]*Account {
	return map[string]*Account{"core_s": l.CoreS, "byte_s": l.ByteS, "gpu_s": l.GPUS, "joule": l.Joule}
}

func TestTotalsDoNotDependOnTheOrderOfTheJobs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reports []Report
		for range rapid.IntRange(1, 8).Draw(t, "jobs") {
			reports = append(reports, Analyse(anyInput(t)))
		}
		forward := AddUp(reports)
		slices.Reverse(reports)
		backward := AddUp(reports)
		for name, a := range accountsOf(forward.Ledger) {
			b := accountsOf(backward.Ledger)[name]
			conserved(t, a)
			if (a == nil) != (b == nil) {
				t.Fatalf("%s is known in one order only", name)
			}
			if a != nil && math.Abs(a.Idle-b.Idle) > 1e-9*(a.Allocated+a.Overuse) {
				t.Fatalf("%s idle %v and %v", name, a.Idle, b.Idle)
			}
		}
		for _, name := range MetricNames() {
			x, y := forward.Metrics[name], backward.Metrics[name]
			if (x.Value == nil) != (y.Value == nil) || x.Value != nil && math.Abs(*x.Value-*y.Value) > 1e-9*(math.Abs(*x.Value)+1e-9) {
				t.Fatalf("%s: %+v and %+v", name, x, y)
			}
		}
	})
}

func TestAnEfficiencyOfTotalsLiesBetweenThoseOfTheJobs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lowest, highest := math.Inf(1), math.Inf(-1)
		var reports []Report
		for range rapid.IntRange(1, 10).Draw(t, "jobs") {
			r := Analyse(Input{Rows: anyRows(t)})
			if r.Ledger.CoreS == nil || r.Ledger.CoreS.Allocated <= 0 {
				continue
			}
			if v, ok := r.Value(CPUEfficiency); ok {
				lowest, highest = min(lowest, v), max(highest, v)
			}
			reports = append(reports, r)
		}
		v, ok := Report{Metrics: AddUp(reports).Metrics}.Value(CPUEfficiency)
		if ok && (v < lowest*(1-1e-9) || v > highest*(1+1e-9)) {
			t.Fatalf("%v is not between %v and %v", v, lowest, highest)
		}
	})
}

func TestJoulesAreDividedAsTheWorkWas(t *testing.T) {
	for _, c := range []struct {
		name                         string
		pairs                        []string
		usage                        string
		used, idle, lost, unmeasured float64
	}{
		{"half of the CPUs worked", nil, "cpu=00:03:20", 500, 500, 0, 0},
		{"a failed job loses all", []string{"State=FAILED", "ExitCode=1:0"}, "cpu=00:03:20", 0, 0, 1000, 0},
		{"no usage is known", nil, "", 0, 0, 0, 1000},
		{"GPUs decide where there are some", []string{"AllocTRES=cpu=4,node=1,gres/gpu=2"}, "cpu=00:03:20,gres/gpuutil=50", 250, 750, 0, 0},
		{"overuse leaves nothing idle", nil, "cpu=00:13:20", 1000, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := append([]string{"JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=100", "ConsumedEnergyRaw=1000"}, c.pairs...)
			r := analyse(t, row(job...), row("JobID=5.0", "State=COMPLETED", "NTasks=1", "ElapsedRaw=100", "TRESUsageInTot="+c.usage))
			a := r.Ledger.Joule
			conserved(t, a)
			for what, pair := range map[string][2]float64{"used": {a.Used, c.used}, "idle": {a.Idle, c.idle}, "lost": {a.Lost, c.lost}, "unmeasured": {a.Unmeasured, c.unmeasured}} {
				if math.Abs(pair[0]-pair[1]) > 1e-6 {
					t.Errorf("%s %v, want %v", what, pair[0], pair[1])
				}
			}
		})
	}
}

func TestWasteOfAnUpperBoundIsALowerBound(t *testing.T) {
	r := Analyse(Input{Rows: []*record{longJob(), step0(goodCPU + "," + goodMem)}})
	if m := want(t, r, WastedMemory, 14*gib*7200); m.Bound != Lower {
		t.Errorf("memory use is an upper bound, its waste %s", m.Bound)
	}
	if m := want(t, r, WastedCPU, 4*3600); m.Bound != Exact {
		t.Errorf("bound %s", m.Bound)
	}
}

func TestSumsOfAccountsKeepTheirInputs(t *testing.T) {
	a := balance(parts{allocated: 10, used: 4, usedOK: true, bound: Exact})
	b := balance(parts{allocated: 20, cause: CauseOOM, bound: Upper})
	sum := a.Plus(b)
	if sum.Allocated != 30 || sum.LostBy[CauseOOM] != 20 || sum.Bound != Upper || a.Allocated != 10 || len(a.LostBy) != 0 {
		t.Errorf("sum %+v of %+v and %+v", *sum, *a, *b)
	}
	sum.LostBy[CauseOOM] = 0
	if b.LostBy[CauseOOM] != 20 {
		t.Error("the sum shares its causes with its part")
	}
	if (*Account)(nil).Plus(nil) != nil || (*Account)(nil).Wasted() != 0 {
		t.Error("nothing and nothing is something")
	}
}

func TestWhatTheSiteBrokeIsNoErrorOfTheUser(t *testing.T) {
	for _, state := range []string{"LAUNCH_FAILED", "RECONFIG_FAIL"} {
		r := analyse(t, row("JobID=1", "State="+state, "AllocCPUS=2", "NNodes=1", "ElapsedRaw=100", "Start=1000", "NodeList=n1"))
		if lost := r.Ledger.CoreS.LostBy; lost[CauseNodeFail] != 200 || len(lost) != 1 {
			t.Errorf("%s: %v", state, lost)
		}
	}
}
