package efficiency

import (
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// disagreeing are the numbers of the finding, nil without one.
func disagreeing(r Report) map[string]any {
	if f := hasRule(r, RuleSourceDisagreement); f != nil {
		return f.Evidence
	}
	return nil
}

func TestSourcesThatContradictOneAnother(t *testing.T) {
	ended := step0("cpu=04:00:00," + goodMem)
	summary := func(cpu string) *record {
		return longJob("AdminComment=" + js1(t, `{"nodes":{"n1":{"cpus":16,"total_time":`+cpu+`,"total_memory":1,"used_memory":1}}}`))
	}
	for _, c := range []struct {
		name string
		in   Input
		key  string // of the evidence; empty when nothing is wrong
	}{
		{"sstat had seen less when it looked last", Input{Rows: []*record{longJob(), ended}, Sstat: []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=03:00:00,mem=1G")}}, ""},
		{"sstat had seen more than the accounting kept", Input{Rows: []*record{longJob(), ended}, Sstat: []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=06:00:00,mem=1G")}}, "cpu_used.sstat"},
		{"sstat a little above: within the tolerance", Input{Rows: []*record{longJob(), ended}, Sstat: []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=04:10:00,mem=1G")}}, ""},
		{"a jobstats summary that agrees", Input{Rows: []*record{summary("14300"), ended}}, ""},
		{"a jobstats summary with half of it", Input{Rows: []*record{summary("7200"), ended}}, "cpu_used.jobstats"},
		{"a jobstats summary of a step that lost its children", Input{Rows: []*record{summary("90000"), step0("cpu=04:00:00,"+goodMem, "State=CANCELLED")}}, ""},
		{"a profile of a running job behind sstat", Input{
			Rows: []*record{longJob("State=RUNNING", "Start=1000", "End=Unknown")}, Sstat: []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=10:00:00,mem=2G")},
			Profiles: []ProfileFile{busyNode("n1", "0", 4, gib)},
		}, ""},
		{"a profile of a running job with more than sstat", Input{
			Rows: []*record{longJob("State=RUNNING", "Start=1000", "End=Unknown")}, Sstat: []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=02:00:00,mem=2G")},
			Profiles: []ProfileFile{busyNode("n1", "0", 4, gib)},
		}, "cpu_used.hdf5_profile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Analyse(c.in)
			found := disagreeing(r)
			if (found != nil) != (c.key != "") {
				t.Fatalf("disagreement %v, want %q", found, c.key)
			}
			if c.key == "" {
				return
			}
			if _, ok := found[c.key]; !ok || found["threshold_disagreement_percent"] != 10.0 {
				t.Errorf("evidence %v has no %s or not the tolerance", found, c.key)
			}
			if !r.Metrics[CPUUsed].Has(SourceDisagreement) {
				t.Errorf("the number itself does not say so: %v", r.Metrics[CPUUsed].Reasons)
			}
		})
	}
}

func TestAKilledStepKeepsWhatSstatHadSeen(t *testing.T) {
	in := Input{
		Rows:  []*record{longJob("State=TIMEOUT"), step0("cpu=00:10:00,"+goodMem, "State=CANCELLED")},
		Sstat: []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=04:00:00,mem=1G")},
	}
	m := want(t, Analyse(in), CPUUsed, 4*3600)
	if m.Source != SourceSstat || m.Bound != Lower || !m.Has(KilledStep) {
		t.Errorf("source %s, bound %s, reasons %v: Slurm loses the time of a killed step's children", m.Source, m.Bound, m.Reasons)
	}
	in.Sstat = []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=00:05:00,mem=1G")}
	if m := want(t, Analyse(in), CPUUsed, 600); m.Source != SourceTRES {
		t.Errorf("source %s: what is less than the accounting adds nothing", m.Source)
	}
}

func TestAPowerSeriesThatBeganLateDoesNotContradictTheMeter(t *testing.T) {
	// The plugin's first two rows are 0: 18 s at 120 W of a job whose meter was read for half a second more than it ran.
	watt := []float64{0, 0}
	for range 19 {
		watt = append(watt, 120)
	}
	job := func(joules string) Input {
		return Input{
			Rows: []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=20",
				"Start=1000", "End=1020", "ConsumedEnergyRaw="+joules)},
			Profiles: []ProfileFile{powerFile("batch", "n1", 1000, watt...)},
		}
	}
	r := Analyse(job("2460"))
	want(t, r, Energy, 2460)
	if f := disagreeing(r); f != nil {
		t.Errorf("2160 J of 18 s and 2460 J of 20.5 s are the same 120 W: %v", f)
	}
	if f := disagreeing(Analyse(job("3600"))); f["energy.hdf5_profile"] != 2160.0 {
		t.Errorf("180 W and 120 W are not the same: %v", f)
	}
}

func TestMemoryThatSstatSawWasThere(t *testing.T) {
	live := []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=00:10:00,mem=30G", "MaxRSS=30G")}
	killed := Input{Rows: []*record{longJob("State=TIMEOUT"), step0("cpu=00:10:00,mem=2G", "State=CANCELLED")}, Sstat: live}
	if m := want(t, Analyse(killed), MemoryPeak, 30*gib); m.Source != SourceSstat {
		t.Errorf("source %s: the accounting of a killed step lost what sstat had seen", m.Source)
	}
	ended := Input{Rows: []*record{longJob(), step0("cpu=00:10:00,mem=2G")}, Sstat: live}
	if f := disagreeing(Analyse(ended)); f["memory_peak.sstat"] != 30.0*gib {
		t.Errorf("evidence %v: 30 G seen of a step that ended with 2", f)
	}
	ended.Sstat = []*record{row("JobID=5.0", "NTasks=1", "TRESUsageInTot=cpu=00:09:00,mem=1G", "MaxRSS=1G")}
	if f := disagreeing(Analyse(ended)); f != nil {
		t.Errorf("less while it ran is no contradiction: %v", f)
	}
}

func TestSourcesOfGPUsAndJobstatsMemoryThatContradictOneAnother(t *testing.T) {
	gpu := func(summary string) *record {
		return longJob("AllocTRES=cpu=16,mem=64G,node=1,gres/gpu=2", "AdminComment="+js1(t, `{"nodes":{"n1":{`+summary+`}}}`))
	}
	step := func(usage string, pairs ...string) *record { return step0(goodCPU+","+usage, pairs...) }
	rss := &Cluster{JobAcctGather: linux}
	for _, c := range []struct {
		name   string
		in     Input
		metric MetricName
		key    string // of the evidence; empty when nothing is wrong
	}{
		{"utilisation", Input{Rows: []*record{gpu(`"gpu_utilization":{"0":90,"1":80}`), step(goodMem + ",gres/gpuutil=60")}}, GPUUtilization, "gpu_utilization.jobstats"},
		{"utilisation within ten points", Input{Rows: []*record{gpu(`"gpu_utilization":{"0":39,"1":39}`), step(goodMem + ",gres/gpuutil=60")}}, GPUUtilization, ""},
		{"a summary without one of the GPUs", Input{Rows: []*record{gpu(`"gpu_utilization":{"0":90}`), step(goodMem + ",gres/gpuutil=10")}}, GPUUtilization, ""},
		{"GPU memory", Input{Rows: []*record{gpu(`"gpu_used_memory":{"0":20000000000,"1":20000000000}`), step(goodMem + ",gres/gpumem=20G")}}, GPUMemoryPeak, "gpu_memory_peak.jobstats"},
		{"what the driver holds", Input{Rows: []*record{gpu(`"gpu_used_memory":{"0":4000000000,"1":4000000000}`), step(goodMem + ",gres/gpumem=6G")}}, GPUMemoryPeak, ""},
		{"a summary with more than the accounting's most", Input{Rows: []*record{gpu(`"used_memory":40000000000`), step("mem=20G")}}, MemoryPeak, "memory_peak.jobstats"},
		{"a little more", Input{Rows: []*record{gpu(`"used_memory":22000000000`), step("mem=20G")}}, MemoryPeak, ""},
		{"a summary with less than one task", Input{Rows: []*record{gpu(`"used_memory":4000000000`), step("mem=20G", "MaxRSS=20G")}, Cluster: rss}, MemoryPeak, "memory_peak.jobstats"},
		{"less, and the accounting counts file cache", Input{Rows: []*record{gpu(`"used_memory":4000000000`), step("mem=20G", "MaxRSS=20G")}}, MemoryPeak, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Analyse(c.in)
			found := disagreeing(r)
			if _, ok := found[c.key]; ok != (c.key != "") || found != nil && c.key == "" {
				t.Fatalf("disagreement %v, want %q", found, c.key)
			}
			if r.Metrics[c.metric].Has(SourceDisagreement) != (c.key != "") {
				t.Errorf("%s: %v", c.metric, r.Metrics[c.metric].Reasons)
			}
		})
	}
}

func TestAProfileOfAGPUThatContradictsTheAccounting(t *testing.T) {
	job := func(util string) Input {
		f := gpuProfile(profile.Column{50, 50, 50}, profile.Column{gib, gib, gib})
		return Input{
			Rows: []*record{
				row("JobID=5", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "NodeList=n1", "ElapsedRaw=2", "Start=1000", "End=1002", "AllocTRES=cpu=1,node=1,gres/gpu=1"),
				row("JobID=5.0", "State=COMPLETED", "NTasks=1", "NNodes=1", "NodeList=n1", "ElapsedRaw=2", "TRESUsageInTot=gres/gpuutil="+util+",gres/gpumem=1G"),
			},
			Profiles: []ProfileFile{f}, Cluster: &Cluster{TaskInterval: 1},
		}
	}
	if f := disagreeing(Analyse(job("55"))); f != nil {
		t.Errorf("50 and 55 %%: %v", f)
	}
	if f := disagreeing(Analyse(job("90"))); f["gpu_utilization.hdf5_profile"] != 50.0 || f["gpu_utilization.tres_usage_in_tot"] != 90.0 {
		t.Errorf("50 and 90 %%: %v", f)
	}
}
