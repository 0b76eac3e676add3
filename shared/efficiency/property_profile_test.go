package efficiency

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyTaskSeries draws the series of some tasks of one step, sampled each second but not all at the same time.
func anyTaskSeries(t *rapid.T) []profile.TaskSeries {
	var out []profile.TaskSeries
	for i := range rapid.IntRange(1, 5).Draw(t, "tasks") {
		from := rapid.IntRange(1000, 1040).Draw(t, "from")
		var at, rss []float64
		for k := range rapid.IntRange(2, 40).Draw(t, "rows") {
			at = append(at, float64(from+k))
			rss = append(rss, float64(rapid.IntRange(0, 1000).Draw(t, "rss"))*(1<<20))
		}
		out = append(out, rssTask(fmt.Sprint(i), at, rss))
	}
	return out
}

// TestEachSourceOfMemoryBoundsTheOneThatKnowsMore: the peak of the sum is at most the sum of the peaks, which is at most
// the largest task times the number of tasks.
func TestEachSourceOfMemoryBoundsTheOneThatKnowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks := anyTaskSeries(t)
		var sum, most float64
		for i := range tasks {
			peak, _ := tasks[i].RSSBytes.Max()
			sum, most = sum+peak, max(most, peak)
		}
		job := row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=100", "AllocTRES=mem=8G,cpu=8,node=1")
		step := func(usage string) *record {
			return row("JobID=7.0", "State=COMPLETED", fmt.Sprintf("NTasks=%d", len(tasks)), usage)
		}
		series, _ := Analyse(Input{Profiles: []ProfileFile{taskFile("0", "n1", tasks...)}}).Value(MemoryPeak)
		total, _ := Analyse(rowsOf(job, step(fmt.Sprintf("TRESUsageInTot=mem=%.0f", sum)))).Value(MemoryPeak)
		largest, _ := Analyse(rowsOf(job, step(fmt.Sprintf("MaxRSS=%.0f", most)))).Value(MemoryPeak)
		if series > total || total > largest || total != sum || series < most {
			t.Fatalf("peak of the sum %v, sum of the peaks %v, largest × tasks %v (largest %v)", series, total, largest, most)
		}
	})
}

// anyFiles draws files of two steps on two nodes with every kind of series.
func anyFiles(t *rapid.T) []ProfileFile {
	var files []ProfileFile
	for _, step := range []string{"batch", "0", "1"} {
		for _, node := range []string{"n1", "n2"} {
			if rapid.Bool().Draw(t, step+node) {
				continue
			}
			from := float64(rapid.IntRange(1000, 1020).Draw(t, "from"))
			seconds := rapid.IntRange(3, 30).Draw(t, "seconds")
			f := trafficFile(step, node, from, seconds, 100*from, 7, 1000)
			watt := []float64{0}
			for range seconds {
				watt = append(watt, float64(rapid.IntRange(50, 300).Draw(t, "watt")))
			}
			n := &f.Profile.Steps[0].Nodes[0]
			n.Energy = powerFile(step, node, from, watt...).Profile.Steps[0].Nodes[0].Energy
			n.Tasks = anyTaskSeries(t)
			files = append(files, f)
		}
	}
	return files
}

func TestTheOrderOfTheProfilesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := anyFiles(t)
		rows := []*record{row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=60", "Start=1000", "End=1060", "AllocTRES=mem=8G,cpu=8,node=2")}
		one := Analyse(Input{Rows: rows, Profiles: files})
		sound(t, one)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		near := cmp.Comparer(func(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) })
		if diff := cmp.Diff(one, Analyse(Input{Rows: rows, Profiles: files}), near); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestEnergyOfANodeLiesBetweenItsSmallestAndGreatestPower holds for any overlap of the files of its steps.
func TestEnergyOfANodeLiesBetweenItsSmallestAndGreatestPower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := anyFiles(t)
		r := Analyse(Input{Profiles: files})
		for _, n := range r.Nodes {
			if n.EnergyJoules == nil {
				continue
			}
			if e := *n.EnergyJoules; e < 0 || e > 300*n.Seconds+1e-6 {
				t.Fatalf("%s: %v J in %v s of at most 300 W", n.Node, e, n.Seconds)
			}
		}
		if e, ok := r.Value(Energy); ok {
			span := r.Job.ElapsedSeconds
			if e > 2*300**span+1e-6 {
				t.Fatalf("%v J of two nodes of at most 300 W in %v s: a second counted twice", e, *span)
			}
		}
	})
}

// TestSplittingAStepInTimeKeepsMemoryEnergyAndUtilisation: a step that is cut into two, one after the other, used the same.
func TestSplittingAStepInTimeKeepsMemoryEnergyAndUtilisation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(120, 3000).Draw(t, "length")
		cut := rapid.IntRange(60, length-60).Draw(t, "cut")
		util := rapid.IntRange(0, 200).Draw(t, "utilisation")
		job := row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", fmt.Sprintf("ElapsedRaw=%d", length),
			"AllocTRES=mem=4G,cpu=8,node=1,gres/gpu=2", "ConsumedEnergyRaw=5000", "Start=1000", fmt.Sprintf("End=%d", 1000+length))
		step := func(name string, from, to int) *record {
			return row("JobID=7."+name, "State=COMPLETED", "NTasks=1", "NNodes=1", fmt.Sprintf("ElapsedRaw=%d", to-from), "ConsumedEnergyRaw=5000",
				fmt.Sprintf("Start=%d", 1000+from), fmt.Sprintf("End=%d", 1000+to), fmt.Sprintf("TRESUsageInTot=cpu=00:00:10,mem=900M,gres/gpuutil=%d,gres/gpumem=1G", util))
		}
		one := Analyse(rowsOf(job, step("0", 0, length)))
		two := Analyse(rowsOf(job, step("0", 0, cut), step("1", cut, length)))
		for _, name := range []MetricName{MemoryPeak, MemoryEfficiency, Energy, GPUUtilization, GPUMemoryPeak, TimeEfficiency, GPUCount} {
			a, okA := one.Value(name)
			b, okB := two.Value(name)
			if okA != okB || math.Abs(a-b) > 1e-9*math.Abs(a) {
				t.Fatalf("%s: %v in one step, %v in two", name, a, b)
			}
		}
	})
}

// TestMoreUseNeverLooksLikeLess and a larger allocation never looks better used.
func TestMoreUseNeverLooksLikeLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		report := func(cpu, mem, cpus int) Report {
			return Analyse(rowsOf(
				row("JobID=7", "State=COMPLETED", fmt.Sprintf("AllocCPUS=%d", cpus), "NNodes=1", "ElapsedRaw=1000", fmt.Sprintf("AllocTRES=mem=%dG,node=1", cpus)),
				row("JobID=7.0", "State=COMPLETED", "NTasks=2", fmt.Sprintf("TRESUsageInTot=cpu=%d:%02d:%02d,mem=%dM", cpu/3600, cpu/60%60, cpu%60, mem)),
			))
		}
		cpu, mem, cpus := rapid.IntRange(0, 9000).Draw(t, "cpu"), rapid.IntRange(1, 9000).Draw(t, "mem"), rapid.IntRange(1, 16).Draw(t, "cpus")
		base := report(cpu, mem, cpus)
		more := report(cpu+rapid.IntRange(0, 500).Draw(t, "more cpu"), mem+rapid.IntRange(0, 500).Draw(t, "more memory"), cpus)
		larger := report(cpu, mem, cpus+rapid.IntRange(0, 4).Draw(t, "more cpus"))
		for _, name := range []MetricName{CPUUsed, CPUEfficiency, MemoryPeak, MemoryEfficiency} {
			b, _ := base.Value(name)
			if v, ok := more.Value(name); !ok || v < b {
				t.Fatalf("%s fell from %v to %v with more use", name, b, v)
			}
			if v, ok := larger.Value(name); !ok || v > b {
				t.Fatalf("%s rose from %v to %v with a larger allocation", name, b, v)
			}
		}
		if a, b := base.Ledger.CoreS, more.Ledger.CoreS; b.Idle > a.Idle || b.Used < a.Used {
			t.Fatalf("ledger %+v, with more use %+v", *a, *b)
		}
	})
}
