package efficiency

import (
	"math"
	"strings"
	"testing"
)

// longJob is a clean job of two hours with 16 CPUs and 64 G.
func longJob(pairs ...string) *record {
	return row(append([]string{
		"JobID=5", "State=COMPLETED", "ExitCode=0:0", "DerivedExitCode=0:0", "AllocCPUS=16", "NNodes=1", "NodeList=n1", "ElapsedRaw=7200",
		"Timelimit=03:00:00", "AllocTRES=cpu=16,mem=64G,node=1",
	}, pairs...)...)
}

func step0(usage string, pairs ...string) *record {
	return row(append([]string{"JobID=5.0", "State=COMPLETED", "ExitCode=0:0", "NTasks=1", "NNodes=1", "ElapsedRaw=7200", "TRESUsageInTot=" + usage}, pairs...)...)
}

const (
	goodCPU   = "cpu=1-04:00:00"
	serialCPU = "cpu=02:00:00"
	goodMem   = "mem=50G"
	linux     = "jobacct_gather/linux"
)

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      Input
		rule    Rule
		fires   bool
		line    string
		without bool // the finding must not advise
		wasted  Wasted
	}{
		{name: "a good job has no finding", in: Input{Rows: []*record{longJob(), step0(goodCPU + "," + goodMem)}}},
		{name: "one core of sixteen", in: Input{Rows: []*record{longJob(), step0(serialCPU + "," + goodMem)}}, rule: RuleSerialOnManyCores, fires: true, line: "#SBATCH --ntasks=1 --cpus-per-task=1", wasted: Wasted{CoreS: 15 * 7200}},
		{name: "two CPUs are not many", in: Input{Rows: []*record{longJob("AllocCPUS=2"), step0("cpu=01:00:00," + goodMem)}}, rule: RuleSerialOnManyCores},
		{name: "memory to spare", in: Input{Rows: []*record{longJob(), step0(goodCPU + ",mem=8G")}}, rule: RuleMemoryOver, fires: true, line: "#SBATCH --mem=11G", wasted: Wasted{ByteS: (64 - 1.3*8) * gib * 7200}},
		{name: "no advice from a failed job", in: Input{Rows: []*record{longJob("State=FAILED"), step0(goodCPU + ",mem=8G")}}, rule: RuleMemoryOver},
		{name: "no advice from a killed step", in: Input{Rows: []*record{longJob(), step0(goodCPU+",mem=8G", "State=CANCELLED")}}, rule: RuleMemoryOver},
		{
			name: "no advice from few samples", in: Input{
				Rows:    []*record{longJob(), step0(goodCPU + ",mem=8G")},
				Cluster: &Cluster{JobAcctGather: linux, TaskInterval: 600},
			}, rule: RuleMemoryOver,
		},
		{name: "near the limit, resident set", in: Input{Rows: []*record{longJob(), step0(goodCPU + ",mem=62G")}, Cluster: &Cluster{JobAcctGather: linux}}, rule: RuleMemoryNearLimit, fires: true, line: "#SBATCH --mem=77G"},
		{name: "near the limit, gatherer unknown", in: Input{Rows: []*record{longJob(), step0(goodCPU + ",mem=62G")}}, rule: RuleMemoryNearLimit, fires: true, without: true},
		{name: "at the limit on cgroup v2", in: Input{Rows: []*record{longJob(), step0(goodCPU + ",mem=65500M")}, Cluster: &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 2}}, rule: RulePageCache, fires: true, without: true},
		{name: "at the limit, resident set", in: Input{Rows: []*record{longJob(), step0(goodCPU + ",mem=65500M")}, Cluster: &Cluster{JobAcctGather: linux}}, rule: RulePageCache},
		{name: "out of memory", in: Input{Rows: []*record{longJob("State=OUT_OF_MEMORY", "ExitCode=0:125"), step0(goodCPU+",mem=64G", "State=OUT_OF_MEMORY")}}, rule: RuleOutOfMemory, fires: true, line: "#SBATCH --mem=128G", wasted: Wasted{CoreS: 16 * 7200, ByteS: 64 * gib * 7200}},
		{name: "out of memory seen only in DerivedExitCode", in: Input{Rows: []*record{longJob("DerivedExitCode=0:125"), step0(goodCPU + "," + goodMem)}}, rule: RuleOutOfMemory, fires: true, line: "#SBATCH --mem=128G"},
		{name: "out of memory seen only in a step", in: Input{Rows: []*record{longJob(), step0(goodCPU+","+goodMem, "State=OUT_OF_MEMORY")}}, rule: RuleOutOfMemory, fires: true, line: "#SBATCH --mem=128G"},
		{name: "stopped at the limit", in: Input{Rows: []*record{longJob("State=TIMEOUT"), step0(goodCPU + "," + goodMem)}}, rule: RuleTimeout, fires: true, line: "#SBATCH --time=06:00:00", wasted: Wasted{CoreS: 16 * 7200, ByteS: 64 * gib * 7200}},
		{name: "asked for days, ran for hours", in: Input{Rows: []*record{longJob("Timelimit=3-00:00:00"), step0(goodCPU + "," + goodMem)}}, rule: RuleTimeOver, fires: true, line: "#SBATCH --time=03:00:00"},
		{name: "more threads than CPUs", in: Input{Rows: []*record{longJob(), step0("cpu=3-00:00:00," + goodMem)}}, rule: RuleOversubscription, fires: true},
		{name: "uneven ranks", in: Input{Rows: []*record{longJob(), step0(goodCPU+","+goodMem, "NTasks=4", "TRESUsageInMax=mem=30G,cpu=07:00:00", "TRESUsageInAve=mem=12G,cpu=07:00:00")}}, rule: RuleImbalance, fires: true},
		{name: "even ranks", in: Input{Rows: []*record{longJob(), step0(goodCPU+","+goodMem, "NTasks=4", "TRESUsageInMax=mem=13G,cpu=07:00:00", "TRESUsageInAve=mem=12G,cpu=07:00:00")}}, rule: RuleImbalance},
		{name: "a job of seconds", in: Input{Rows: []*record{longJob("ElapsedRaw=4"), step0("cpu=00:00:04,mem=1G")}}, rule: RuleTooShort, fires: true},
		{name: "two GPUs that did nothing", in: Input{Rows: []*record{longJob("AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=2", "ConsumedEnergyRaw=1000"), step0(goodCPU + "," + goodMem + ",gres/gpuutil=0")}}, rule: RuleIdleGPU, fires: true, line: "#SBATCH --gpus=0", wasted: Wasted{GPUS: 2 * 7200, Joule: 1000}},
		{name: "a GPU that hardly worked", in: Input{Rows: []*record{longJob("AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=1"), step0(goodCPU + "," + goodMem + ",gres/gpuutil=5")}}, rule: RuleLowGPU, fires: true, wasted: Wasted{GPUS: 0.95 * 7200}},
		{name: "a task that had most of the CPU time", in: Input{Rows: []*record{longJob("AllocCPUS=4"), step0("cpu=04:00:00,"+goodMem, "NTasks=4", "TRESUsageInMax=mem=13G,cpu=02:00:00", "TRESUsageInAve=mem=12G,cpu=01:00:00")}}, rule: RuleImbalance, fires: true, wasted: Wasted{CoreS: 4 * 3600}},
		{name: "many CPUs for one GPU", in: Input{Rows: []*record{longJob("AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=1"), step0("cpu=04:00:00," + goodMem + ",gres/gpuutil=90")}}, rule: RuleCoresPerGPU, fires: true, line: "#SBATCH --cpus-per-gpu=3", wasted: Wasted{CoreS: 16*7200 - 4*3600}},
		{name: "much memory for one GPU", in: Input{Rows: []*record{longJob("AllocTRES=cpu=4,mem=500G,node=1,gres/gpu=1"), step0(goodCPU + ",mem=20G,gres/gpuutil=90")}}, rule: RuleMemoryPerGPU, fires: true, wasted: Wasted{ByteS: 480 * gib * 7200}},
		{
			name: "eight CPUs over four nodes of sixteen", in: Input{
				Rows:    []*record{longJob("AllocCPUS=8", "NNodes=4", "NodeList=n[1-4]"), step0("cpu=14:00:00,"+goodMem, "NNodes=4", "NodeList=n[1-4]", "NTasks=8")},
				Cluster: &Cluster{DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 16, MemoryBytes: 128 << 30}}},
			}, rule: RuleFragmentation, fires: true, line: "#SBATCH --nodes=1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Analyse(c.in)
			checkRule(t, r, c.rule, c.fires, c.line, c.without)
			if f := hasRule(r, c.rule); f != nil && !sameWaste(f.Wasted, c.wasted) {
				t.Errorf("wasted %+v, want %+v", f.Wasted, c.wasted)
			}
		})
	}
}

// sameWaste is equal but for rounding.
func sameWaste(a, b Wasted) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-12*y }
	return near(a.CoreS, b.CoreS) && near(a.ByteS, b.ByteS) && near(a.GPUS, b.GPUS) && near(a.Joule, b.Joule)
}

func checkRule(t *testing.T, r Report, rule Rule, fires bool, line string, without bool) {
	t.Helper()
	if rule == "" {
		if len(r.Findings) > 0 {
			t.Fatalf("findings %+v", r.Findings)
		}
		return
	}
	f := hasRule(r, rule)
	if (f != nil) != fires {
		t.Fatalf("%s fired: %v, want %v (findings %+v)", rule, f != nil, fires, r.Findings)
	}
	if f == nil {
		return
	}
	if f.Text == "" || len(f.Evidence) == 0 || f.Severity.rank() < 0 {
		t.Errorf("incomplete finding %+v", *f)
	}
	if without && f.Directive != "" {
		t.Errorf("advises %s", f.Directive)
	}
	if line != "" && (len(r.Actions) == 0 || r.Actions[0].Line != line) {
		t.Errorf("actions %+v, want %s first", r.Actions, line)
	}
	if f.Directive != "" && f.Risk == "" {
		t.Errorf("%s advises %s without its risk", rule, f.Directive)
	}
}

func TestIdleNodeAndLeakComeFromSeries(t *testing.T) {
	var at, grow, flat []float64
	for i := range 200 {
		at = append(at, float64(1000+36*i))
		grow = append(grow, float64(1<<30)+float64(i)*20*(1<<20))
		flat = append(flat, 1<<20)
	}
	busy, idle := rssTask("0", at, grow), rssTask("1", at, flat)
	for i := range busy.CPUTimeS {
		busy.CPUTimeS[i], idle.CPUTimeS[i] = 36, 0.01
	}
	r := Analyse(Input{
		Rows:     []*record{longJob("NNodes=2", "NodeList=n[1-2]", "Start=1000", "End=8200")},
		Profiles: []ProfileFile{taskFile("0", "n1", busy), taskFile("0", "n2", idle)},
	})
	if f := hasRule(r, RuleIdleNode); f == nil || f.Evidence["nodes"] != "n2" || f.Directive != "--nodes=1" {
		t.Errorf("idle node: %+v", f)
	}
	if f := hasRule(r, RuleMemoryLeak); f == nil {
		t.Errorf("growing memory was not found: %+v", r.Findings)
	}
}

func TestDisagreeingSourcesAreReported(t *testing.T) {
	at := []float64{1000, 4600, 8200}
	task := rssTask("0", at, []float64{1, 2, 1})
	task.CPUTimeS = []float64{0, 20000, 20000}
	rows := []*record{longJob("Start=1000", "End=8200"), step0(serialCPU + "," + goodMem)}
	in := Input{Rows: rows, Profiles: []ProfileFile{taskFile("0", "n1", task)}}
	r := Analyse(in)
	if m := r.Metrics[CPUUsed]; !m.Has(SourceDisagreement) {
		t.Errorf("reasons %v", m.Reasons)
	}
	f := hasRule(r, RuleSourceDisagreement)
	if f == nil || f.Evidence["cpu_used.hdf5_profile"] != 40000.0 || f.Evidence["cpu_used.tres_usage_in_tot"] != 7200.0 {
		t.Errorf("finding %+v", f)
	}
	task.CPUTimeS = []float64{0, 3600, 3700}
	in.Profiles = []ProfileFile{taskFile("0", "n1", task)}
	if f := hasRule(Analyse(in), RuleSourceDisagreement); f != nil {
		t.Errorf("within the tolerance, yet %+v", f)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		rows []*record
		text string
	}{
		{[]*record{row("JobID=4", "State=OUT_OF_MEMORY", "ElapsedRaw=10800", "NodeList=n12", "AllocTRES=mem=8G", "Start=1")}, "OUT OF MEMORY on n12 after 3 h: asked 8 G."},
		{[]*record{row("JobID=4", "State=TIMEOUT", "ElapsedRaw=69")}, "TIMED OUT after 69 s"},
		{[]*record{row("JobID=4", "State=FAILED", "ElapsedRaw=69", "ExitCode=3:0")}, "exit code 3"},
		{[]*record{row("JobID=4", "State=FAILED", "ElapsedRaw=69", "ExitCode=0:11")}, "signal 11"},
		{[]*record{row("JobID=4", "State=CANCELLED by 1000", "ElapsedRaw=69")}, "by uid 1000"},
		{[]*record{row("JobID=4", "State=PENDING", "Reason=Priority")}, "PENDING: waits for Priority"},
		{[]*record{row("JobID=4", "State=CANCELLED by 0", "Start=None", "NodeList=None assigned")}, "before it started"},
		{[]*record{row("JobID=4", "State=RUNNING", "ElapsedRaw=5")}, "RUNNING for 5 s"},
		{[]*record{row("JobID=4", "State=NODE_FAIL", "ElapsedRaw=164", "NodeList=n4")}, "NODE FAILED on n4"},
		{[]*record{row("JobID=4", "State=PREEMPTED", "ElapsedRaw=5")}, "PREEMPTED"},
		{[]*record{row("JobID=4", "State=NEW_WORD", "ElapsedRaw=5")}, "not known"},
		{[]*record{longJob("DerivedExitCode=0:125")}, "although Slurm says completed"},
		{[]*record{longJob(), step0(goodCPU + "," + goodMem)}, "COMPLETED after 2 h: used 88 % of its CPUs, at most 78 % of its memory."},
	} {
		if got := Analyse(Input{Rows: c.rows}).Verdict; !strings.Contains(got, c.text) {
			t.Errorf("%q does not contain %q", got, c.text)
		}
	}
}

func TestActionsAreAtMostThreeAndEachOptionOnce(t *testing.T) {
	f := func(d string) Finding { return Finding{Directive: d} }
	got := actions([]Finding{f("--mem=1G"), f(""), f("--mem=2G"), f("--time=1"), f("--nodes=1"), f("--gpus=0")})
	if len(got) != 3 || got[0].Line != "#SBATCH --mem=1G" || got[1].Line != "#SBATCH --time=1" {
		t.Errorf("%+v", got)
	}
}

func TestWords(t *testing.T) {
	for got, expected := range map[string]string{
		percent(0): "0 %", percent(0.04): "0.04 %", percent(99.81): "99.8 %", percent(100): "100 %", percent(32.5): "32 %",
		size(0): "0 B", size(8 * gib): "8 G", size(1.5 * gib): "1.5 G", duration(53): "53 s", duration(3600): "60 min", duration(90000): "25 h", duration(200000): "2 d 7 h",
		memoryOption(1): "100M", memoryOption(250 << 20): "300M", memoryOption(2*gib + 1): "3G",
		timeOption(61): "00:02:00", timeOption(3700): "01:15:00", timeOption(90000): "1-01:00:00",
	} {
		if got != expected {
			t.Errorf("%q, want %q", got, expected)
		}
	}
}
