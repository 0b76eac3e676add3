package efficiency

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// HetTotal is the total of the components of a heterogeneous job, which ran at the
// same time: CPUs, GPUs, memory and nodes add up, elapsed time is the longest, and the
// state is that of the component that decided. Components stay as attempts do: in the
// report's Attempts, in the order given.
func HetTotal(components []Report) Report {
	if len(components) == 0 {
		return merge([]Report{Analyse(Input{})})
	}
	t := AddUp(components)
	out := components[0]
	out.Job = hetJob(components)
	out.ID = out.Job.JobID
	out.Metrics, out.Ledger = t.Metrics, t.Ledger
	out.Attempts, out.Actions, out.Findings = components, []Action{}, []Finding{}
	out.Nodes, out.Series, out.Sources = []NodeUse{}, nil, []Source{}
	for _, name := range []MetricName{GPUCount, MemoryPeak, GPUMemoryPeak, PowerPeak} {
		out.Metrics[name] = sumOf(components, out.Metrics[name], name)
	}
	for _, name := range MetricNames() {
		out.Metrics[name] = partly(components, out.Metrics[name], name)
	}
	out.Metrics[EnergyDelayProduct] = delayOf(out.Metrics, out.Job.ElapsedSeconds)
	out.Metrics[PowerAverage] = hetPower(out.Metrics[Energy], out.Job.ElapsedSeconds)
	for i := range components {
		out.Findings = append(out.Findings, components[i].Findings...)
		for _, source := range components[i].Sources {
			if !slices.Contains(out.Sources, source) {
				out.Sources = append(out.Sources, source)
			}
		}
	}
	out.Verdict, out.Everyday = hetVerdict(components, &out), ""
	if e, ok := out.Value(Energy); ok {
		out.Everyday = Everyday(e)
	}
	return out
}

// hetJob are the facts of all components together: an amount that one of them does not know is not known.
func hetJob(components []Report) Job {
	j, said := components[0].Job, components[decisive(components)].Job
	j.JobID, j.ParentID, j.HetComponent = cmp.Or(j.ParentID, j.JobID), "", nil
	j.State, j.SlurmState, j.Reason, j.ExitCode, j.DerivedExitCode = said.State, said.SlurmState, said.Reason, said.ExitCode, said.DerivedExitCode
	j.Nodes = total(components, func(j *Job) *int64 { return j.Nodes })
	j.CPUs = total(components, func(j *Job) *int64 { return j.CPUs })
	j.CPUsRequested = total(components, func(j *Job) *int64 { return j.CPUsRequested })
	j.GPUs = total(components, func(j *Job) *int64 { return j.GPUs })
	j.MemoryBytes = total(components, func(j *Job) *float64 { return j.MemoryBytes })
	j.MemoryRequestedBytes = total(components, func(j *Job) *float64 { return j.MemoryRequestedBytes })
	var lists []string
	for i := range components {
		c := &components[i].Job
		if e := c.ElapsedSeconds; e != nil && (j.ElapsedSeconds == nil || *e > *j.ElapsedSeconds) {
			j.ElapsedSeconds = e
		}
		if c.End == nil || j.End != nil && *c.End > *j.End {
			j.End = c.End
		}
		if c.ThreadsPerCore == nil || j.ThreadsPerCore != nil && *c.ThreadsPerCore != *j.ThreadsPerCore {
			j.ThreadsPerCore = nil
		}
		if c.NodeList != "" {
			lists = append(lists, c.NodeList)
		}
	}
	j.NodeList = strings.Join(lists, ",")
	return j
}

func total[T int64 | float64](components []Report, of func(*Job) *T) *T {
	var sum T
	for i := range components {
		v := of(&components[i].Job)
		if v == nil {
			return nil
		}
		sum += *v
	}
	return &sum
}

// decisive is the component whose state is that of the whole: one that still runs, one that failed, before the others
// that Slurm cancelled for it, one of which a part was killed.
func decisive(components []Report) (at int) {
	most := -1
	for i := range components {
		if w := weight(&components[i]); w > most {
			at, most = i, w
		}
	}
	return at
}

func weight(r *Report) int {
	oom := func(f Finding) bool { return f.Rule == RuleOutOfMemory }
	switch {
	case r.Job.State == "RUNNING":
		return 4
	case r.Job.State == "FAILED" && r.Job.SlurmState != "CANCELLED":
		return 3
	case r.Job.State == "FAILED":
		return 2
	case slices.ContainsFunc(r.Findings, oom):
		return 1
	}
	return 0
}

func hetVerdict(components []Report, all *Report) string {
	at := decisive(components)
	said := &components[at]
	if weight(said) > 0 || all.Job.State != "DONE" {
		return fmt.Sprintf("%d components. %s: %s", len(components), said.Job.JobID, said.Verdict)
	}
	return fmt.Sprintf("COMPLETED, %d components: %s.", len(components), usedText(all))
}

// sumOf replaces a maximum by a sum: components hold their peaks on different nodes.
// The peaks need not coincide, so the sum of two or more is an upper bound.
func sumOf(components []Report, m Metric, name MetricName) Metric {
	var sum float64
	n := 0
	for i := range components {
		if v, ok := components[i].Value(name); ok {
			sum += v
			n++
		}
	}
	if n == 0 {
		return m
	}
	m.Value = finite(sum)
	if n > 1 && name != GPUCount {
		m.Bound = m.Bound.and(Upper)
	}
	return m
}

// partly marks a number that not all components have: a sum of some is at least that, a ratio of some is none of the job.
func partly(components []Report, m Metric, name MetricName) Metric {
	if m.Value == nil || name == CPUEfficiencyMeasuredNodes || !slices.ContainsFunc(components, func(c Report) bool { return lacks(&c, name) }) {
		return m
	}
	if name.Unit() == Percent {
		m.Value = nil
	}
	m.Bound = m.Bound.and(Lower)
	return m.with(UnmeasuredNodes)
}

// lacks: a component that ran has no such number, though it should.
func lacks(r *Report, name MetricName) bool {
	if gpus, known := value(r.Job.GPUs); known && gpus == 0 {
		switch name {
		case GPUCount, GPUUtilization, GPUMemoryPeak, WastedGPU:
			return false
		}
	}
	_, has := r.Value(name)
	return r.Started() && !has
}

// hetPower is all the energy over the longest run, known as well as the energy is.
func hetPower(energy Metric, elapsed *float64) Metric {
	m := energy.with()
	m.Unit, m.Value = PowerAverage.Unit(), nil
	if energy.Value != nil && elapsed != nil && *elapsed > 0 {
		m.Value = finite(*energy.Value / *elapsed)
	}
	if m.Value == nil && len(m.Reasons) == 0 {
		m = m.with(MissingField)
	}
	return m
}
