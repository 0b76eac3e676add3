package efficiency

import (
	"math"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

func gpuJob(gpus string) *record {
	return row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=cpu=4,mem=8G,node=1,"+gpus)
}

func TestGPUsAreCountedOnce(t *testing.T) {
	for tres, n := range map[string]float64{
		"gres/gpu=2": 2, "gres/gpu:a100=2": 2, "gres/gpu=2,gres/gpu:a100=2": 2, "gres/gpu:a100=1,gres/gpu:v100=2": 3, "billing=1": 0,
	} {
		t.Run(tres, func(t *testing.T) { want(t, analyse(t, gpuJob(tres)), GPUCount, n) })
	}
}

func TestAFewHundredthsOfAPercentAreNotIdle(t *testing.T) {
	r := analyse(t, gpuJob("gres/gpu:a100=1"),
		row("JobID=5.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=00:01.000", "ElapsedRaw=3600", "TRESUsageInTot=cpu=00:00:01,mem=1G,gres/gpuutil=0.04,gres/gpumem=2G"))
	want(t, r, GPUUtilization, 0.04)
	want(t, r, GPUMemoryPeak, 2*gib)
	if hasRule(r, RuleIdleGPU) != nil {
		t.Error("0.04 percent was called idle")
	}
	if f := hasRule(r, RuleLowGPU); f == nil {
		t.Error("hardly used GPU has no finding")
	}
}

func TestAnIdleGPUIsZeroAndFound(t *testing.T) {
	r := analyse(t, gpuJob("gres/gpu=2"),
		row("JobID=5.0", "State=COMPLETED", "NTasks=1", "ElapsedRaw=3600", "TRESUsageInAve=gres/gpuutil=0"))
	want(t, r, GPUUtilization, 0)
	f := hasRule(r, RuleIdleGPU)
	if f == nil || f.Wasted.GPUS != 7200 {
		t.Errorf("finding %+v, want 7200 GPU seconds wasted", f)
	}
}

func TestUnsetSentinelsAreMissing(t *testing.T) {
	for _, unset := range []string{"18446744073709551615", "1.84467e+19", "18446744073709551614", "17592186044415"} {
		r := analyse(t, gpuJob("gres/gpu=1"),
			row("JobID=5.0", "State=COMPLETED", "NTasks=1", "ElapsedRaw=3600", "TRESUsageInTot=gres/gpuutil="+unset))
		if m := r.Metrics[GPUUtilization]; m.Value != nil {
			t.Errorf("%s was read as %v", unset, *m.Value)
		}
	}
}

func TestUtilisationIsOverAllGPUsAndTheWholeRun(t *testing.T) {
	r := analyse(t, gpuJob("gres/gpu=4"),
		row("JobID=5.0", "State=COMPLETED", "NTasks=4", "ElapsedRaw=1800", "TRESUsageInTot=gres/gpuutil=400"),
		row("JobID=5.1", "State=COMPLETED", "NTasks=1", "ElapsedRaw=900", "TRESUsageInTot=gres/gpuutil=100"))
	want(t, r, GPUUtilization, (400*0.5+100*0.25)/4)
}

func TestAJobWithoutGPUsHasNoUtilisation(t *testing.T) {
	wantMissing(t, analyse(t, gpuJob("billing=1")), GPUUtilization, NotApplicable)
}

// gpuProfile is a job of one task with GPU columns.
func gpuProfile(util, mem profile.Column) ProfileFile {
	clockOf := make(profile.Column, len(util))
	for i := range clockOf {
		clockOf[i] = 1000 + float64(i)
	}
	task := profile.TaskSeries{ID: "0", Clock: profile.Clock{EpochS: clockOf, ElapsedS: clockOf}, GPUUtilPercent: util, GPUMemBytes: mem}
	return ProfileFile{Step: "0", Profile: &profile.Profile{Steps: []profile.Step{{Name: "0", Nodes: []profile.Node{{Name: "n1", Tasks: []profile.TaskSeries{task}}}}}}}
}

func TestProfileSentinelsLeaveTheGPUMissing(t *testing.T) {
	unset := profile.Column{math.NaN(), math.NaN(), math.NaN()}
	r := Analyse(Input{Profiles: []ProfileFile{gpuProfile(unset, unset)}})
	wantMissing(t, r, GPUUtilization, NoStepData)
	wantMissing(t, r, GPUMemoryPeak, NoStepData)
	r = Analyse(Input{Profiles: []ProfileFile{gpuProfile(profile.Column{math.NaN(), 40, 60}, profile.Column{1, 3, 2})}})
	if m := want(t, r, GPUUtilization, 50); m.Source != SourceProfile {
		t.Errorf("source %s", m.Source)
	}
	want(t, r, GPUMemoryPeak, 3)
}

func TestAStepOfUnknownLengthIsNotLeftOut(t *testing.T) {
	r := analyse(t, gpuJob("gres/gpu=1"),
		row("JobID=5.batch", "State=COMPLETED", "NTasks=1", "TRESUsageInTot=cpu=00:00:01,mem=1G,gres/gpuutil=0"),
		row("JobID=5.0", "State=COMPLETED", "NTasks=1", "TRESUsageInTot=cpu=00:10:00,mem=1G,gres/gpuutil=90"))
	if m := want(t, r, GPUUtilization, 90); m.Bound != Upper || !m.Has(MissingField) {
		t.Errorf("bound %s, reasons %v: it may have run all the time", m.Bound, m.Reasons)
	}
	if hasRule(r, RuleIdleGPU) != nil {
		t.Error("a GPU at 90 percent was called idle")
	}
	// Start and End tell the length too.
	r = analyse(t, gpuJob("gres/gpu=1"), row("JobID=5.0", "State=COMPLETED", "NTasks=1", "Start=1000", "End=2800", "TRESUsageInTot=gres/gpuutil=90"))
	if m := want(t, r, GPUUtilization, 45); m.Bound != Estimate {
		t.Errorf("bound %s", m.Bound)
	}
}

func TestGPUsOfUnmeasuredNodesAreNotIdle(t *testing.T) {
	rows := []*record{
		row("JobID=5", "State=COMPLETED", "AllocCPUS=80", "NNodes=20", "NodeList=n[1-20]", "ElapsedRaw=3600", "AllocTRES=cpu=80,mem=80G,node=20,gres/gpu=80"),
		row("JobID=5.batch", "State=COMPLETED", "NTasks=1", "NNodes=1", "NodeList=n1", "ElapsedRaw=3600", "TotalCPU=04:00:00", "TRESUsageInTot=mem=2G,gres/gpuutil=400,gres/gpumem=9G"),
	}
	r := analyse(t, rows...)
	if m := wantMissing(t, r, GPUUtilization, UnmeasuredNodes); *m.Coverage.Nodes != 1 {
		t.Errorf("%d of 20 nodes", *m.Coverage.Nodes)
	}
	if a := r.Ledger.GPUS; a.Used != 4*3600 || a.Unmeasured != 76*3600 || a.Idle != 0 {
		t.Errorf("%+v", *a)
	}
	if m := want(t, r, GPUMemoryPeak, 9*gib); m.Bound == Upper || !m.Has(UnmeasuredNodes) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestConcurrentStepsAddTheirGPUMemory(t *testing.T) {
	step := func(id, start, end string) *record {
		return row("JobID=5."+id, "State=COMPLETED", "NTasks=1", "TRESUsageInTot=gres/gpumem=10G", "Start="+start, "End="+end)
	}
	job := gpuJob("gres/gpu=2")
	if m := want(t, analyse(t, job, step("0", "1000", "4600"), step("1", "1000", "4600")), GPUMemoryPeak, 20*gib); m.Bound != Estimate {
		t.Errorf("bound %s: a spike between samples is missed", m.Bound)
	}
	want(t, analyse(t, job, step("0", "1000", "2000"), step("1", "2000", "4600")), GPUMemoryPeak, 10*gib)
	silent := row("JobID=5.1", "State=COMPLETED", "NTasks=1", "AllocTRES=cpu=1,gres/gpu=1", "Start=1000", "End=4600")
	if m := want(t, analyse(t, job, step("0", "1000", "4600"), silent), GPUMemoryPeak, 10*gib); m.Bound == Upper || !m.Has(NoStepData) {
		t.Errorf("bound %s, reasons %v: a step with a GPU says nothing", m.Bound, m.Reasons)
	}
}

func TestATenthOfTheRunDoesNotCallTheRestIdle(t *testing.T) {
	job := row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=100", "Start=1000", "End=1100", "AllocTRES=cpu=4,mem=8G,node=1,gres/gpu=1")
	files := []ProfileFile{gpuProfile(profile.Column{100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100}, nil)}
	r := Analyse(Input{Rows: []*record{job}, Profiles: files})
	if m := want(t, r, GPUUtilization, 10); m.Bound != Lower || *m.Coverage.Seconds != 10 {
		t.Errorf("bound %s, %v s: 90 s were not looked at", m.Bound, *m.Coverage.Seconds)
	}
	if a := r.Ledger.GPUS; a.Used != 10 || a.Unmeasured != 90 || a.Idle != 0 {
		t.Errorf("%+v", *a)
	}
	whole := row("JobID=5.0", "State=COMPLETED", "NTasks=1", "NodeList=n1", "ElapsedRaw=100", "TRESUsageInTot=mem=1G,gres/gpuutil=85")
	if m := want(t, Analyse(Input{Rows: []*record{job, whole}, Profiles: files}), GPUUtilization, 85); m.Source != SourceTRES {
		t.Errorf("source %s: the accounting saw the whole run", m.Source)
	}
}

func TestMoreThanAllOfAGPUIsSaid(t *testing.T) {
	r := analyse(t, gpuJob("gres/gpu=1"), row("JobID=5.0", "State=COMPLETED", "NTasks=1", "ElapsedRaw=3600", "TRESUsageInTot=gres/gpuutil=130"))
	if m := want(t, r, GPUUtilization, 130); !m.Has(OverLimit) {
		t.Errorf("reasons %v", m.Reasons)
	}
}

func TestASummaryOfSomeGPUsIsALowerBound(t *testing.T) {
	job := gpuJob("gres/gpu=4")
	summary := func(gpus string) *record {
		return row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "AllocTRES="+job.Get("AllocTRES"),
			"AdminComment="+js1(t, `{"gpus":4,"nodes":{"n1":{"gpu_utilization":{`+gpus+`},"gpu_used_memory":{`+gpus+`}}}}`))
	}
	r := analyse(t, summary(`"0":80,"1":40`))
	if m := want(t, r, GPUUtilization, 30); m.Bound != Lower || !m.Has(MissingField) {
		t.Errorf("bound %s, reasons %v: two of four", m.Bound, m.Reasons)
	}
	if m := want(t, r, GPUMemoryPeak, 120); m.Bound != Lower {
		t.Errorf("bound %s", m.Bound)
	}
	if m := want(t, analyse(t, summary(`"0":80,"1":40,"2":0,"3":0`)), GPUUtilization, 30); m.Bound != Estimate {
		t.Errorf("bound %s", m.Bound)
	}
}
