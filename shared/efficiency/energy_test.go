package efficiency

import (
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// powerFile is a step file of one node with a power series at 1 Hz from start.
func powerFile(step, node string, start float64, watt ...float64) ProfileFile {
	e := &profile.EnergySeries{PowerW: watt}
	for i := range watt {
		e.EpochS = append(e.EpochS, start+float64(i))
		e.ElapsedS = append(e.ElapsedS, float64(i))
	}
	return ProfileFile{Step: step, Node: node, Profile: &profile.Profile{Steps: []profile.Step{{Name: step, Nodes: []profile.Node{{Name: node, Energy: e}}}}}}
}

func energyJob(pairs ...string) *record {
	return row(append([]string{"JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=10", "Start=1000", "End=1010", "NodeList=n1"}, pairs...)...)
}

func TestZeroEnergyOfAJobThatRanIsMissing(t *testing.T) {
	r := analyse(t, energyJob("ConsumedEnergyRaw=0"), row("JobID=8.batch", "ConsumedEnergyRaw=0", "TotalCPU=00:01.000"))
	wantMissing(t, r, Energy, NoEnergyPlugin)
	wantMissing(t, r, PowerAverage, NoEnergyPlugin)
	wantMissing(t, analyse(t, energyJob()), Energy, MissingField)
}

func TestStepsAreNeverSummed(t *testing.T) {
	steps := []*record{
		row("JobID=8.batch", "ConsumedEnergyRaw=3126"), row("JobID=8.extern", "ConsumedEnergyRaw=6518"),
		row("JobID=8.0", "ConsumedEnergyRaw=3496"), row("JobID=8.1", "ConsumedEnergyRaw=1072"),
	}
	want(t, analyse(t, append(steps, energyJob("ConsumedEnergyRaw=6518"))...), Energy, 6518)
	m := want(t, analyse(t, append(steps, energyJob())...), Energy, 6518)
	if m.Bound == Lower {
		t.Error("the extern step spans the job: no lower bound")
	}
	m = want(t, analyse(t, steps[0], steps[2], steps[3], energyJob()), Energy, 3496)
	if !m.Has(MissingField) {
		t.Errorf("reasons %v", m.Reasons)
	}
}

func TestOverlappingStepFilesOfANodeCountOnce(t *testing.T) {
	watt := []float64{0, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100}
	batch, zero := powerFile("batch", "n1", 1000, watt...), powerFile("0", "n1", 1002, watt[:6]...)
	for _, files := range [][]ProfileFile{{batch}, {batch, zero}, {zero, batch}, {batch, batch}} {
		r := Analyse(Input{Rows: []*record{energyJob()}, Profiles: files})
		m := want(t, r, Energy, 900)
		if *m.Coverage.Seconds != 9 || *m.Coverage.SecondsElapsed != 10 {
			t.Errorf("coverage %v of %v s, want 9 of 10: the leading zero is dropped", *m.Coverage.Seconds, *m.Coverage.SecondsElapsed)
		}
		want(t, r, PowerAverage, 100)
		want(t, r, PowerPeak, 100)
	}
}

func TestNodesAddUp(t *testing.T) {
	files := []ProfileFile{powerFile("0", "n1", 1000, 100, 100, 100), powerFile("0", "n2", 1000, 20, 40, 20)}
	job := row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=2", "ElapsedRaw=2", "Start=1000", "End=1002")
	r := Analyse(Input{Rows: []*record{job}, Profiles: files})
	want(t, r, Energy, 260)
	want(t, r, PowerPeak, 140)
	want(t, r, EnergyDelayProduct, 520)
	if m := Analyse(Input{Rows: []*record{job}, Profiles: files[:1]}).Metrics[Energy]; !m.Has(UnmeasuredNodes) {
		t.Errorf("one of two nodes: reasons %v", m.Reasons)
	}
}

func TestHolesInPowerAreNotBridged(t *testing.T) {
	f := powerFile("0", "n1", 1000, 100, 100, 100, 100, 100)
	f.Profile.Steps[0].Nodes[0].Energy.EpochS[4] = 1010
	m := want(t, Analyse(Input{Rows: []*record{energyJob()}, Profiles: []ProfileFile{f}}), Energy, 300)
	if !m.Has(ClockGap) || *m.Coverage.Seconds != 3 {
		t.Errorf("reasons %v, %v seconds", m.Reasons, *m.Coverage.Seconds)
	}
}

func sharedCluster() *Cluster {
	return &Cluster{DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 8, ThreadsPerCore: 1, IdleWatt: 50, WattPerCore: 10, GPUWatt: 300}}}
}

func TestSharedNodesAreSplitByTheStatedRule(t *testing.T) {
	rows := []*record{energyJob("ConsumedEnergyRaw=1000"), row("JobID=8.0", "State=COMPLETED", "TotalCPU=00:30.000", "NTasks=4", "NodeList=n1")}
	in := Input{Rows: rows, Cluster: sharedCluster()}
	if m := want(t, Analyse(in), Energy, 1000); m.Bound != Upper || !m.Has(SharedNode) {
		t.Errorf("bound %s, reasons %v: without the node's load the whole is an upper bound", m.Bound, m.Reasons)
	}
	in.NodeCPU = map[string]float64{"n1": 60}
	m := want(t, Analyse(in), Energy, 500*4.0/8+500*30.0/60)
	if m.Bound != Estimate || !m.Has(SharedNode) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestAWholeNodeIsExact(t *testing.T) {
	c := sharedCluster()
	c.NodeTypes["a"] = NodeType{Cores: 4}
	m := want(t, Analyse(Input{Rows: []*record{energyJob("ConsumedEnergyRaw=1000")}, Cluster: c}), Energy, 1000)
	if m.Bound != Exact {
		t.Errorf("bound %s", m.Bound)
	}
	if m := analyse(t, energyJob("ConsumedEnergyRaw=1000")).Metrics[Energy]; m.Bound != Upper {
		t.Errorf("bound %s: whether the node was shared is not known", m.Bound)
	}
}

func TestTheModelEstimatesWhatWasNotMeasured(t *testing.T) {
	c := sharedCluster()
	c.PUE = 1.5
	rows := []*record{
		energyJob("ConsumedEnergyRaw=0", "AllocTRES=cpu=4,mem=16G,node=1,gres/gpu=2"),
		row("JobID=8.0", "State=COMPLETED", "TotalCPU=00:20.000", "NTasks=1", "ElapsedRaw=10", "TRESUsageInTot=gres/gpuutil=50"),
	}
	m := want(t, Analyse(Input{Rows: rows, Cluster: c}), Energy, 10*1.5*(4*10*0.5+16*0.3725+2*300*0.25))
	if m.Bound != Estimate || m.Source != SourceModel || !m.Has(ModelEstimate) || !m.Has(NoEnergyPlugin) {
		t.Errorf("bound %s, source %s, reasons %v", m.Bound, m.Source, m.Reasons)
	}
	rows[1] = row("JobID=8.0", "State=COMPLETED", "TotalCPU=00:20.000", "NTasks=1")
	wantMissing(t, Analyse(Input{Rows: rows, Cluster: c}), Energy, NoEnergyPlugin)
}

func TestEverydayComparison(t *testing.T) {
	for _, joules := range []float64{1, 5e4, 2e5, 1e6, 1e8, 1e11, 1e15} {
		if Everyday(joules) == "" {
			t.Errorf("nothing to say about %v J", joules)
		}
	}
	if got := Everyday(1.8 * JoulePerKWh); got != "1.8 kWh: enough to boil 18 litres of water" {
		t.Error(got)
	}
	if Everyday(0) != "" || Everyday(-1) != "" {
		t.Error("no energy has a comparison")
	}
}

func TestASeriesOfTheRunGoesBeforeTheLargestStep(t *testing.T) {
	step := row("JobID=8.0", "State=COMPLETED", "NTasks=1", "ConsumedEnergyRaw=300", "Start=1000", "End=1003", "ElapsedRaw=3")
	watt := []float64{100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100}
	in := Input{Rows: []*record{energyJob(), step}, Profiles: []ProfileFile{powerFile("batch", "n1", 1000, watt...)}}
	r := Analyse(in)
	if m := want(t, r, Energy, 1000); m.Source != SourceProfile || m.Has(SourceDisagreement) {
		t.Errorf("source %s, reasons %v: 300 J of a step of 3 s do not contradict 1000 J of the job", m.Source, m.Reasons)
	}
	if f := disagreeing(r); f != nil {
		t.Errorf("%v", f)
	}
	// Of a part of the run the larger lower bound counts.
	in.Profiles = []ProfileFile{powerFile("batch", "n1", 1000, watt[:3]...)}
	if m := want(t, Analyse(in), Energy, 300); m.Source != SourceConsumedEnergy {
		t.Errorf("source %s", m.Source)
	}
	// More than the whole series is a contradiction, also of a step.
	in.Rows[1] = row("JobID=8.0", "State=COMPLETED", "NTasks=1", "ConsumedEnergyRaw=9000", "Start=1000", "End=1010", "ElapsedRaw=10")
	in.Profiles = []ProfileFile{powerFile("batch", "n1", 1000, watt...)}
	if f := disagreeing(Analyse(in)); f["energy.hdf5_profile"] != 1000.0 {
		t.Errorf("%v", f)
	}
}

func TestSharingThatIsNotKnownIsSaid(t *testing.T) {
	if m := want(t, analyse(t, energyJob("ConsumedEnergyRaw=1000")), Energy, 1000); m.Bound != Upper || !m.Has(SharedNode) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestTheModelSaysNothingOfNodesThatNobodySaw(t *testing.T) {
	rows := []*record{
		row("JobID=8", "State=COMPLETED", "AllocCPUS=80", "NNodes=20", "NodeList=n[1-20]", "ElapsedRaw=3600", "AllocTRES=cpu=80,mem=80G,node=20"),
		row("JobID=8.batch", "State=COMPLETED", "NTasks=1", "NNodes=1", "NodeList=n1", "TotalCPU=04:00:00"),
	}
	wantMissing(t, Analyse(Input{Rows: rows, Cluster: sharedCluster()}), Energy, UnmeasuredNodes)
}
