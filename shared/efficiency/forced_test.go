package efficiency

import "testing"

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
