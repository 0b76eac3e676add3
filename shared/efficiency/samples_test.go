package efficiency

import (
	"fmt"
	"math"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// rssTask is a task sampled at the given times.
func rssTask(id string, at, rss []float64) profile.TaskSeries {
	cpu := make(profile.Column, len(at))
	for i := range cpu {
		cpu[i] = 1
	}
	if len(cpu) > 0 {
		cpu[0] = 0
	}
	return profile.TaskSeries{ID: id, Clock: profile.Clock{EpochS: at, ElapsedS: at}, RSSBytes: rss, CPUTimeS: cpu}
}

func taskFile(step, node string, tasks ...profile.TaskSeries) ProfileFile {
	return ProfileFile{Step: step, Node: node, Profile: &profile.Profile{Steps: []profile.Step{{Name: step, Nodes: []profile.Node{{Name: node, Tasks: tasks}}}}}}
}

func TestPeakOfTheSumNotSumOfThePeaks(t *testing.T) {
	files := []ProfileFile{
		taskFile("0", "n1", rssTask("0", []float64{100, 101, 102}, []float64{10, 90, 10})),
		taskFile("0", "n2", rssTask("1", []float64{100, 101, 102}, []float64{80, 20, 20})),
	}
	r := Analyse(Input{Profiles: files})
	if m := want(t, r, MemoryPeak, 110); m.Source != SourceProfile || m.Bound != Estimate || !m.Has(Sampled) {
		t.Errorf("source %s, bound %s, reasons %v", m.Source, m.Bound, m.Reasons)
	}
	if *r.Nodes[0].MemoryPeakBytes != 90 || *r.Nodes[1].MemoryPeakBytes != 80 {
		t.Errorf("peaks per node %v, %v", *r.Nodes[0].MemoryPeakBytes, *r.Nodes[1].MemoryPeakBytes)
	}
}

func TestSequentialTasksAreNotAdded(t *testing.T) {
	r := Analyse(Input{Profiles: []ProfileFile{
		taskFile("0", "n1", rssTask("0", []float64{100, 101, 102}, []float64{50, 50, 50})),
		taskFile("1", "n1", rssTask("0", []float64{103, 104, 105}, []float64{60, 60, 60})),
	}})
	want(t, r, MemoryPeak, 60)
}

func TestAlignmentIsByRealTime(t *testing.T) {
	// The second task began 10 s later: row by row they would seem to coincide.
	r := Analyse(Input{Profiles: []ProfileFile{
		taskFile("0", "n1", rssTask("0", []float64{100, 101, 102}, []float64{50, 70, 50})),
		taskFile("1", "n1", rssTask("1", []float64{110, 111, 112}, []float64{50, 70, 50})),
	}})
	want(t, r, MemoryPeak, 70)
}

func TestAValueDoesNotReachOverAHole(t *testing.T) {
	r := Analyse(Input{Profiles: []ProfileFile{
		taskFile("0", "n1",
			rssTask("0", []float64{100, 101, 102, 150, 151}, []float64{90, 90, 90, 5, 5}),
			rssTask("1", []float64{130, 131, 132}, []float64{50, 50, 50})),
	}})
	if m := want(t, r, MemoryPeak, 90); !m.Has(ClockGap) {
		t.Errorf("reasons %v", m.Reasons)
	}
}

func TestRepeatedRowsAndNaNDoNotCount(t *testing.T) {
	r := Analyse(Input{Profiles: []ProfileFile{
		taskFile("0", "n1", rssTask("0", []float64{100, 101, 101, math.NaN(), 102}, []float64{10, 20, 20, 999, math.NaN()})),
	}})
	want(t, r, MemoryPeak, 20)
}

func TestMergedAndSingleFilesAreNotCountedTwice(t *testing.T) {
	one := taskFile("0", "n1", rssTask("0", []float64{100, 101}, []float64{10, 20}))
	r := Analyse(Input{Profiles: []ProfileFile{one, one, {Profile: one.Profile}}})
	want(t, r, MemoryPeak, 20)
	want(t, r, CPUUsed, 1)
}

func TestAnIncompleteProfileDoesNotReplaceTheAccounting(t *testing.T) {
	rows := []*record{
		row("JobID=5", "State=COMPLETED", "AllocCPUS=2", "NNodes=2", "ElapsedRaw=100", "Start=100", "End=200", "AllocTRES=cpu=2,mem=1G,node=2", "NodeList=n[1-2]"),
		row("JobID=5.0", "State=COMPLETED", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", "TotalCPU=00:02.000", "TRESUsageInTot=mem=500M", "Start=100", "End=200"),
	}
	half := taskFile("0", "n1", rssTask("0", []float64{100, 150, 200}, []float64{10, 20, 10}))
	r := Analyse(Input{Rows: rows, Profiles: []ProfileFile{half}})
	if m := want(t, r, MemoryPeak, 500<<20); m.Source != SourceTRES {
		t.Errorf("source %s", m.Source)
	}
	other := taskFile("0", "n2", rssTask("1", []float64{100, 150, 200}, []float64{10, 20, 10}))
	r = Analyse(Input{Rows: rows, Profiles: []ProfileFile{half, other}})
	if m := want(t, r, MemoryPeak, 40); m.Source != SourceProfile {
		t.Errorf("source %s", m.Source)
	}
}

func TestProfilesOfAnotherAttemptAreLeftOut(t *testing.T) {
	rows := []*record{
		row("JobID=7", "Submit=1000", "Start=1000", "End=1100", "State=NODE_FAIL", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=100"),
		row("JobID=7", "Submit=1100", "Start=5000", "End=5100", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=100"),
	}
	f := taskFile("0", "n1", rssTask("0", []float64{5000, 5050, 5100}, []float64{10, 20, 10}))
	r := Analyse(Input{Rows: rows, Profiles: []ProfileFile{f}})
	wantMissing(t, r.Attempts[0], MemoryPeak, NoStepData)
	want(t, r.Attempts[1], MemoryPeak, 20)
}

func TestSeriesAreBoundedAndKeepTheirSums(t *testing.T) {
	var at, rss []float64
	for i := range 5000 {
		at, rss = append(at, float64(1000+i)), append(rss, float64(i%97))
	}
	r := Analyse(Input{Profiles: []ProfileFile{taskFile("0", "n1", rssTask("0", at, rss))}, MaxPoints: 100})
	s := r.Series
	if s.Points > 100 || s.Start != 1000 || s.Sampling != 1 {
		t.Fatalf("%d points from %d, sampling %v", s.Points, s.Start, s.Sampling)
	}
	for _, l := range s.Lines {
		if len(l.Values) != s.Points {
			t.Errorf("%s has %d values, the set has %d points", l.Name, len(l.Values), s.Points)
		}
		switch {
		case l.Name == "memory" && *l.Values[3] != 96:
			t.Errorf("memory is the maximum of the bucket, not %v", *l.Values[3])
		case l.Name == "cpu_cores" && math.Abs(*l.Values[3]-1) > 1e-9:
			t.Errorf("one core was busy all the time, not %v", *l.Values[3])
		}
	}
}

func TestSeriesLimitTheNodes(t *testing.T) {
	var files []ProfileFile
	for i := range 40 {
		files = append(files, taskFile("0", fmt.Sprintf("n%02d", i), rssTask(fmt.Sprint(i), []float64{1000, 1001}, []float64{1, 2})))
	}
	r := Analyse(Input{Profiles: files})
	lines := 0
	for _, l := range r.Series.Lines {
		if l.Name == "memory" && l.Node != "" {
			lines++
		}
		if l.Name == "memory" && l.Node == "" && *l.Values[1] != 80 {
			t.Errorf("the total covers all nodes, not %v", *l.Values[1])
		}
	}
	if lines != maxSeriesNodes || len(r.Nodes) != 40 {
		t.Errorf("%d lines per node, %d nodes", lines, len(r.Nodes))
	}
}

func TestHostileTimesMakeNoEndlessSeries(t *testing.T) {
	r := Analyse(Input{Profiles: []ProfileFile{taskFile("0", "n1", rssTask("0", []float64{0, 1, 1e19}, []float64{1, 2, 3}))}})
	if r.Series != nil {
		t.Errorf("%d points", r.Series.Points)
	}
}

func TestTheLongestCopyOfASeriesCounts(t *testing.T) {
	early := taskFile("0", "n1", rssTask("0", []float64{100, 101}, []float64{10, 20}))
	late := taskFile("0", "n1", rssTask("0", []float64{100, 101, 102, 103}, []float64{10, 20, 90, 10}))
	for _, files := range [][]ProfileFile{{early, late}, {late, early}, {early, late, early}} {
		r := Analyse(Input{Profiles: files})
		want(t, r, MemoryPeak, 90)
		want(t, r, CPUUsed, 3)
	}
}

func TestASlowlySampledTaskStaysInThePeak(t *testing.T) {
	// Three steps at 1 s and one at 60 s: its value holds for its own interval, not for three seconds.
	files := []ProfileFile{taskFile("9", "n1", rssTask("0", []float64{1000, 1060, 1120, 1180}, []float64{50, 50, 50, 50}))}
	for i := range 3 {
		var at, rss []float64
		for k := range 100 {
			at, rss = append(at, float64(1000+k)), append(rss, 1)
			if k == 30 {
				rss[k] = 100
			}
		}
		files = append(files, taskFile(fmt.Sprint(i), "n1", rssTask("0", at, rss)))
	}
	want(t, Analyse(Input{Profiles: files}), MemoryPeak, 350)
}
