package efficiency

import (
	"cmp"
	"fmt"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// imbalanceRule compares the busiest task of a step with the mean of all: from series,
// else from the maximum and average over tasks that the accounting keeps.
func imbalanceRule(v view) *Finding {
	worst := v.worstSpread()
	if worst.ratio() < v.t.ImbalanceRatio {
		return nil
	}
	return &Finding{
		Rule: RuleImbalance, Severity: Info,
		Text:     fmt.Sprintf("The work is spread unevenly: %s %s times the average %s. The others wait for it.", worst.who(v.t.ImbalanceRatio), short(worst.ratio()), worst.of),
		Change:   "Give all tasks about the same amount of work: smaller pieces that are handed out one after the other, or another division of the data. The job ends when its slowest task does.",
		Evidence: worst.evidence(),
		Wasted:   Wasted{CoreS: min(worst.waiting(), v.idle(coreS))},
	}
}

const (
	ofCPU    = "CPU time"
	ofMemory = "memory"
)

// spread is one amount over the tasks of one step.
type spread struct {
	of, step string
	// task and node of the greatest amount; empty when only its size is known.
	task, node string
	n          int64
	most, sum  float64
	// onNode is the mean over the tasks of the busiest node, 0 when not known.
	onNode float64
}

// ratio is the greatest amount over the mean, 0 when there is nothing to compare.
func (s spread) ratio() float64 {
	if s.n < 2 || s.sum <= 0 || !s.enough() {
		return 0
	}
	return s.most * float64(s.n) / s.sum
}

// enough: small amounts do not count, start-up is always uneven.
func (s spread) enough() bool {
	if s.of == ofMemory {
		return s.most >= 1<<30
	}
	return s.most >= 60
}

// waiting is the CPU time that the other tasks could have used while the busiest one
// worked.
func (s spread) waiting() float64 {
	if s.of != ofCPU {
		return 0
	}
	return max(0, s.most*float64(s.n)-s.sum)
}

// who names the node when all of its tasks are ahead, else the task.
func (s spread) who(limit float64) string {
	switch {
	case s.onNode*float64(s.n) >= limit*s.sum:
		return "the tasks on node " + s.node + " have up to"
	case s.task != "":
		return fmt.Sprintf("task %s of step %s on node %s has", s.task, s.step, s.node)
	default:
		return fmt.Sprintf("one task of step %s has", s.step)
	}
}

func (s spread) evidence() evidence {
	e := evidence{}.text("of", s.of).text("step", s.step).num("tasks", float64(s.n)).num("max_over_mean", s.ratio()).
		num("most", s.most).num("mean", s.sum/float64(s.n))
	if s.task != "" {
		e.text("task", s.task).text("node", s.node)
	}
	return e
}

// worstSpread is the most uneven amount. The profile counts only where it covers the
// run; without it the accounting speaks.
func (v view) worstSpread() spread {
	all := v.a.profileSpreads()
	if len(all) == 0 {
		all = v.a.accountingSpreads()
	}
	var worst spread
	for _, s := range all {
		if s.ratio() > worst.ratio() {
			worst = s
		}
	}
	return worst
}

// profileSpreads are the CPU times and memory peaks over the tasks of each step.
func (a *attempt) profileSpreads() []spread {
	if !a.wholeProfile(measuresCPU, rememberedStep) {
		return nil
	}
	steps := make(map[string][]*taskSamples)
	for i := range a.samples.tasks {
		t := &a.samples.tasks[i]
		steps[t.step] = append(steps[t.step], t)
	}
	var out []spread
	for _, name := range sortedKeys(steps) {
		if len(steps[name]) < 2 || kindOf(name) != stepNumbered {
			continue
		}
		cpu := func(t *taskSamples) (float64, bool) { return t.CPUTimeS.Sum() }
		memory := func(t *taskSamples) (float64, bool) { return t.RSSBytes.Max() }
		out = append(out, spreadOf(ofCPU, name, steps[name], cpu), spreadOf(ofMemory, name, steps[name], memory))
	}
	return out
}

func spreadOf(of, step string, tasks []*taskSamples, amount func(*taskSamples) (float64, bool)) spread {
	s := spread{of: of, step: step}
	sums, counts := make(map[string]float64), make(map[string]float64)
	for _, t := range tasks {
		v, ok := amount(t)
		if !ok {
			continue
		}
		if s.n == 0 || v > s.most {
			s.most, s.task, s.node = v, t.ID, t.node
		}
		s.n++
		s.sum += v
		sums[t.node] += v
		counts[t.node]++
	}
	if len(sums) > 1 && counts[s.node] > 1 {
		s.onNode = sums[s.node] / counts[s.node]
	}
	return s
}

// accountingSpreads are those of the numbered steps with several tasks.
func (a *attempt) accountingSpreads() []spread {
	var out []spread
	for _, r := range a.rows {
		n, _ := positive(r.Count("NTasks"))
		step := rowID(r).step
		if n < 2 || step == "" || kindOf(step) != stepNumbered {
			continue
		}
		inMax, inAve := r.TRES("TRESUsageInMax"), r.TRES("TRESUsageInAve")
		out = append(out,
			spread{of: ofCPU, step: step, n: n, most: cpuIn(inMax), sum: cpuIn(inAve) * float64(n)},
			spread{of: ofMemory, step: step, n: n, most: memoryIn(inMax), sum: memoryIn(inAve) * float64(n)})
	}
	return out
}

// cpuIn and memoryIn are 0 when the list lacks them: a spread of nothing says nothing.
func cpuIn(list slurmfmt.TRES) float64 {
	v, _ := list.UsageCPU().Seconds()
	return v
}

func memoryIn(list slurmfmt.TRES) float64 {
	n, _ := list.UsageMemory().Value()
	return float64(n)
}

// nodeMemory is the memory of the job's smallest node by configuration, 0 when it is
// not known: advice must not ask for more than a node has.
func (v view) nodeMemory() float64 {
	var least float64
	for _, name := range v.a.nodeNames() {
		t, ok := v.a.in.Cluster.TypeOf(name)
		if !ok || t.MemoryBytes <= 0 {
			return 0
		}
		least = min(cmp.Or(least, t.MemoryBytes), t.MemoryBytes)
	}
	return least
}
