package efficiency

import (
	"strings"
	"testing"
)

// task is one task of an array with its efficiency.
func task(id, state, cpus, elapsed, cpu string) Report {
	rows := []*record{
		row("JobID="+id, "State="+state, "AllocCPUS="+cpus, "NNodes=1", "NodeList=n1", "ElapsedRaw="+elapsed, "AllocTRES=cpu="+cpus+",mem=1G,node=1", "TimelimitRaw=60"),
		row("JobID="+id+".batch", "State="+state, "NTasks=1", "TRESUsageInTot=cpu="+cpu+",mem=512M"),
	}
	return Analyse(Input{Rows: rows})
}

func never() Report {
	return analyse(t0{}, row("JobID=1", "State=CANCELLED", "Start=None", "NodeList=None assigned", "AllocCPUS=1000", "ElapsedRaw=0"))
}

func TestAggregatesAreRatiosOfSums(t *testing.T) {
	got := AddUp([]Report{
		task("1", "COMPLETED", "1", "100", "00:01:40"), // 100 % of 100
		task("2", "COMPLETED", "9", "100", "00:00:00"), // 0 % of 900
		never(),
	})
	if got.Jobs != 3 || got.Started != 2 {
		t.Errorf("%d jobs, %d started", got.Jobs, got.Started)
	}
	r := Report{Metrics: got.Metrics}
	want(t, r, CPUEfficiency, 10)
	want(t, r, MemoryEfficiency, 50)
	want(t, r, MemoryPeak, 512<<20)
	want(t, r, TimeEfficiency, 100*200.0/7200)
	want(t, r, WastedCPU, 900)
	if a := got.Ledger.CoreS; a.Allocated != 1000 || a.Used != 100 || a.Idle != 900 {
		t.Errorf("%+v", *a)
	}
	wantMissing(t, r, Energy, MissingField)
}

func TestNothingAddsUpToMissing(t *testing.T) {
	r := Report{Metrics: AddUp(nil).Metrics}
	for _, name := range MetricNames() {
		wantMissing(t, r, name, MissingField)
	}
	r = Report{Metrics: AddUp([]Report{never()}).Metrics}
	wantMissing(t, r, CPUEfficiency, NeverStarted)
}

func TestArraySummary(t *testing.T) {
	s := Summarise([]Report{
		task("6_0", "COMPLETED", "1", "100", "00:01:40"), task("6_1", "COMPLETED", "1", "100", "00:00:50"),
		task("6_2", "COMPLETED", "1", "100", "00:00:10"), task("6_3", "FAILED", "1", "100", "00:00:20"), task("6_10", "OUT_OF_MEMORY", "1", "100", "00:00:30"),
		never(),
	})
	if s.JobID != "6" || s.Tasks != 6 || s.States["COMPLETED"] != 3 {
		t.Errorf("%+v", s)
	}
	if f := s.Failed; len(f[CauseOOM]) != 1 || f[CauseOOM][0] != "6_10" || len(f[CauseUser]) != 1 {
		t.Errorf("failed %v", f)
	}
	d := s.Distributions[CPUEfficiency]
	if d.N != 5 || *d.Min != 10 || *d.Q1 != 20 || *d.Median != 30 || *d.Q3 != 50 || *d.Max != 100 {
		t.Errorf("%+v", d)
	}
	if d.Worst[0].JobID != "6_2" || len(d.Worst) != 5 {
		t.Errorf("worst %+v", d.Worst)
	}
	if e := s.Distributions[Energy]; e.N != 0 || e.Missing != 5 || e.Min != nil {
		t.Errorf("%+v", e)
	}
}

func TestTasksThatWaitCountAsManyAsTheyAre(t *testing.T) {
	waiting := Analyse(Input{Rows: []*record{row("JobID=6_[5,10-99%4]", "State=PENDING", "Start=Unknown")}})
	s := Summarise([]Report{task("6_0", "COMPLETED", "1", "100", "00:01:40"), waiting})
	if s.Tasks != 92 || s.States["PENDING"] != 91 || s.States["COMPLETED"] != 1 {
		t.Errorf("%d tasks, %v", s.Tasks, s.States)
	}
	if d := s.Distributions[CPUEfficiency]; d.N != 1 || d.Missing != 0 {
		t.Errorf("%+v", d)
	}
}

func TestHetJobTotals(t *testing.T) {
	a := task("21+0", "COMPLETED", "1", "100", "00:01:40")
	b := task("21+1", "COMPLETED", "3", "100", "00:00:00")
	r := HetTotal([]Report{a, b})
	if r.Job.JobID != "21" || *r.Job.CPUs != 4 || *r.Job.Nodes != 2 || *r.Job.ElapsedSeconds != 100 || len(r.Attempts) != 2 {
		t.Errorf("%+v", r.Job)
	}
	want(t, r, CPUEfficiency, 25)
	want(t, r, MemoryPeak, gib)
	if m := r.Metrics[MemoryPeak]; m.Bound != Upper {
		t.Errorf("bound %s", m.Bound)
	}
	if b.Job.ParentID != "21" || *b.Job.HetComponent != 1 {
		t.Errorf("component %+v", b.Job)
	}
	if *r.Job.MemoryBytes != 2*gib || r.Job.NodeList != "n1,n1" || r.Verdict != "COMPLETED, 2 components: used 25 % of its CPUs, at most 50 % of its memory." {
		t.Errorf("%+v, %q", r.Job, r.Verdict)
	}
	if HetTotal(nil).Metrics[CPUUsed].Value != nil {
		t.Error("no component, yet a number")
	}
}

func TestAHetJobEndsAsTheComponentThatDecided(t *testing.T) {
	done, oom := task("21+0", "COMPLETED", "1", "100", "00:01:40"), task("21+1", "OUT_OF_MEMORY", "3", "80", "00:00:00")
	cancelled := task("21+2", "CANCELLED", "1", "80", "00:00:01")
	r := HetTotal([]Report{done, cancelled, oom})
	if r.Job.State != "FAILED" || r.Job.SlurmState != "OUT_OF_MEMORY" || !strings.HasPrefix(r.Verdict, "3 components. 21+1: OUT OF MEMORY") {
		t.Errorf("%s %s %q", r.Job.State, r.Job.SlurmState, r.Verdict)
	}
	if r := HetTotal([]Report{oom, task("21+1", "RUNNING", "1", "80", "")}); r.Job.State != "RUNNING" {
		t.Errorf("one runs still: %s", r.Job.State)
	}
}

func TestAHetJobOfWhichAComponentIsNotMeasured(t *testing.T) {
	blind := Analyse(Input{Rows: []*record{row("JobID=21+1", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=50", "AllocTRES=cpu=2,node=1")}})
	metered := Analyse(Input{Rows: []*record{
		row("JobID=21+0", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "NodeList=n1", "ElapsedRaw=100", "AllocTRES=cpu=1,mem=1G,node=1", "ConsumedEnergyRaw=72000"),
		row("JobID=21+0.batch", "State=COMPLETED", "NTasks=1", "TRESUsageInTot=cpu=00:01:40,mem=512M"),
	}})
	r := HetTotal([]Report{metered, blind})
	if m := want(t, r, MemoryPeak, 512<<20); m.Bound == Upper || m.Bound == Exact || !m.Has(UnmeasuredNodes) {
		t.Errorf("memory of half the job: %+v", m)
	}
	wantMissing(t, r, CPUEfficiency, UnmeasuredNodes)
	if m := want(t, r, CPUUsed, 100); m.Bound != Lower {
		t.Errorf("CPU time %+v", m)
	}
	e, p := r.Metrics[Energy], want(t, r, PowerAverage, 720)
	if p.Bound != e.Bound || p.Bound == Exact || !p.Has(UnmeasuredNodes) || p.Source != e.Source {
		t.Errorf("power is known no better than energy: %+v, %+v", p, e)
	}
	if r.Everyday != Everyday(72000) || r.Job.MemoryBytes != nil {
		t.Errorf("%q %v", r.Everyday, r.Job.MemoryBytes)
	}
}

// t0 stands in for a test where a report is made outside of one.
type t0 struct{}

func (t0) Helper() {}

func TestAPartWithoutTheNumberMakesALowerBound(t *testing.T) {
	measured := Analyse(Input{Rows: []*record{energyJob("ConsumedEnergyRaw=100", "AllocTRES=cpu=4,mem=1G,node=1,gres/gpu=2")}, Cluster: wholeNodes()})
	silent := Analyse(Input{Rows: []*record{energyJob("JobID=9", "AllocTRES=")}, Cluster: wholeNodes()})
	if b := measured.Metrics[Energy].Bound; b != Exact {
		t.Fatalf("bound %s", b)
	}
	for name, m := range AddUp([]Report{measured, silent}).Metrics {
		if (name == Energy || name == GPUCount) && (m.Value == nil || m.Bound != Lower || !m.Has(MissingField)) {
			t.Errorf("%s: %+v: of one of two jobs nothing is known", name, m)
		}
	}
	if m := AddUp([]Report{measured, never()}).Metrics[Energy]; m.Bound != Exact {
		t.Errorf("bound %s: a job that never started used nothing", m.Bound)
	}
	// A ratio is about those that have both numbers, and no number where it does not apply is no missing one.
	cpu := AddUp([]Report{task("1", "COMPLETED", "1", "100", "00:01:40"), silent}).Metrics
	if m := cpu[CPUEfficiency]; m.Bound != Exact {
		t.Errorf("bound %s", m.Bound)
	}
	if m := cpu[CPUUsed]; m.Bound != Lower {
		t.Errorf("bound %s", m.Bound)
	}
}

func TestTwoAttemptsOfWhichOneHasNoEnergy(t *testing.T) {
	rows := []*record{
		energyJob("State=NODE_FAIL", "Submit=1", "Start=1000", "End=1010", "ConsumedEnergyRaw=100"),
		energyJob("Submit=2", "Start=2000", "End=2010"),
	}
	if m := want(t, Analyse(Input{Rows: rows, Cluster: wholeNodes()}), Energy, 100); m.Bound != Lower {
		t.Errorf("bound %s: what the second used is not known", m.Bound)
	}
}
