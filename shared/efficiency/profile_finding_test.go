package efficiency

import (
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// Findings that rest on profiles, and what damaged profiles do to numbers.

// busyNode is a node whose one task uses cores CPUs and rss bytes, sampled each minute
// for two hours from second 1000.
func busyNode(node, id string, cores, rss float64) ProfileFile {
	var at, mem, cpu []float64
	for i := range 121 {
		at, mem, cpu = append(at, float64(1000+60*i)), append(mem, rss), append(cpu, 60*cores)
	}
	cpu[0] = 0
	task := rssTask(id, at, mem)
	task.CPUTimeS = cpu
	return taskFile("0", node, task)
}

func profiledJob(pairs ...string) *record {
	return longJob(append([]string{"NNodes=2", "NodeList=n[1-2]", "Start=1000", "End=8200"}, pairs...)...)
}

func TestTheFullestNodeDecidesAboutMemory(t *testing.T) {
	in := Input{
		Rows:     []*record{profiledJob()},
		Profiles: []ProfileFile{busyNode("n1", "0", 7, 31*gib), busyNode("n2", "1", 7, 2*gib)},
		Cluster:  &Cluster{JobAcctGather: linux},
	}
	r := Analyse(in)
	want(t, r, MemoryEfficiency, 100*33.0/64)
	f := hasRule(r, RuleMemoryNearLimit)
	if f == nil || f.Evidence["memory_efficiency_percent"] != 100*31.0/32 {
		t.Errorf("one node was nearly full: %+v", r.Findings)
	}
	if hasRule(r, RuleMemoryOver) != nil {
		t.Error("half of the memory is free in total, but not where it is needed")
	}
}

func TestOneFullNodeForbidsToCutMemory(t *testing.T) {
	r := Analyse(Input{
		Rows:     []*record{profiledJob()},
		Profiles: []ProfileFile{busyNode("n1", "0", 7, 28*gib), busyNode("n2", "1", 7, gib/2)},
	})
	want(t, r, MemoryEfficiency, 100*28.5/64)
	if f := hasRule(r, RuleMemoryOver); f != nil {
		t.Errorf("28 of 32 G were needed on one node, yet %+v", *f)
	}
}

func TestAdviceForSeveralNodesComesFromTheFullestOne(t *testing.T) {
	r := Analyse(Input{
		Rows:     []*record{profiledJob()},
		Profiles: []ProfileFile{busyNode("n1", "0", 7, 8*gib), busyNode("n2", "1", 7, 2*gib)},
	})
	if f := hasRule(r, RuleMemoryOver); f == nil || f.Directive != "--mem=11G" {
		t.Errorf("%+v", r.Findings)
	}
	accounting := Analyse(Input{Rows: []*record{profiledJob(), step0(goodCPU+",mem=10G", "NNodes=2", "NodeList=n[1-2]", "NTasks=2")}})
	if f := hasRule(accounting, RuleMemoryOver); f == nil || f.Directive != "" {
		t.Errorf("the accounting does not tell how nodes differ, yet %+v", accounting.Findings)
	}
}

func TestEqualNodesAreNotIdle(t *testing.T) {
	r := Analyse(Input{
		Rows:     []*record{profiledJob()},
		Profiles: []ProfileFile{busyNode("n1", "0", 7, 8*gib), busyNode("n2", "1", 7, 8*gib)},
	})
	if f := hasRule(r, RuleIdleNode); f != nil {
		t.Errorf("%+v", *f)
	}
	if f := hasRule(r, RuleMemoryLeak); f != nil {
		t.Errorf("memory is flat: %+v", *f)
	}
	if m := want(t, r, CPUUsed, 2*7*7200); m.Source != SourceProfile || m.Bound != Lower {
		t.Errorf("source %s, bound %s", m.Source, m.Bound)
	}
}

func TestADamagedFileGivesLowerBounds(t *testing.T) {
	f := busyNode("n1", "0", 1, gib)
	f.Profile.Damage = []profile.Damage{{Path: "/n1/Tasks/1", Rows: 3}}
	r := Analyse(Input{Profiles: []ProfileFile{f}})
	if m := r.Metrics[MemoryPeak]; m.Bound != Lower || !m.Has(MissingField) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestEnergyAndProfileDisagree(t *testing.T) {
	watt := make([]float64, 101)
	for i := range watt {
		watt[i] = 100
	}
	job := func(joules string) *record {
		return row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=100", "Start=1000", "End=1100", "ConsumedEnergyRaw="+joules)
	}
	file := []ProfileFile{powerFile("0", "n1", 1000, watt...)}
	r := Analyse(Input{Rows: []*record{job("20000")}, Profiles: file})
	if m := want(t, r, Energy, 20000); !m.Has(SourceDisagreement) || hasRule(r, RuleSourceDisagreement) == nil {
		t.Errorf("10 kJ against 20 kJ: %v", m.Reasons)
	}
	r = Analyse(Input{Rows: []*record{job("10500")}, Profiles: file})
	if m := want(t, r, Energy, 10500); m.Has(SourceDisagreement) {
		t.Errorf("5 percent apart: %v", m.Reasons)
	}
}

func TestMemoryAboveTheAccountingsBoundIsADisagreement(t *testing.T) {
	rows := []*record{longJob("Start=1000", "End=8200"), step0(goodCPU + ",mem=4G")}
	r := Analyse(Input{Rows: rows, Profiles: []ProfileFile{busyNode("n1", "0", 14, 9*gib)}})
	if m := want(t, r, MemoryPeak, 9*gib); !m.Has(SourceDisagreement) {
		t.Errorf("reasons %v", m.Reasons)
	}
	if hasRule(r, RuleMemoryOver) != nil {
		t.Error("advice from sources that disagree")
	}
}

func TestVerdictOfRowsWithoutUsage(t *testing.T) {
	r := Analyse(Input{Rows: []*record{row("JobID=1", "State=COMPLETED", "ElapsedRaw=100", "AllocCPUS=1")}})
	if !strings.Contains(r.Verdict, "not known") {
		t.Error(r.Verdict)
	}
}

func TestASampledSeriesIsNoHighWaterMark(t *testing.T) {
	peak := &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 2, MemoryPeakFile: true, TaskInterval: 900}
	rows := []*record{longJob("Start=1000", "End=8200"), step0(goodCPU+",mem=4G", "NodeList=n1")}
	if f := hasRule(Analyse(Input{Rows: rows, Cluster: peak}), RuleMemoryOver); f == nil {
		t.Error("memory.peak is a high-water mark of any run")
	}
	r := Analyse(Input{Rows: rows, Cluster: peak, Profiles: []ProfileFile{busyNode("n1", "0", 14, 4*gib)}})
	if m := want(t, r, MemoryPeak, 4*gib); m.Source != SourceProfile || !m.Has(PageCacheIncluded) || !m.Has(Sampled) {
		t.Errorf("source %s, reasons %v: the series of cgroup v2 counts the file cache too", m.Source, m.Reasons)
	}
	if f := hasRule(r, RuleMemoryOver); f != nil {
		t.Errorf("eight samples of a series, yet %+v", *f)
	}
}

func TestTheIdleGPUsOfAJobAreCounted(t *testing.T) {
	busy := longJob("NNodes=1", "NodeList=n1", "Start=1000", "End=8200", "AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=4",
		"AdminComment="+js1(t, `{"gpus":4,"nodes":{"n1":{"gpu_utilization":{"0":100,"1":0,"2":0,"3":0}}}}`))
	check := func(in Input) {
		t.Helper()
		r := Analyse(in)
		want(t, r, GPUUtilization, 25)
		if f := hasRule(r, RuleIdleGPU); f == nil || f.Evidence["idle_gpus"] != 3.0 || f.Directive != "--gpus=1" || f.Wasted.GPUS != 3*7200 {
			t.Errorf("%+v", f)
		}
	}
	check(Input{Rows: []*record{busy}})
	// The same by the tasks of a profile, each with a GPU of its own.
	var tasks []profile.TaskSeries
	for i, util := range []float64{100, 0, 0, 0} {
		task := level([]string{"0", "1", "2", "3"}[i], 1000, 8200, gib)
		task.GPUUtilPercent = make(profile.Column, len(task.EpochS))
		for k := range task.GPUUtilPercent {
			task.GPUUtilPercent[k] = util
		}
		tasks = append(tasks, task)
	}
	plain := longJob("NNodes=1", "NodeList=n1", "Start=1000", "End=8200", "AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=4")
	check(Input{Rows: []*record{plain}, Profiles: []ProfileFile{taskFile("0", "n1", tasks...)}})
	// A lower bound of zero says nothing about the rest.
	short := taskFile("0", "n1", tasks[1])
	short.Profile.Steps[0].Nodes[0].Tasks[0] = func() profile.TaskSeries {
		task := level("1", 1000, 1100, gib)
		task.GPUUtilPercent = make(profile.Column, len(task.EpochS))
		return task
	}()
	if f := hasRule(Analyse(Input{Rows: []*record{plain}, Profiles: []ProfileFile{short}}), RuleIdleGPU); f != nil {
		t.Errorf("100 of 7200 s were looked at: %+v", *f)
	}
}

func TestAJobstatsSummaryTellsIdleNodes(t *testing.T) {
	job := profiledJob("AdminComment=" + js1(t, `{"nodes":{"n1":{"cpus":8,"total_time":50000},"n2":{"cpus":8,"total_time":20}}}`))
	if f := hasRule(Analyse(Input{Rows: []*record{job}}), RuleIdleNode); f == nil || f.Evidence["nodes"] != "n2" {
		t.Errorf("%+v", f)
	}
}

func TestAnIncompleteProfileCallsNoNodeIdle(t *testing.T) {
	step := step0("cpu=28:00:00,"+goodMem, "NTasks=2", "NNodes=2", "NodeList=n[1-2]")
	batch := step0("cpu=00:00:01,mem=1M", "JobID=5.batch", "NTasks=1", "NNodes=1", "NodeList=n2")
	script := busyNode("n2", "0", 0.0001, 1<<20)
	script.Step, script.Profile.Steps[0].Name = "batch", "batch"
	r := Analyse(Input{Rows: []*record{profiledJob(), batch, step}, Profiles: []ProfileFile{busyNode("n1", "0", 7, gib), script}})
	if f := hasRule(r, RuleIdleNode); f != nil {
		t.Errorf("the file of step 0 on n2 is not there, yet %+v", *f)
	}
}
