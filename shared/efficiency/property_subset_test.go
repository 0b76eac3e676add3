package efficiency

import (
	"fmt"
	"math"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
	"pgregory.net/rapid"
)

// knownJob is a job of which everything is known: the rows and the files say the same.
type knownJob struct {
	rows  []*record // the job row first
	files []ProfileFile
}

// anyKnownJob draws some steps on two nodes, each task at its own level, sampled each second, the nodes at constant power.
func anyKnownJob(t *rapid.T) knownJob {
	const seconds = 200
	j := knownJob{rows: []*record{row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]", fmt.Sprintf("ElapsedRaw=%d", seconds),
		"Start=1000", fmt.Sprintf("End=%d", 1000+seconds), "AllocTRES=mem=8G,cpu=8,node=2,gres/gpu=4")}}
	j.addStep(t, "batch", 1, 0, seconds)
	for i := range rapid.IntRange(1, 4).Draw(t, "steps") {
		from := rapid.IntRange(0, seconds-20).Draw(t, "from")
		j.addStep(t, fmt.Sprint(i), rapid.IntRange(1, 2).Draw(t, "nodes"), from, rapid.IntRange(from+10, seconds).Draw(t, "to"))
	}
	return j
}

func (j *knownJob) addStep(t *rapid.T, name string, nodes, from, to int) {
	var total, most, util, tasks int
	for n := range nodes {
		node := fmt.Sprintf("n%d", 1+n)
		var series []profile.TaskSeries
		for range rapid.IntRange(1, 3).Draw(t, "tasks") {
			mib, percent := rapid.IntRange(1, 900).Draw(t, "MiB"), rapid.IntRange(0, 100).Draw(t, "GPU")
			series = append(series, levelTask(fmt.Sprint(tasks), from, to, float64(mib)*(1<<20), float64(percent)))
			total, most, util, tasks = total+mib, max(most, mib), util+percent, tasks+1
		}
		f := taskFile(name, node, series...)
		watt := make([]float64, to-from+1)
		for i := range watt {
			watt[i] = float64(100 * (1 + n))
		}
		f.Profile.Steps[0].Nodes[0].Energy = powerFile(name, node, float64(1000+from), watt...).Profile.Steps[0].Nodes[0].Energy
		j.files = append(j.files, f)
	}
	list := map[int]string{1: "n1", 2: "n[1-2]"}[nodes]
	cpu := tasks * (to - from)
	j.rows = append(j.rows, row("JobID=7."+name, "State=COMPLETED", fmt.Sprintf("NTasks=%d", tasks), fmt.Sprintf("NNodes=%d", nodes), "NodeList="+list,
		fmt.Sprintf("ElapsedRaw=%d", to-from), fmt.Sprintf("Start=%d", 1000+from), fmt.Sprintf("End=%d", 1000+to), fmt.Sprintf("MaxRSS=%dM", most),
		fmt.Sprintf("TRESUsageInTot=cpu=%02d:%02d:%02d,mem=%dM,gres/gpuutil=%d", cpu/3600, cpu/60%60, cpu%60, total, util), "AllocTRES=cpu=4,gres/gpu=2"))
}

// levelTask is a task at one level of memory, CPU and GPU.
func levelTask(id string, from, to int, rss, percent float64) profile.TaskSeries {
	var at, mem []float64
	for s := from; s <= to; s++ {
		at, mem = append(at, float64(1000+s)), append(mem, rss)
	}
	out := rssTask(id, at, mem)
	for range at {
		out.GPUUtilPercent = append(out.GPUUtilPercent, percent)
	}
	return out
}

// part draws what arrived of it; the job row always did. A row may lack its NTasks or its sum.
func (j knownJob) part(t *rapid.T) (in Input, most float64) {
	in.Rows = j.rows[:1:1]
	for _, r := range j.rows[1:] {
		switch rapid.IntRange(0, 4).Draw(t, "row") {
		case 0:
			continue
		case 1:
			in.Rows = append(in.Rows, row("JobID="+r.Get("JobID"), "State=COMPLETED", "MaxRSS="+r.Get("MaxRSS"), "NodeList="+r.Get("NodeList")))
		default:
			in.Rows = append(in.Rows, r)
		}
		n, _ := r.Size("MaxRSS").Value()
		most = max(most, float64(n))
	}
	for _, f := range j.files {
		if rapid.Bool().Draw(t, "file") {
			in.Profiles = append(in.Profiles, f)
		}
	}
	return in, most
}

// TestBoundsHoldForAnyPartOfWhatIsKnown: whatever did not arrive, an upper bound is not below the largest task that was
// seen, and a lower bound is not above what all of it gives.
func TestBoundsHoldForAnyPartOfWhatIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := anyKnownJob(t)
		full := Analyse(Input{Rows: job.rows, Profiles: job.files})
		in, most := job.part(t)
		r := Analyse(in)
		sound(t, r)
		if m := r.Metrics[MemoryPeak]; m.Value != nil && m.Bound == Upper && *m.Value < most {
			t.Fatalf("at most %v, but a task had %v", *m.Value, most)
		}
		for _, name := range []MetricName{MemoryPeak, MemoryEfficiency, CPUUsed, CPUEfficiency, GPUUtilization, Energy} {
			m := r.Metrics[name]
			all, known := full.Value(name)
			if m.Value == nil || m.Bound != Lower {
				continue
			}
			if !known || *m.Value > all*(1+1e-9)+1e-9 {
				t.Fatalf("%s: at least %v of a part (%s, %v), %v of all", name, *m.Value, m.Source, m.Reasons, all)
			}
		}
	})
}

// TestAPeakFromAProfileIsTheTruth: nothing that did not arrive makes the number of a profile smaller without a word.
func TestAPeakFromAProfileIsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := anyKnownJob(t)
		full, _ := Analyse(Input{Rows: job.rows, Profiles: job.files}).Value(MemoryPeak)
		in, _ := job.part(t)
		in.Rows = job.rows
		m := Analyse(in).Metrics[MemoryPeak]
		if m.Source == SourceProfile && m.Bound != Lower && math.Abs(*m.Value-full) > 1e-9*full {
			t.Fatalf("%v (%s) of %d of %d files, %v of all", *m.Value, m.Bound, len(in.Profiles), len(job.files), full)
		}
	})
}
