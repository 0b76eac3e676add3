package efficiency

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// designTrap is one sentence of the list of traps in design 05, with a job that walks into it.
type designTrap struct {
	says string
	in   Input
	// what the report has to say: a number, or the reason why there is none.
	metric  MetricName
	value   float64
	missing Reason
	bound   Bound
	// reason has to stand beside the number; rule has to speak.
	reason Reason
	rule   Rule
}

// holed is a task of one CPU and a G, sampled each 10 s for 200 s, without the samples from 60 s to 140 s.
func holed() ProfileFile {
	var at, rss, cpu []float64
	for i := range 21 {
		if i > 6 && i < 14 {
			continue
		}
		at, rss, cpu = append(at, float64(1000+10*i)), append(rss, gib), append(cpu, 10)
	}
	task := rssTask("0", at, rss)
	task.CPUTimeS = cpu
	return taskFile("0", "n1", task)
}

func designTraps() []designTrap {
	profiled := row("JobID=7", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=200", "Start=1000", "End=1200", "AllocTRES=cpu=4,mem=4G,node=1")
	duplicated := rssTask("0", []float64{1000, 1100, 1100, 1200}, []float64{0, gib, gib, gib})
	duplicated.CPUTimeS = []float64{0, 50, 50, 50}
	unequal := taskFile("0", "n1", rssTask("0", []float64{1000, 1100, 1200}, []float64{1, gib, gib}), rssTask("1", []float64{1000, 1100}, []float64{gib, gib}))
	return []designTrap{
		{
			says: "Per-task MaxRSS of imbalanced ranks", metric: MemoryEfficiency, value: 32.5, bound: Upper,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=cpu=4,mem=40G,node=1"),
				row("JobID=1.0", "NTasks=4", "MaxRSS=10G", "TRESUsageInTot=mem=13G", "TRESUsageInMax=mem=10G")),
		},
		{
			says: "Two concurrent 10 G steps in 20 G", metric: MemoryEfficiency, value: 100, bound: Upper,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=600", "AllocTRES=cpu=2,mem=20G,node=1"),
				row("JobID=1.0", "NTasks=1", "TRESUsageInTot=mem=10G", "Start=1000", "End=1600"), row("JobID=1.1", "NTasks=1", "TRESUsageInTot=mem=10G", "Start=1001", "End=1590")),
		},
		{
			says: "20 nodes with only .batch measured on one", metric: CPUEfficiency, missing: UnmeasuredNodes, rule: RuleUnmeasured,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=80", "NNodes=20", "ElapsedRaw=3600", "NodeList=n[1-20]"),
				row("JobID=1.batch", "State=COMPLETED", "NNodes=1", "NTasks=1", "TotalCPU=01:00:00", "NodeList=n1")),
		},
		{
			says: "Killed steps", metric: CPUUsed, value: 60, bound: Lower, reason: KilledStep,
			in: rowsOf(row("JobID=1", "State=TIMEOUT", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "Timelimit=01:00:00"),
				row("JobID=1.0", "State=CANCELLED", "ExitCode=0:15", "NTasks=1", "TotalCPU=00:01:00")),
		},
		{
			says: "OOM seen only in DerivedExitCode 0:125", metric: CPUUsed, value: 60, bound: Exact, rule: RuleOutOfMemory,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "ExitCode=0:0", "DerivedExitCode=0:125", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=mem=1G"),
				row("JobID=1.0", "State=COMPLETED", "NTasks=1", "TotalCPU=00:01:00")),
		},
		{
			says: "Short jobs below the sampling interval", metric: MemoryPeak, value: 5 << 20, bound: Estimate, reason: ShortJob,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=4", "AllocTRES=mem=1G"), row("JobID=1.batch", "State=COMPLETED", "NTasks=1", "MaxRSS=5M", "TotalCPU=00:04.000")),
		},
		{
			says: "Running jobs", metric: CPUUsed, value: 100, bound: Lower, reason: Running,
			in: Input{
				Rows:  []*record{row("JobID=1", "State=RUNNING", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=60", "TotalCPU=00:00:00"), row("JobID=1.0", "State=RUNNING", "NTasks=2", "TotalCPU=00:00:00")},
				Sstat: []*record{row("JobID=1.0", "NTasks=2", "AveCPU=00:00:50")},
			},
		},
		{
			says: "Suspended half of the time", metric: CPUEfficiency, value: 100, bound: Exact, reason: Suspended,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=1800", "Suspended=00:30:00", "Start=1000", "End=4600"), row("JobID=1.batch", "NTasks=1", "TotalCPU=00:30:00")),
		},
		{
			says: "Two attempts merged", metric: CPUEfficiency, value: 25, bound: Lower,
			in: rowsOf(row("JobID=1", "State=NODE_FAIL", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=1000", "Submit=10", "Start=100", "End=1100"),
				row("JobID=1.batch", "State=CANCELLED", "NTasks=1", "TotalCPU=00:00.000", "TRESUsageInTot=cpu=00:00:00,mem=1M", "Start=100", "End=1100"),
				row("JobID=1", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=1000", "Submit=1100", "Start=1200", "End=2200"),
				row("JobID=1.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=08:20.000", "Start=1200", "End=2200")),
		},
		{
			says: "Typed-only GPUs", metric: GPUCount, value: 3, bound: Exact,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "ElapsedRaw=60", "AllocTRES=cpu=4,gres/gpu:a100=2,gres/gpu:v100=1")),
		},
		{
			says: "A GPU at 0.04 % is not idle", metric: GPUUtilization, value: 0.04, bound: Estimate, rule: RuleLowGPU,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=cpu=4,mem=8G,gres/gpu=1"),
				row("JobID=1.batch", "State=COMPLETED", "NTasks=1", "ElapsedRaw=3600", "TotalCPU=01:00:00", "TRESUsageInTot=cpu=01:00:00,mem=4G,gres/gpuutil=0.04")),
		},
		{
			says: "Jobs over their limit by grace", metric: TimeEfficiency, value: 110, bound: Exact, reason: OverLimit,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3960", "Timelimit=01:00:00")),
		},
		{
			says: "overlapping _batch and _0 files", metric: Energy, value: 1900, bound: Estimate,
			in: Input{
				Rows:     []*record{row("JobID=7", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=20", "Start=1000", "End=1020")},
				Profiles: []ProfileFile{powerFile("batch", "n1", 1000, slices.Repeat([]float64{100}, 20)...), powerFile("0", "n1", 1003, slices.Repeat([]float64{100}, 12)...)},
			},
		},
		{
			says: "duplicate rows", metric: CPUUsed, value: 100, bound: Lower,
			in: Input{Rows: []*record{profiled}, Profiles: []ProfileFile{taskFile("0", "n1", duplicated)}},
		},
		{
			says: "gaps", metric: MemoryPeak, value: gib, bound: Lower, reason: ClockGap,
			in: Input{Rows: []*record{profiled}, Profiles: []ProfileFile{holed()}},
		},
		{
			says: "zero rows at the start", metric: PowerAverage, value: 100, bound: Estimate,
			in: Input{
				Rows:     []*record{row("JobID=7", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=12", "Start=1000", "End=1012")},
				Profiles: []ProfileFile{powerFile("0", "n1", 1000, 0, 0, 0, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)},
			},
		},
		{
			says: "series of unequal length", metric: MemoryPeak, value: 2 * gib, bound: Estimate,
			in: Input{Rows: []*record{profiled}, Profiles: []ProfileFile{unequal}},
		},
		{
			says: "Jobs that never started have no efficiency", metric: CPUEfficiency, missing: NeverStarted,
			in: rowsOf(row("JobID=1", "State=CANCELLED by 1000", "AllocCPUS=4", "ElapsedRaw=0", "Start=1000", "End=1000", "NodeList=None assigned")),
		},
		{
			says: "0 with elapsed > 0 means no_energy_plugin", metric: Energy, missing: NoEnergyPlugin,
			in: rowsOf(row("JobID=1", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=60", "ConsumedEnergyRaw=0")),
		},
		{
			says: "an unparseable job id is kept as opaque text with the reason bad_job_id", metric: CPUEfficiency, value: 50, bound: Exact, reason: BadJobID,
			in: rowsOf(row("JobID=pbs.server", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=60"), row("JobID=pbs.server.0", "State=COMPLETED", "NTasks=1", "NNodes=1", "TotalCPU=01:00.000")),
		},
	}
}

// TestEveryTrapOfTheDesign walks into each one. The traps of names, host lists and files are in slurmfmt and hdf5.
func TestEveryTrapOfTheDesign(t *testing.T) {
	for _, c := range designTraps() {
		t.Run(c.says, func(t *testing.T) {
			r := Analyse(c.in)
			sound(t, r)
			m := r.Metrics[c.metric]
			switch {
			case c.missing != "":
				wantMissing(t, r, c.metric, c.missing)
			case m.Value == nil || math.Abs(*m.Value-c.value) > 1e-9*math.Abs(c.value) || m.Bound != c.bound:
				t.Errorf("%s = %v (%s) %v, want %v (%s)", c.metric, m.Value, m.Bound, m.Reasons, c.value, c.bound)
			}
			if c.reason != "" && !m.Has(c.reason) {
				t.Errorf("reasons %v, want %s among them", m.Reasons, c.reason)
			}
			if c.rule != "" && hasRule(r, c.rule) == nil {
				t.Errorf("findings %+v, want %s", r.Findings, c.rule)
			}
		})
	}
}

func TestAClockThatGoesBackIsNamedAndAddsNothing(t *testing.T) {
	task := rssTask("0", []float64{1000, 1010, 1005, 1020, 1030}, []float64{1, gib, 8 * gib, gib, gib})
	m := want(t, Analyse(Input{Profiles: []ProfileFile{taskFile("0", "n1", task)}}), MemoryPeak, gib)
	if !m.Has(ClockGap) {
		t.Errorf("reasons %v: the sample of second 1005 came after that of 1010", m.Reasons)
	}
}

func TestLongListsInFindingsAreShortened(t *testing.T) {
	var files []ProfileFile
	for i := range 12 {
		cores := 0.001
		if i == 0 {
			cores = 7
		}
		files = append(files, busyNode(fmt.Sprintf("n%02d", i), fmt.Sprint(i), cores, gib))
	}
	r := Analyse(Input{Rows: []*record{longJob("NNodes=12", "AllocCPUS=96", "NodeList=n[00-11]", "Start=1000", "End=8200")}, Profiles: files})
	f := hasRule(r, RuleIdleNode)
	if f == nil || f.Evidence["idle_nodes"] != 11.0 || f.Evidence["nodes"] != "n01, n02, n03, n04, n05, n06, n07, n08 and 3 more" || f.Directive != "--nodes=1" {
		t.Fatalf("%+v", f)
	}
	// Eleven nodes of eight CPUs for two hours.
	if f.Wasted.CoreS != 11*8*7200 {
		t.Errorf("%v core seconds", f.Wasted.CoreS)
	}
	var holes []Interval
	for i := range int64(10) {
		holes = append(holes, Interval{From: 1000 + 200*i, To: 1100 + 200*i, Value: 5})
	}
	r = Analyse(Input{Rows: []*record{longJob("Start=1000", "End=8200", "ConsumedEnergyRaw=7200")}, Price: &Tariff{Unit: "EUR", Intervals: holes}})
	if f := hasRule(r, RuleTariffGap); f == nil || f.Evidence["no_price"] != "1970-01-01T00:18:20Z/1970-01-01T00:20:00Z, 1970-01-01T00:21:40Z/1970-01-01T00:23:20Z, "+
		"1970-01-01T00:25:00Z/1970-01-01T00:26:40Z, 1970-01-01T00:28:20Z/1970-01-01T00:30:00Z, 1970-01-01T00:31:40Z/1970-01-01T00:33:20Z, and 5 more" {
		t.Errorf("%+v", f)
	}
}

func TestFragmentationLooksAtEveryResource(t *testing.T) {
	cluster := &Cluster{DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 16, MemoryBytes: 64 << 30, GPUs: 4}}}
	for _, c := range []struct {
		name  string
		tres  string
		nodes string // of the directive; empty when the job needs its four nodes
	}{
		{"few CPUs", "cpu=8,mem=8G,node=4", "--nodes=1"},
		{"memory for three nodes", "cpu=8,mem=150G,node=4", "--nodes=3"},
		{"GPUs for two nodes", "cpu=8,mem=8G,node=4,gres/gpu=8", "--nodes=2"},
		{"memory for all of them", "cpu=8,mem=256G,node=4", ""},
		{"GPUs for all of them", "cpu=8,mem=8G,node=4,gres/gpu:a100=16", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Analyse(Input{Rows: []*record{longJob("AllocCPUS=8", "NNodes=4", "NodeList=n[1-4]", "AllocTRES="+c.tres)}, Cluster: cluster})
			f := hasRule(r, RuleFragmentation)
			if (f != nil) != (c.nodes != "") || f != nil && f.Directive != c.nodes {
				t.Errorf("%+v, want %q", f, c.nodes)
			}
		})
	}
	exclusive := Analyse(Input{Rows: []*record{longJob("AllocCPUS=8", "NNodes=4", "NodeList=n[1-4]", "SubmitLine=sbatch --exclusive job.sh")}, Cluster: cluster})
	if f := hasRule(exclusive, RuleFragmentation); f != nil {
		t.Errorf("who asks for whole nodes has a reason, yet %+v", *f)
	}
}

func TestNodesTellWhatTheirGPUsDid(t *testing.T) {
	task := rssTask("0", []float64{1000, 1100, 1200}, []float64{1, 1, 1})
	task.GPUUtilPercent = profile.Column{50, 50, 50}
	r := Analyse(Input{
		Rows:     []*record{row("JobID=7", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=200", "Start=1000", "End=1200", "AllocTRES=cpu=4,mem=4G,node=1,gres/gpu=1")},
		Profiles: []ProfileFile{taskFile("0", "n1", task)},
	})
	if len(r.Nodes) != 1 || r.Nodes[0].GPUUtilisation == nil || *r.Nodes[0].GPUUtilisation != 50 || *r.Nodes[0].MemoryLimitBytes != 4*gib {
		t.Errorf("%+v", r.Nodes)
	}
	want(t, r, GPUUtilization, 50)
}
