package efficiency

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// ranks are tasks of step 0 over nodes n1, n2 …, each with its CPU seconds, sampled each minute for two hours.
func ranks(perNode int, cpu ...float64) []ProfileFile {
	var files []ProfileFile
	for from := 0; from < len(cpu); from += perNode {
		var tasks []profile.TaskSeries
		for id := from; id < min(from+perNode, len(cpu)); id++ {
			var at, mem, used []float64
			for i := range 121 {
				at, mem, used = append(at, float64(1000+60*i)), append(mem, gib), append(used, cpu[id]/120)
			}
			used[0] = 0
			task := rssTask(fmt.Sprint(id), at, mem)
			task.CPUTimeS = used
			tasks = append(tasks, task)
		}
		files = append(files, taskFile("0", fmt.Sprintf("n%d", 1+from/perNode), tasks...))
	}
	return files
}

func TestTheProfileNamesTheTaskThatTheOthersWaitFor(t *testing.T) {
	r := Analyse(Input{Rows: []*record{longJob("Start=1000", "End=8200")}, Profiles: ranks(4, 7200, 1800, 1800, 1800)})
	f := hasRule(r, RuleImbalance)
	if f == nil || f.Evidence["task"] != "0" || f.Evidence["node"] != "n1" || f.Evidence["tasks"] != 4.0 {
		t.Fatalf("%+v", r.Findings)
	}
	if !strings.Contains(f.Text, "task 0 of step 0 on node n1") || !strings.Contains(f.Text, "CPU time") {
		t.Errorf("text %q", f.Text)
	}
	// Three tasks could have worked 5400 s more each while task 0 did.
	if f.Wasted.CoreS != 3*5400 {
		t.Errorf("%v core seconds, want 16200", f.Wasted.CoreS)
	}
}

func TestTheProfileNamesTheNodeWhenAllOfItsTasksAreAhead(t *testing.T) {
	rows := []*record{profiledJob()}
	r := Analyse(Input{Rows: rows, Profiles: ranks(2, 7200, 7100, 1200, 1200)})
	if f := hasRule(r, RuleImbalance); f == nil || !strings.Contains(f.Text, "the tasks on node n1") {
		t.Errorf("%+v", r.Findings)
	}
	r = Analyse(Input{Rows: rows, Profiles: ranks(2, 7200, 7200, 7100, 7150)})
	if f := hasRule(r, RuleImbalance); f != nil {
		t.Errorf("even work, yet %+v", *f)
	}
}

func TestTheProfileGoesBeforeTheAccountingAboutBalance(t *testing.T) {
	uneven := step0(goodCPU+","+goodMem, "NTasks=4", "TRESUsageInMax=mem=30G,cpu=07:00:00", "TRESUsageInAve=mem=12G,cpu=03:00:00")
	even := ranks(4, 7000, 7000, 7000, 7000)
	if f := hasRule(Analyse(Input{Rows: []*record{longJob("Start=1000", "End=8200"), uneven}, Profiles: even}), RuleImbalance); f != nil {
		t.Errorf("the series show even tasks, yet %+v", *f)
	}
	// A profile of a fraction of the run does not overrule the accounting.
	late := longJob("Start=1000", "End=80200", "ElapsedRaw=79200")
	f := hasRule(Analyse(Input{Rows: []*record{late, uneven}, Profiles: even}), RuleImbalance)
	if f == nil || f.Evidence["of"] != "memory" || f.Evidence["task"] != nil {
		t.Errorf("%+v", f)
	}
}

func TestUnevenStartUpIsNoImbalance(t *testing.T) {
	r := Analyse(Input{Rows: []*record{longJob("Start=1000", "End=8200")}, Profiles: ranks(4, 50, 1, 1, 1)})
	if f := hasRule(r, RuleImbalance); f != nil {
		t.Errorf("50 seconds of two hours, yet %+v", *f)
	}
	batch := ranks(4, 7200, 1, 1, 1)
	for i := range batch {
		batch[i].Step, batch[i].Profile.Steps[0].Name = "batch", "batch"
	}
	if f := hasRule(Analyse(Input{Rows: []*record{longJob("Start=1000", "End=8200")}, Profiles: batch}), RuleImbalance); f != nil {
		t.Errorf("a batch script is no set of ranks, yet %+v", *f)
	}
}

func TestTheWaitOfOtherTasksIsNeverMoreThanWhatWasIdle(t *testing.T) {
	for _, most := range []string{"01:00:00", "04:00:00", "16:00:00"} {
		uneven := step0("cpu=20:00:00,"+goodMem, "NTasks=16", "TRESUsageInMax=mem=3G,cpu="+most, "TRESUsageInAve=mem=3G,cpu=00:30:00")
		r := Analyse(Input{Rows: []*record{longJob(), uneven}})
		if f := hasRule(r, RuleImbalance); f == nil || f.Wasted.CoreS > r.Ledger.CoreS.Idle || f.Wasted.CoreS <= 0 {
			t.Errorf("busiest %s: %+v, idle %v", most, f, r.Ledger.CoreS.Idle)
		}
	}
}
