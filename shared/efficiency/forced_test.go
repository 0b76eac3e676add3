package efficiency

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	fourOfANode = "AllocTRES=cpu=64,mem=64G,node=1,gres/gpu=4"
	oneGPUAsked = "ReqTRES=cpu=16,mem=64G,node=1,gres/gpu=1"
)

// attemptOf is the attempt that one job row makes.
func attemptOf(c *Cluster, pairs ...string) *attempt {
	rows := []*record{row(append([]string{"JobID=1", "State=COMPLETED"}, pairs...)...)}
	in := Input{Rows: rows, Cluster: c}
	return newAttempt(&in, splitAttempts(rows)[0], nil, nil)
}

func TestForcedGPUs(t *testing.T) {
	for _, c := range []struct {
		name   string
		pairs  []string
		forced float64
	}{
		{"as asked", []string{fourOfANode, "ReqTRES=cpu=4,gres/gpu=4"}, 0},
		{"the node's other GPUs came with it", []string{fourOfANode, oneGPUAsked}, 3},
		{"asked for by type", []string{"AllocTRES=cpu=4,gres/gpu:a100=4,gres/gpu=4", "ReqTRES=cpu=4,gres/gpu:a100=1"}, 3},
		{"none was asked for", []string{fourOfANode, "ReqTRES=cpu=4,mem=1G"}, 4},
		{"the user asked for whole nodes", []string{fourOfANode, oneGPUAsked, "SubmitLine=sbatch --exclusive a.sh"}, 0},
		{"only other users are kept out", []string{fourOfANode, oneGPUAsked, "SubmitLine=sbatch --exclusive=user a.sh"}, 3},
		{"what was asked is not known", []string{fourOfANode}, 0},
		{"ReqTRES is empty", []string{fourOfANode, "ReqTRES="}, 0},
		{"more was asked than given", []string{"AllocTRES=cpu=4,gres/gpu=1", "ReqTRES=cpu=4,gres/gpu=2"}, 0},
		{"a job without GPUs", []string{"AllocTRES=cpu=4", "ReqTRES=cpu=4"}, 0},
		{"the number asked for is unreadable", []string{fourOfANode, "ReqTRES=cpu=4,gres/gpu=many"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := attemptOf(nil, c.pairs...).forcedGPUs(); got != c.forced {
				t.Errorf("%v forced, want %v", got, c.forced)
			}
		})
	}
}

func TestForcedMemory(t *testing.T) {
	for _, c := range []struct {
		name         string
		pairs        []string
		forced, idle float64 // GiB
	}{
		{"as asked", []string{"ReqMem=64G"}, 0, 62},
		{"the node's memory came with it", []string{"ReqMem=16G"}, 48, 14},
		{"per CPU, of a whole node", []string{"ReqMem=1Gc", "AllocCPUS=64", "ReqCPUS=4"}, 60, 2},
		{"per CPU, as asked", []string{"ReqMem=4Gc", "ReqCPUS=16"}, 0, 62},
		{"per CPU, ReqCPUS not known", []string{"ReqMem=4Gc"}, 0, 62},
		{"per node", []string{"ReqMem=8Gn", "ReqCPUS=1"}, 56, 6},
		{"forced is only what was idle", []string{"ReqMem=1G"}, 62, 0},
		{"the user asked for whole nodes", []string{"ReqMem=16G", "SubmitLine=sbatch --exclusive a.sh"}, 0, 62},
		{"all of the node", []string{"ReqMem=0"}, 0, 62},
		{"what was asked is not known", nil, 0, 62},
		{"only ReqMem is known: the site's CPUs brought theirs", []string{"ReqMem=1Gc", "AllocCPUS=64", "ReqCPUS=4", "AllocTRES="}, 60, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Analyse(Input{Rows: []*record{longJob(c.pairs...), step0(goodCPU + ",mem=2G")}}).Ledger.ByteS
			conserved(t, a)
			if a.Allocated != 64*gib*7200 || a.Used != 2*gib*7200 || a.Forced != c.forced*gib*7200 || a.Idle != c.idle*gib*7200 {
				t.Errorf("forced %v, idle %v GiB, want %v, %v", a.Forced/gib/7200, a.Idle/gib/7200, c.forced, c.idle)
			}
		})
	}
}

func TestGPUsThatCameWithANodeAreNoWasteOfTheUser(t *testing.T) {
	job := func(line string) *record {
		return longJob(fourOfANode, oneGPUAsked, "ConsumedEnergyRaw=4000", "SubmitLine="+line)
	}
	r := Analyse(Input{Rows: []*record{job("srun ./a"), step0(goodCPU + "," + goodMem + ",gres/gpuutil=75")}})
	if a := r.Ledger.GPUS; a.Allocated != 28800 || a.Used != 5400 || a.Forced != 21600 || a.Idle != 1800 {
		t.Errorf("GPUs %+v", *a)
	}
	if a := r.Ledger.Joule; a.Used != 750 || a.Forced != 3000 || a.Idle != 250 {
		t.Errorf("joules %+v", *a)
	}
	if m := want(t, r, WastedGPU, 1800); m.Bound != Estimate || m.Has(ScriptUnknown) {
		t.Errorf("%+v: srun has no script", m)
	}
	r = Analyse(Input{Rows: []*record{job("sbatch a.sh"), step0(goodCPU + "," + goodMem + ",gres/gpuutil=75")}})
	if m := want(t, r, WastedGPU, 1800); m.Bound != Estimate || !m.Has(ScriptUnknown) {
		t.Errorf("%+v: the script may have asked for the node", m)
	}
}

func TestFindingsAboutGPUsAreAboutThoseAskedFor(t *testing.T) {
	each := func(util string) string {
		return js1Text(`{"total_time":7200,"nodes":{"n1":{"cpus":16,"gpu_utilization":{` + util + `}}}}`)
	}
	for _, c := range []struct {
		name, asked, util string
		rule              Rule
		line              string
		gpuS              float64
	}{
		{"its one GPU worked", "gres/gpu=1", `"0":90,"1":0,"2":0,"3":0`, "", "", 0},
		{"one of two worked", "gres/gpu=2", `"0":90,"1":0,"2":0,"3":0`, RuleIdleGPU, "--gpus=1", 7200},
		{"its one GPU did nothing", "gres/gpu=1", `"0":0,"1":0,"2":0,"3":0`, RuleIdleGPU, "--gpus=0", 7200},
		{"it asked for none", "mem=1G", `"0":0,"1":0,"2":0,"3":0`, "", "", 0},
		{"its one GPU was hardly used", "gres/gpu=1", `"0":4,"1":0,"2":0,"3":0`, RuleLowGPU, "", 0.96 * 7200},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := longJob(fourOfANode, "ReqTRES=cpu=16,node=1,"+c.asked, "AdminComment="+each(c.util))
			r := Analyse(Input{Rows: []*record{job, step0(goodCPU + "," + goodMem)}})
			for _, rule := range []Rule{RuleIdleGPU, RuleLowGPU} {
				f := hasRule(r, rule)
				if (f != nil) != (rule == c.rule) {
					t.Fatalf("%s: %+v", rule, f)
				}
				if f != nil && (f.Directive != c.line || f.Wasted.GPUS < c.gpuS-0.01 || f.Wasted.GPUS > c.gpuS+0.01) {
					t.Errorf("%s, %v GPU seconds, want %s and %v", f.Directive, f.Wasted.GPUS, c.line, c.gpuS)
				}
			}
		})
	}
}

func TestCPUsAndMemoryPerGPUAreOfTheGPUsAskedFor(t *testing.T) {
	const (
		allAsked  = "AllocTRES=cpu=64,mem=512G,node=1,gres/gpu=4"
		fewCores  = "cpu=08:00:00,mem=400G,gres/gpuutil=90" // 4 of 64
		fewBytes  = "cpu=5-00:00:00,mem=40G,gres/gpuutil=90"
		exclusive = "SubmitLine=sbatch --exclusive a.sh"
		share     = "other GPU jobs"
	)
	for _, c := range []struct {
		name, usage, asked, line string
		rule                     Rule
		fires                    bool
		perGPU                   float64
		directive                string
	}{
		{"CPUs of the one GPU that it asked for", fewCores, "gres/gpu=1", "", RuleCoresPerGPU, true, 64, "--cpus-per-gpu=6"},
		{"CPUs of all GPUs of the node", fewCores, "gres/gpu=4", "", RuleCoresPerGPU, true, 16, "--cpus-per-gpu=2"},
		{"CPUs that came with a node that the user asked for", fewCores, "gres/gpu=1", exclusive, RuleCoresPerGPU, false, 0, ""},
		{"CPUs, and it asked for no GPU", fewCores, "mem=1G", "", RuleCoresPerGPU, false, 0, ""},
		{"memory of the one GPU that it asked for", fewBytes, "gres/gpu=1", "", RuleMemoryPerGPU, true, 512 * gib, ""},
		{"memory of all GPUs of the node", fewBytes, "gres/gpu=4", "", RuleMemoryPerGPU, true, 128 * gib, ""},
		{"memory on a node that the user asked for with all its GPUs", fewBytes, "gres/gpu=1", exclusive, RuleMemoryPerGPU, true, 128 * gib, ""},
		{"memory, and it asked for no GPU", fewBytes, "mem=1G", "", RuleMemoryPerGPU, false, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := longJob("AllocCPUS=64", "ReqCPUS=64", "ReqMem=512G", allAsked, "ReqTRES=cpu=64,node=1,"+c.asked, c.line)
			f := hasRule(Analyse(Input{Rows: []*record{job, step0(c.usage)}}), c.rule)
			if (f != nil) != c.fires {
				t.Fatalf("%+v", f)
			}
			if f == nil {
				return
			}
			got := f.Evidence["cpus_per_gpu"]
			if c.rule == RuleMemoryPerGPU {
				got = f.Evidence["memory_per_gpu_bytes"]
			}
			own := c.asked == "gres/gpu=1" // the node was the job's own: nobody lacks anything
			if got != c.perGPU || f.Directive != c.directive || strings.Contains(f.Text, share) == own {
				t.Errorf("%v per GPU, %q, %s", got, f.Directive, f.Text)
			}
		})
	}
}

// forcedJob is a completed job that was often given more than it asked for.
func forcedJob(t *rapid.T) Input {
	of := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
	job := profiledJob("AllocCPUS=64", "AllocTRES=cpu=64,mem=512G,node=2,gres/gpu=4", "ConsumedEnergyRaw=5000000", "Partition=p",
		"ReqCPUS="+of("cpus", "1", "4", "32", "64"), "ReqMem="+of("mem", "1G", "64G", "300G", "512G", "4Gc", "0"),
		"ReqTRES="+of("gpus", "", "cpu=1", "cpu=1,gres/gpu=1", "cpu=1,gres/gpu=3", "cpu=1,gres/gpu=4"),
		"SubmitLine="+of("line", "sbatch a.sh", "srun ./a", "sbatch --exclusive a.sh"),
		"AdminComment="+of("summary", "", js1Text(`{"nodes":{"n1":{"gpu_utilization":{"0":90,"1":0}},"n2":{"gpu_utilization":{"0":0,"1":0}}}}`)))
	in := Input{Rows: []*record{job, row("JobID=5.0", "State=COMPLETED", "ExitCode=0:0", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=7200",
		"TRESUsageInTot=cpu="+of("used", "00:10:00", "02:00:00", "1-00:00:00", "4-00:00:00")+",mem="+of("peak", "500M", "9G", "200G")+of("util", "", ",gres/gpuutil=0", ",gres/gpuutil=40"),
		"TRESUsageInMax=cpu=01:30:00,mem=400M", "TRESUsageInAve=cpu=00:20:00,mem=200M")}}
	if rapid.Bool().Draw(t, "profile") {
		in.Profiles = []ProfileFile{busyNode("n1", "0", 1, gib), busyNode("n2", "1", 0, gib)}
	}
	return in
}

func TestNoFindingOfACompletedJobWastesMoreThanTheLedgerSays(t *testing.T) {
	seen := make(map[Rule]bool)
	check := func(t interface{ Fatalf(string, ...any) }, r Report) {
		for _, f := range r.Findings {
			seen[f.Rule] = true
			for _, p := range []struct {
				resource string
				saved    float64
				acc      *Account
			}{{"core_s", f.Wasted.CoreS, r.Ledger.CoreS}, {"byte_s", f.Wasted.ByteS, r.Ledger.ByteS}, {"gpu_s", f.Wasted.GPUS, r.Ledger.GPUS}, {"joule", f.Wasted.Joule, r.Ledger.Joule}} {
				if p.saved < 0 || p.saved > p.acc.Wasted() {
					t.Fatalf("%s: %v %s of %+v", f.Rule, p.saved, p.resource, p.acc)
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(t, Analyse(forcedJob(t))) })
	rapid.Check(t, func(t *rapid.T) {
		if r := Analyse(anyInput(t)); r.Job.SlurmState == "COMPLETED" && len(r.Attempts) == 0 {
			check(t, r)
		}
	})
	if len(seen) < 4 {
		t.Errorf("only %v were found: the property says little", seen)
	}
}

func TestForcedCapacityIsInNoFinding(t *testing.T) {
	whole := longJob("AllocCPUS=64", "ReqCPUS=4", "ReqMem=16G", "AllocTRES=cpu=64,mem=256G,node=1")
	if f := hasRule(Analyse(Input{Rows: []*record{whole, step0("cpu=08:00:00,mem=15G")}}), RuleMemoryOver); f != nil {
		t.Errorf("15 of the 16 G that were asked for: %+v", *f)
	}
	f := hasRule(Analyse(Input{Rows: []*record{whole, step0("cpu=08:00:00,mem=2G")}}), RuleMemoryOver)
	if f == nil || f.Wasted.ByteS != (16-2*1.3)*gib*7200 || f.Evidence["memory_bytes"] != 16.0*gib || f.Evidence["memory_efficiency_percent"] != 12.5 {
		t.Errorf("2 of the 16 G that were asked for: %+v", f)
	}
	nodes := Input{
		Rows:     []*record{profiledJob("AllocCPUS=64", "ReqCPUS=34", "AllocTRES=cpu=64,mem=512G,node=2")},
		Profiles: []ProfileFile{busyNode("n1", "0", 30, gib), busyNode("n2", "1", 0, gib)},
	}
	if f := hasRule(Analyse(nodes), RuleIdleNode); f == nil || f.Wasted.CoreS != Analyse(nodes).Ledger.CoreS.Idle || f.Wasted.CoreS >= 32*7200 {
		t.Errorf("the site gave 30 CPUs of the idle node: %+v", f)
	}
}
