package efficiency

import (
	"cmp"
	"slices"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Distribution describes one metric over the tasks of an array.
type Distribution struct {
	// N is the number of tasks that have the metric, Missing of those that have not.
	N       int `json:"n"`
	Missing int `json:"missing"`
	// Min, Q1, Median, Q3 and Max are null without any value. Quartiles are
	// interpolated linearly between ranks (type 7 of Hyndman and Fan, as numpy does).
	Min    *float64 `json:"min"`
	Q1     *float64 `json:"q1"`
	Median *float64 `json:"median"`
	Q3     *float64 `json:"q3"`
	Max    *float64 `json:"max"`
	Unit   Unit     `json:"unit"`
	// Worst names the tasks at the bad end: highest for memory and time, lowest for
	// the other efficiencies.
	Worst []TaskValue `json:"worst"`
}

// TaskValue is one task's value.
type TaskValue struct {
	JobID string  `json:"job_id"`
	Value float64 `json:"value"`
}

// ArraySummary is the page of an array job. A base id never stands for one task.
type ArraySummary struct {
	JobID string `json:"job_id"`
	// Tasks counts tasks: a report of a set that waits, [5-99], is as many as it stands for (at least, where Slurm cut the
	// set short). States counts Slurm's words over them.
	Tasks  int            `json:"tasks"`
	States map[string]int `json:"states"`
	// Failed lists the ids of failed tasks by cause, in order.
	Failed        map[Cause][]string          `json:"failed"`
	Distributions map[MetricName]Distribution `json:"distributions"`
	Totals        Totals                      `json:"totals"`
}

// maxWorst is how many tasks a distribution names.
const maxWorst = 5

// Summarise describes the tasks of an array.
func Summarise(tasks []Report) ArraySummary {
	out := ArraySummary{
		States: make(map[string]int), Failed: make(map[Cause][]string),
		Distributions: make(map[MetricName]Distribution), Totals: AddUp(tasks),
	}
	for i := range tasks {
		j := tasks[i].Job
		out.JobID = cmp.Or(out.JobID, j.ParentID)
		n := tasksOf(j.JobID)
		out.Tasks += n
		out.States[j.SlurmState] += n
		if a := tasks[i].Ledger.CoreS; a != nil && j.State == "FAILED" {
			for _, cause := range sortedKeys(a.LostBy) {
				out.Failed[cause] = append(out.Failed[cause], j.JobID)
			}
		}
	}
	for _, name := range MetricNames() {
		out.Distributions[name] = distribution(name, tasks)
	}
	return out
}

// tasksOf is how many tasks an id stands for, 1 for any that is no set.
func tasksOf(id string) int {
	parsed, err := slurmfmt.ParseJobID(id)
	if err != nil {
		return 1
	}
	n, _ := parsed.TaskCount()
	return int(max(1, min(n, maxTasks)))
}

// maxTasks is beyond any array that Slurm takes (MaxArraySize is at most 4 000 001).
const maxTasks = 4_000_001

func distribution(name MetricName, tasks []Report) Distribution {
	d := Distribution{Unit: name.Unit(), Worst: []TaskValue{}}
	var all []TaskValue
	for i := range tasks {
		if v, ok := tasks[i].Value(name); ok {
			all = append(all, TaskValue{JobID: tasks[i].Job.JobID, Value: v})
			d.Unit = tasks[i].Metrics[name].Unit
		} else if tasks[i].Started() {
			d.Missing++
		}
	}
	slices.SortFunc(all, func(a, b TaskValue) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.JobID, b.JobID))
	})
	d.N = len(all)
	if d.N == 0 {
		return d
	}
	d.Min, d.Max = finite(all[0].Value), finite(all[d.N-1].Value)
	d.Q1, d.Median, d.Q3 = quantile(all, 0.25), quantile(all, 0.5), quantile(all, 0.75)
	d.Worst = worst(name, all)
	return d
}

// quantile interpolates between the two neighbours of rank p·(n−1).
func quantile(sorted []TaskValue, p float64) *float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	v := sorted[i].Value
	if i+1 < len(sorted) {
		v += (at - float64(i)) * (sorted[i+1].Value - v)
	}
	return finite(v)
}

func worst(name MetricName, sorted []TaskValue) []TaskValue {
	n := min(maxWorst, len(sorted))
	switch name {
	case CPUEfficiency, CPUCoreEfficiency, CPUEfficiencyMeasuredNodes, GPUUtilization:
		return slices.Clone(sorted[:n])
	default:
		out := slices.Clone(sorted[len(sorted)-n:])
		slices.Reverse(out)
		return out
	}
}
