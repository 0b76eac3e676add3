package efficiency

import (
	"math"
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// near compares within a relative tolerance.
func near(t *testing.T, r Report, name MetricName, expected, tolerance float64) Metric {
	t.Helper()
	m := r.Metrics[name]
	if m.Value == nil || math.Abs(*m.Value-expected) > tolerance*expected {
		t.Fatalf("%s = %+v (%v), want about %v", name, m, m.Reasons, expected)
	}
	return m
}

func profileFiles(t *testing.T, names ...string) []ProfileFile {
	t.Helper()
	var out []ProfileFile
	for _, n := range names {
		out = append(out, profileFile(t, n))
	}
	return out
}

// Job 20: two nodes, a step of one task and then a step of two (facts of the real
// cluster, Slurm 22.05.8).
func TestRealJob20WithAndWithoutItsProfiles(t *testing.T) {
	rows := sacctRows(t, fixture("sacct_steps_20.p2"), slurmfmt.Options{})
	alone := Analyse(Input{Rows: rows})
	want(t, alone, CPUUsed, 5.865)
	want(t, alone, CPUEfficiency, 100*5.865/76)
	if m := want(t, alone, MemoryPeak, 248488<<10); m.Bound != Upper || m.Source != SourceTRES {
		t.Errorf("bound %s, source %s", m.Bound, m.Source)
	}
	want(t, alone, GPUCount, 2)
	single := profileFiles(t, "20_batch_n1.h5", "20_0_n1.h5", "20_1_n1.h5", "20_1_n2.h5")
	r := Analyse(Input{Rows: rows, Profiles: single})
	want(t, r, CPUUsed, 5.865)
	// The series sees the batch script beside the step's two tasks.
	if m := near(t, r, MemoryPeak, 248488<<10+12140<<10, 0.001); m.Source != SourceProfile {
		t.Errorf("source %s", m.Source)
	}
	if f := hasRule(r, RuleSourceDisagreement); f != nil {
		t.Errorf("%+v", f)
	}
	merged := Analyse(Input{Rows: rows, Profiles: profileFiles(t, "job_20.h5")})
	for _, name := range []MetricName{CPUUsed, MemoryPeak, MemoryEfficiency} {
		a, _ := r.Value(name)
		b, _ := merged.Value(name)
		if a != b {
			t.Errorf("%s: %v from single files, %v from the merged one", name, a, b)
		}
	}
}

// Job 23: 27 s on two nodes of 100 W + 20 W each, 6480 J; the files of its steps
// overlap. Slurm's own number was 6518 J, that of the steps 3126, 6518, 3496 and 1072.
func TestRealJob23KnownPower(t *testing.T) {
	job := []string{"JobID=23", "State=COMPLETED", "AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=27", "Start=1795422415", "End=1795422442"}
	files := profileFiles(t, "23_batch_n1.h5", "23_0_n1.h5", "23_0_n2.h5", "23_1_n1.h5")
	steps := []*record{
		row("JobID=23.batch", "ConsumedEnergyRaw=3126"), row("JobID=23.extern", "ConsumedEnergyRaw=6518"),
		row("JobID=23.0", "ConsumedEnergyRaw=3496"), row("JobID=23.1", "ConsumedEnergyRaw=1072"),
	}
	r := Analyse(Input{Rows: append(steps, row(append(job, "ConsumedEnergyRaw=6518")...)), Profiles: files})
	near(t, r, Energy, 6480, 0.01)
	near(t, r, PowerAverage, 240, 0.01)
	measured := Analyse(Input{Rows: []*record{row(job...)}, Profiles: files})
	m := near(t, measured, Energy, 240*19.5, 0.01)
	if *m.Coverage.Seconds != 19.5 || *m.Coverage.SecondsElapsed != 27 || *m.Coverage.Nodes != 2 {
		t.Errorf("coverage %v of %v s: n2 was sampled only while step 0 ran", *m.Coverage.Seconds, *m.Coverage.SecondsElapsed)
	}
	near(t, measured, PowerAverage, 240, 0.01)
	if len(measured.Nodes) != 2 {
		t.Fatalf("nodes %+v", measured.Nodes)
	}
	near(t, measured, MemoryPeak, 183025664, 1e-9)
	merged := Analyse(Input{Rows: []*record{row(job...)}, Profiles: profileFiles(t, "job_23.h5")})
	for _, name := range []MetricName{Energy, MemoryPeak, PowerPeak} {
		a, _ := measured.Value(name)
		b, _ := merged.Value(name)
		if a != b {
			t.Errorf("%s: %v from single files, %v from the merged one", name, a, b)
		}
	}
}

func TestAProfileWithoutAccountingStillSpeaks(t *testing.T) {
	r := Analyse(Input{ID: "job_23.h5", Profiles: profileFiles(t, "job_23.h5")})
	if r.ID != "job_23.h5" || len(r.Nodes) != 2 {
		t.Errorf("%s, %+v", r.ID, r.Nodes)
	}
	near(t, r, CPUUsed, 3, 0.001)
	wantMissing(t, r, CPUEfficiency, MissingField)
	if r.Verdict != "used at least 0.11 CPUs on average, about 175 M of memory." {
		t.Errorf("verdict %q", r.Verdict)
	}
	if r.Series == nil || r.Series.Points != 28 {
		t.Errorf("series %+v", r.Series)
	}
}

// agentColumns are those of sacct_agent_fields.p2, which has no header line.
func agentRows(t *testing.T) []*record {
	t.Helper()
	return sacctRows(t, fixture("sacct_agent_fields.p2"), slurmfmt.Options{Columns: []string{
		"JobID", "JobIDRaw", "JobName", "User", "Account", "Partition", "QOS", "State", "ExitCode", "DerivedExitCode",
		"Submit", "Eligible", "Start", "End", "ElapsedRaw", "TimelimitRaw", "CPUTimeRAW", "TotalCPU", "UserCPU", "SystemCPU",
		"AveCPU", "MaxRSS", "MaxRSSNode", "MaxRSSTask", "AveRSS", "MaxDiskRead", "MaxDiskWrite", "TRESUsageInTot", "TRESUsageInMax", "TRESUsageOutTot",
		"ConsumedEnergyRaw", "ReqMem", "ReqTRES", "AllocTRES", "AllocCPUS", "NTasks", "NodeList", "WorkDir", "Comment", "AdminComment", "SystemComment", "SubmitLine", "Reason", "Flags",
	}})
}

func TestEveryKindOfRealJob(t *testing.T) {
	reports := make(map[string]Report)
	for _, g := range Group(agentRows(t)) {
		r := Analyse(Input{Rows: g.Rows})
		sound(t, r)
		reports[r.Job.JobID] = r
	}
	for id, cause := range map[string]Cause{"2": CauseTimeout, "4": CauseOOM, "7": CauseUser, "9": CauseUser, "10": CauseNodeFail, "6_2": CauseUser} {
		if a := reports[id].Ledger.CoreS; a == nil || a.LostBy[cause] != a.Allocated || a.Lost != a.Allocated {
			t.Errorf("job %s: %+v, want all lost to %s", id, a, cause)
		}
	}
	if r := reports["5"]; hasRule(r, RuleOutOfMemory) == nil || r.Job.State != "DONE" {
		t.Errorf("job 5 completed with a killed step: %+v", r.Findings)
	}
	if m := want(t, reports["2"], TimeEfficiency, 115); !m.Has(OverLimit) {
		t.Errorf("reasons %v", m.Reasons)
	}
	for id, attempts := range map[string]int{"11": 2, "15": 2, "1": 0} {
		if got := len(reports[id].Attempts); got != attempts {
			t.Errorf("job %s: %d attempts, want %d", id, got, attempts)
		}
	}
	if r := reports["21+1"]; r.Job.ParentID != "21" || r.Job.HetComponent == nil {
		t.Errorf("%+v", r.Job)
	}
	total := HetTotal([]Report{reports["21+0"], reports["21+1"]})
	want(t, total, CPUUsed, 0.028+0.007)
	array := Summarise([]Report{reports["6_0"], reports["6_1"], reports["6_2"], reports["6_3"]})
	if array.JobID != "6" || array.Distributions[CPUEfficiency].N != 4 || array.Failed[CauseUser][0] != "6_2" {
		t.Errorf("%+v", array)
	}
}
