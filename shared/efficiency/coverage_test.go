package efficiency

import (
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// level is a task that holds rss bytes from one second to another, sampled each 10 s.
func level(id string, from, to int, rss float64) profile.TaskSeries {
	var at, mem []float64
	for t := from; t <= to; t += 10 {
		at, mem = append(at, float64(t)), append(mem, rss)
	}
	return rssTask(id, at, mem)
}

// threeSteps is a job of a batch script and three steps one after the other, the second with 40 of 64 G on two nodes.
func threeSteps() []*record {
	step := func(name, mem, from, to string, pairs ...string) *record {
		return row(append([]string{
			"JobID=5." + name, "State=COMPLETED", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", "TotalCPU=00:10.000",
			"TRESUsageInTot=mem=" + mem, "Start=" + from, "End=" + to,
		}, pairs...)...)
	}
	return []*record{
		row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=1000", "Start=1000", "End=2000", "AllocTRES=cpu=4,mem=64G,node=2"),
		step("batch", "10M", "1000", "2000", "NTasks=1", "NNodes=1", "NodeList=n1"),
		step("0", "1G", "1000", "1100"), step("1", "40G", "1100", "1900"), step("2", "1G", "1900", "2000"),
	}
}

// threeStepFiles are the profiles of threeSteps.
func threeStepFiles() []ProfileFile {
	half := func(step string, from, to int, rss float64) []ProfileFile {
		return []ProfileFile{taskFile(step, "n1", level("0", from, to, rss)), taskFile(step, "n2", level("1", from, to, rss))}
	}
	files := []ProfileFile{taskFile("batch", "n1", level("0", 1000, 2000, 10<<20))}
	files = append(files, half("0", 1000, 1100, gib/2)...)
	files = append(files, half("1", 1110, 1890, 20*gib)...)
	return append(files, half("2", 1900, 2000, gib/2)...)
}

func TestAProfileOfAllTasksGoesBeforeTheAccounting(t *testing.T) {
	m := want(t, Analyse(Input{Rows: threeSteps(), Profiles: threeStepFiles()}), MemoryPeak, 40*gib+10<<20)
	if m.Source != SourceProfile || m.Bound != Estimate || *m.Coverage.Seconds != 1000 {
		t.Errorf("source %s, bound %s, %v s", m.Source, m.Bound, *m.Coverage.Seconds)
	}
}

func TestTheFileOfOneStepDoesNotStandForTheOthers(t *testing.T) {
	rows := []*record{
		row("JobID=20", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=7200", "Start=1000", "End=8200", "AllocTRES=cpu=4,mem=64G,node=1"),
		row("JobID=20.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=00:01.000", "TRESUsageInTot=mem=5M", "ElapsedRaw=7200"),
		row("JobID=20.0", "State=COMPLETED", "NTasks=4", "TotalCPU=04:00:00", "TRESUsageInTot=mem=10G", "ElapsedRaw=7190"),
	}
	r := Analyse(Input{Rows: rows, Profiles: []ProfileFile{taskFile("batch", "n1", level("0", 1000, 8200, 5<<20))}})
	if m := want(t, r, MemoryPeak, 10*gib); m.Source != SourceTRES || m.Bound != Upper {
		t.Errorf("source %s, bound %s", m.Source, m.Bound)
	}
	if f := hasRule(r, RuleMemoryOver); f == nil || f.Directive != "--mem=13G" {
		t.Errorf("the batch script's 5 M are not what the job needs: %+v", r.Findings)
	}
	// Without what the accounting knows of memory the profile is all there is: what it saw was there.
	rows[1], rows[2] = row("JobID=20.batch", "NTasks=1", "TotalCPU=00:01.000"), row("JobID=20.0", "NTasks=4", "TotalCPU=04:00:00")
	r = Analyse(Input{Rows: rows, Profiles: []ProfileFile{taskFile("batch", "n1", level("0", 1000, 8200, 5<<20))}})
	if m := want(t, r, MemoryPeak, 5<<20); m.Bound != Lower || !m.Has(NoStepData) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestEveryMissingFileLeavesTheWordToTheAccounting(t *testing.T) {
	files := threeStepFiles()
	for i, missing := range files {
		t.Run(missing.Step+" on "+missing.Node, func(t *testing.T) {
			rest := append(append([]ProfileFile{}, files[:i]...), files[i+1:]...)
			r := Analyse(Input{Rows: threeSteps(), Profiles: rest})
			if m := r.Metrics[MemoryPeak]; m.Value == nil || m.Bound != Lower && m.Source != SourceTRES || *m.Value < 40*gib {
				t.Errorf("%+v", m)
			}
			if f := hasRule(r, RuleMemoryOver); f != nil && f.Directive != "" {
				t.Errorf("advice for a node of which a part was not seen: %+v", *f)
			}
		})
	}
}

func TestATaskWithoutSeriesLeavesTheWordToTheAccounting(t *testing.T) {
	rows := threeSteps()
	rows[3] = row("JobID=5.1", "State=COMPLETED", "NTasks=8", "NNodes=2", "NodeList=n[1-2]", "TRESUsageInTot=mem=60G", "Start=1100", "End=1900")
	if m := want(t, Analyse(Input{Rows: rows, Profiles: threeStepFiles()}), MemoryPeak, 60*gib); m.Source != SourceTRES {
		t.Errorf("two series of eight tasks: source %s", m.Source)
	}
}

func TestTimeBetweenTheSeriesIsNotCovered(t *testing.T) {
	files := []ProfileFile{taskFile("0", "n1", level("0", 1000, 1100, gib)), taskFile("2", "n1", level("0", 1900, 2000, gib))}
	job := row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=1000", "Start=1000", "End=2000", "AllocTRES=cpu=4,mem=64G,node=1")
	m := want(t, Analyse(Input{Rows: []*record{job}, Profiles: files}), MemoryPeak, gib)
	if m.Bound != Lower || *m.Coverage.Seconds != 200 {
		t.Errorf("bound %s, %v of 1000 s", m.Bound, *m.Coverage.Seconds)
	}
}

func TestAProfileBelowALargestTaskLoses(t *testing.T) {
	for _, column := range []string{"MaxRSS=30G", "TRESUsageInMax=mem=30G"} {
		rows := threeSteps()
		rows[3] = row("JobID=5.1", "State=COMPLETED", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", column, "TRESUsageInTot=mem=31G", "Start=1100", "End=1900")
		files := append(threeStepFiles()[:3], taskFile("1", "n1", level("0", 1100, 1900, gib)), taskFile("1", "n2", level("1", 1100, 1900, gib)))
		files = append(files, threeStepFiles()[5:]...)
		r := Analyse(Input{Rows: rows, Profiles: files})
		if m := want(t, r, MemoryPeak, 31*gib); m.Source != SourceTRES || !m.Has(SourceDisagreement) {
			t.Errorf("%s: source %s, reasons %v: 2 G of series against a task of 30 G", column, m.Source, m.Reasons)
		}
	}
}

func TestATotalBelowItsLargestTaskIsNone(t *testing.T) {
	job := row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=1000", "AllocTRES=cpu=4,mem=64G,node=1")
	r := analyse(t, job, row("JobID=5.0", "State=COMPLETED", "NTasks=4", "MaxRSS=3G", "TRESUsageInTot=mem=1G"))
	if m := want(t, r, MemoryPeak, 12*gib); m.Source != SourceMaxRSS || !m.Has(PerTaskMaximum) {
		t.Errorf("source %s, reasons %v", m.Source, m.Reasons)
	}
	// Slurm rounds: 1.50G and 1572870K are the same.
	r = analyse(t, job, row("JobID=5.0", "State=COMPLETED", "NTasks=4", "MaxRSS=1572870K", "TRESUsageInTot=mem=1.50G"))
	if m := want(t, r, MemoryPeak, 1572870<<10); m.Source != SourceTRES {
		t.Errorf("source %s", m.Source)
	}
}

func TestWhatAProfileSawIsALowerBoundOfTheAccountingToo(t *testing.T) {
	rows := threeSteps()
	rows[3] = row("JobID=5.1", "State=COMPLETED", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", "TRESUsageInTot=mem=3G", "Start=1100", "End=1900")
	r := Analyse(Input{Rows: rows, Profiles: threeStepFiles()[3:4]})
	if m := want(t, r, MemoryPeak, 20*gib); m.Bound != Lower {
		t.Errorf("bound %s: at most 3 G cannot be, 20 were seen", m.Bound)
	}
}

func TestTheBatchScriptBesideAStepIsNoContradiction(t *testing.T) {
	// Of two steps with a batch script of 10 M the file of the second is not there; what the others held at once is a
	// little more than the accounting's bound, which leaves the script out.
	rows := threeSteps()
	rows[3] = row("JobID=5.1", "State=COMPLETED", "NTasks=1", "NNodes=1", "TRESUsageInTot=mem=20M", "Start=1100", "End=1900")
	r := Analyse(Input{Rows: rows[:4], Profiles: threeStepFiles()[:3]})
	if m := want(t, r, MemoryPeak, gib+10<<20); m.Bound != Upper || m.Source != SourceTRES {
		t.Errorf("bound %s, source %s", m.Bound, m.Source)
	}
}

func TestChooseTakesTheBestThatIsMoreThanALowerBound(t *testing.T) {
	lower := func(v float64) amount { return whole(v, Lower, SourceProfile) }
	for _, c := range []struct {
		name  string
		from  []amount
		value float64
		bound Bound
	}{
		{"the first", []amount{whole(3, Estimate, SourceProfile), whole(4, Upper, SourceTRES)}, 3, Estimate},
		{"more than a lower bound", []amount{lower(3), whole(4, Upper, SourceTRES)}, 4, Upper},
		{"the largest lower bound", []amount{lower(3), lower(7), lower(5)}, 7, Lower},
		{"an upper bound, even a smaller one", []amount{lower(9), whole(4, Upper, SourceTRES)}, 4, Upper},
		{"what is there", []amount{none(), whole(4, Upper, SourceTRES)}, 4, Upper},
	} {
		t.Run(c.name, func(t *testing.T) {
			if m := choose(c.from...); !m.ok || m.value != c.value || m.bound != c.bound {
				t.Errorf("%+v", m)
			}
		})
	}
	if choose(none(), none()).ok {
		t.Error("nothing was chosen from nothing")
	}
}
