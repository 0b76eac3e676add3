package efficiency

import (
	"strings"
	"testing"
)

// Whole jobs as sacct shows them, and everything that should be said about them.

// expect is what a scenario must give. Absent entries are not looked at.
type expect struct {
	values   map[MetricName]float64
	missing  map[MetricName]Reason
	bounds   map[MetricName]Bound
	reasons  map[MetricName][]Reason
	rules    []Rule
	noRules  []Rule
	verdict  string
	attempts int
}

func (e expect) check(t *testing.T, r Report) {
	t.Helper()
	sound(t, r)
	for name, v := range e.values {
		want(t, r, name, v)
	}
	for name, why := range e.missing {
		wantMissing(t, r, name, why)
	}
	for name, b := range e.bounds {
		if r.Metrics[name].Bound != b {
			t.Errorf("%s has the bound %s, want %s", name, r.Metrics[name].Bound, b)
		}
	}
	for name, reasons := range e.reasons {
		for _, why := range reasons {
			if !r.Metrics[name].Has(why) {
				t.Errorf("%s has the reasons %v, want %s", name, r.Metrics[name].Reasons, why)
			}
		}
	}
	e.checkRules(t, r)
	if !strings.Contains(r.Verdict, e.verdict) {
		t.Errorf("verdict %q, want %q in it", r.Verdict, e.verdict)
	}
	if len(r.Attempts) != e.attempts {
		t.Errorf("%d attempts, want %d", len(r.Attempts), e.attempts)
	}
}

func (e expect) checkRules(t *testing.T, r Report) {
	t.Helper()
	for _, rule := range e.rules {
		if hasRule(r, rule) == nil {
			t.Errorf("no finding %s", rule)
		}
	}
	for _, rule := range e.noRules {
		if f := hasRule(r, rule); f != nil {
			t.Errorf("finding %+v", *f)
		}
	}
}

func TestScenarios(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Input
		expect
	}{
		{
			"a job in the first second of its run",
			Input{Rows: []*record{row("JobID=1", "State=RUNNING", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=0", "TotalCPU=00:00:00", "Timelimit=01:00:00", "Start=1000", "NodeList=n1")}},
			expect{
				values:  map[MetricName]float64{TimeEfficiency: 0},
				missing: map[MetricName]Reason{CPUEfficiency: Running, MemoryPeak: Running, Energy: MissingField, PowerAverage: MissingField},
				bounds:  map[MetricName]Bound{TimeEfficiency: Lower}, noRules: []Rule{RuleTooShort}, verdict: "RUNNING for 0 s",
			},
		},
		{
			"a job suspended at this moment",
			Input{Rows: []*record{row("JobID=1", "State=SUSPENDED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=60", "Suspended=00:01:00", "Start=1000", "NodeList=n1")}},
			expect{missing: map[MetricName]Reason{CPUEfficiency: Suspended}, reasons: map[MetricName][]Reason{CPUEfficiency: {Running}}, verdict: "RUNNING"},
		},
		{
			"a job that ended in its first second",
			Input{Rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=0", "TotalCPU=00:00.006", "Start=1000", "NodeList=n1", "AllocTRES=cpu=1,mem=50M,node=1"),
				row("JobID=1.batch", "State=COMPLETED", "TotalCPU=00:00.003", "MaxRSS=5M", "NTasks=1"),
			}},
			expect{
				values:  map[MetricName]float64{CPUUsed: 0.003, MemoryEfficiency: 10},
				missing: map[MetricName]Reason{CPUEfficiency: ShortJob},
				bounds:  map[MetricName]Bound{MemoryEfficiency: Estimate}, rules: []Rule{RuleTooShort}, noRules: []Rule{RuleMemoryOver},
			},
		},
		{
			"only the steps were given",
			Input{Rows: []*record{
				row("JobID=1.extern", "State=COMPLETED", "ElapsedRaw=100", "NNodes=1", "NTasks=1", "AllocTRES=cpu=2,mem=1G,node=1,gres/gpu=1", "TRESUsageInTot=cpu=00:00:00,mem=2M"),
				row("JobID=1.0", "State=COMPLETED", "ElapsedRaw=100", "NNodes=1", "NTasks=1", "TotalCPU=01:40.000", "TRESUsageInTot=cpu=00:01:40,mem=512M"),
			}},
			expect{
				values:  map[MetricName]float64{CPUEfficiency: 50, MemoryEfficiency: 50, GPUCount: 1},
				reasons: map[MetricName][]Reason{CPUEfficiency: {MissingField}},
			},
		},
		{
			"only the batch step was given",
			Input{Rows: []*record{row("JobID=1.batch", "State=COMPLETED", "ElapsedRaw=100", "NTasks=1", "TotalCPU=01:40.000", "MaxRSS=5M")}},
			expect{values: map[MetricName]float64{CPUUsed: 100, MemoryPeak: 5 << 20}, missing: map[MetricName]Reason{CPUEfficiency: MissingField, MemoryEfficiency: MissingField}},
		},
		{
			"memory of unmeasured nodes is not called used",
			Input{Rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=40", "NNodes=20", "ElapsedRaw=3600", "AllocTRES=cpu=40,mem=200G,node=20"),
				row("JobID=1.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=00:30:00", "TRESUsageInTot=cpu=00:30:00,mem=1G"),
			}},
			expect{
				values: map[MetricName]float64{MemoryPeak: gib}, missing: map[MetricName]Reason{MemoryEfficiency: UnmeasuredNodes, CPUEfficiency: UnmeasuredNodes},
				rules: []Rule{RuleUnmeasured}, noRules: []Rule{RuleMemoryOver, RuleSerialOnManyCores},
			},
		},
		{
			"processes that ssh brought into the extern step are measured",
			Input{Rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=1000"),
				row("JobID=1.batch", "State=COMPLETED", "NTasks=1", "NodeList=n1", "TotalCPU=00:10.000"),
				row("JobID=1.extern", "State=COMPLETED", "NTasks=2", "NodeList=n[1-2]", "TotalCPU=01:06:30"),
			}},
			expect{values: map[MetricName]float64{CPUEfficiency: 50}, bounds: map[MetricName]Bound{CPUEfficiency: Exact}, noRules: []Rule{RuleUnmeasured}},
		},
		{
			"an interactive step counts like a batch step",
			Input{Rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=1000", "AllocTRES=cpu=2,mem=4G,node=1"),
				row("JobID=1.interactive", "State=COMPLETED", "NTasks=1", "TotalCPU=00:08:20", "TRESUsageInTot=mem=3G"),
				row("JobID=1.0", "State=COMPLETED", "NTasks=1", "TotalCPU=00:08:20", "TRESUsageInTot=mem=2G"),
			}},
			expect{values: map[MetricName]float64{CPUEfficiency: 50, MemoryEfficiency: 75}},
		},
		{
			"a failed job whose step ran out of memory",
			Input{Rows: []*record{
				row("JobID=1", "State=FAILED", "ExitCode=1:0", "DerivedExitCode=0:125", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=100", "AllocTRES=cpu=1,mem=1G,node=1", "NodeList=n7"),
				row("JobID=1.0", "State=OUT_OF_MEMORY", "ExitCode=0:125", "NTasks=1", "TotalCPU=00:50.000", "TRESUsageInTot=mem=1G"),
			}},
			expect{values: map[MetricName]float64{WastedCPU: 100}, rules: []Rule{RuleOutOfMemory}, noRules: []Rule{RuleMemoryNearLimit, RulePageCache}, verdict: "OUT OF MEMORY on n7 after 100 s: asked 1 G."},
		},
		{
			"a job at the partition's longest time gets no longer time",
			Input{
				Rows:    []*record{row("JobID=1", "State=TIMEOUT", "Partition=debug", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=3601", "Timelimit=01:00:00")},
				Cluster: &Cluster{Partitions: map[string]Partition{"debug": {LimitSeconds: 3600}}},
			},
			expect{rules: []Rule{RuleTimeout}, reasons: map[MetricName][]Reason{TimeEfficiency: {OverLimit}}},
		},
		{
			"a whole node that the partition forces",
			Input{
				Rows: []*record{
					row("JobID=1", "State=COMPLETED", "Partition=whole", "AllocCPUS=64", "ReqCPUS=1", "NNodes=1", "ElapsedRaw=1000", "ConsumedEnergyRaw=64000", "ReqMem=1G", "AllocTRES=cpu=64,mem=256G,node=1"),
					row("JobID=1.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=00:16:40", "TRESUsageInTot=cpu=00:16:40,mem=1G"),
				},
				Cluster: &Cluster{Partitions: map[string]Partition{"whole": {Exclusive: true}}},
			},
			expect{
				values: map[MetricName]float64{WastedCPU: 0, WastedMemory: 0, Energy: 64000, PowerAverage: 64}, bounds: map[MetricName]Bound{Energy: Exact},
				noRules: []Rule{RuleSerialOnManyCores},
			},
		},
		{
			"three attempts, two of them lost",
			Input{Rows: []*record{
				row("JobID=1", "Submit=0100", "Start=0100", "End=0200", "State=PREEMPTED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=100"),
				row("JobID=1", "Submit=0200", "Start=0300", "End=0400", "State=NODE_FAIL", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=100"),
				row("JobID=1", "Submit=0400", "Start=0500", "End=0700", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=200", "TotalCPU=00:06:00"),
			}},
			expect{values: map[MetricName]float64{CPUEfficiency: 90, WastedCPU: 440}, attempts: 3, verdict: "3 attempts. Last: COMPLETED"},
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(t, Analyse(c.in)) })
	}
}

func TestNoActionAtThePartitionsLongestTime(t *testing.T) {
	in := Input{
		Rows:    []*record{row("JobID=1", "State=TIMEOUT", "Partition=debug", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=3601", "Timelimit=01:00:00")},
		Cluster: &Cluster{Partitions: map[string]Partition{"debug": {LimitSeconds: 3600}}},
	}
	if r := Analyse(in); len(r.Actions) != 0 || !strings.Contains(hasRule(r, RuleTimeout).Change, "another partition") {
		t.Errorf("%+v", r.Findings)
	}
	in.Cluster.Partitions["debug"] = Partition{LimitSeconds: 5400}
	if r := Analyse(in); len(r.Actions) != 1 || r.Actions[0].Line != "#SBATCH --time=01:30:00" {
		t.Errorf("%+v", r.Actions)
	}
}
