package advice

import (
	"slices"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// run is a run with its fingerprint.
type run struct {
	*Run
	print Fingerprint
}

func newRun(r *Run) run { return run{r, Of(r.Report.Job)} }

func (r run) elapsed() float64 { return known(r.Report.Job.ElapsedSeconds) }

func (r run) found(rule efficiency.Rule) bool {
	return slices.ContainsFunc(r.Report.Findings, func(f efficiency.Finding) bool { return f.Rule == rule })
}

// stopped says that Slurm ended the run at a limit.
func (r run) stopped() Reason {
	switch {
	case r.Report.Job.SlurmState == "OUT_OF_MEMORY" || r.found(efficiency.RuleOutOfMemory):
		return OutOfMemory
	case r.Report.Job.SlurmState == "TIMEOUT" || r.Report.Job.SlurmState == "DEADLINE":
		return Timeout
	}
	return ""
}

// fault says why a run teaches nothing at all; empty when it does.
func (r run) fault(opt Options) Reason {
	switch why := r.stopped(); {
	case why != "":
		return why
	case r.Report.Job.SlurmState != "COMPLETED" || len(r.Report.Attempts) > 1:
		return NotCompleted
	case r.elapsed() < opt.MinElapsedSeconds:
		return Short
	}
	return ""
}

// holes are reasons that make a measurement incomplete.
var holes = []efficiency.Reason{
	efficiency.KilledStep, efficiency.UnmeasuredNodes, efficiency.NoStepData, efficiency.ShortJob,
	efficiency.SourceDisagreement, efficiency.ClockGap, efficiency.BadJobID, efficiency.Running,
}

// measured gives a metric that may be learned from.
func (r run) measured(name efficiency.MetricName) (v float64, fault Reason) {
	m := r.Report.Metrics[name]
	switch {
	case m.Value == nil:
		return 0, Unmeasured
	case slices.ContainsFunc(holes, m.Has):
		return 0, Truncated
	case m.Bound == efficiency.Lower:
		return 0, Unmeasured
	}
	return *m.Value, ""
}

// memoryPerNode is the need of the fullest node, or a bound of it: --mem is per node.
func (r run) memoryPerNode(opt Options, current float64) (float64, Reason) {
	total, fault := r.measured(efficiency.MemoryPeak)
	switch {
	case fault != "":
		return 0, fault
	case r.found(efficiency.RulePageCache):
		return 0, PageCache
	case r.elapsed() < 20*opt.SamplingSeconds:
		return 0, SampledShort
	}
	nodes := max(1, known(r.Report.Job.Nodes))
	if nodes == 1 {
		return total, ""
	}
	if most, ok := r.fullestNode(nodes); ok {
		return most, ""
	}
	// Accounting adds the nodes up. What all of them held together, no node held more of: enough to ask for less, never for more.
	if asked := TargetOf(*r.Run).MemoryBytes; total <= min(asked, current) {
		return total, ""
	}
	return 0, Unmeasured
}

// resident says that the peak is known to be of resident memory, without file cache: from a profile, or by a gatherer that
// samples it. Of an unknown gatherer it is not known.
func (r run) resident() bool {
	m := r.Report.Metrics[efficiency.MemoryPeak]
	return m.Source == efficiency.SourceProfile || m.Has(efficiency.Sampled) && !m.Has(efficiency.PageCacheIncluded)
}

// fullestNode is the largest peak of a node, where all of them were measured on their own by series of all tasks: a profile
// that lost against the accounting did not see what the nodes held.
func (r run) fullestNode(nodes int64) (most float64, ok bool) {
	if r.Report.Metrics[efficiency.MemoryPeak].Source != efficiency.SourceProfile {
		return 0, false
	}
	n := int64(0)
	for _, node := range r.Report.Nodes {
		if node.MemoryPeakBytes != nil {
			most, n = max(most, *node.MemoryPeakBytes), n+1
		}
	}
	return most, n >= nodes
}

// cores is the mean number of busy CPUs.
func (r run) cores(Options) (float64, Reason) {
	used, fault := r.measured(efficiency.CPUUsed)
	if fault != "" {
		return 0, fault
	}
	return used / r.elapsed(), ""
}

func (r run) wall(Options) (float64, Reason) { return r.elapsed(), "" }

// shaped says that a run had the target's nodes, CPUs and GPUs, as far as both are known.
func (r run) shaped(t Target) bool {
	j := r.Report.Job
	match := func(a, b int64) bool { return a == 0 || b == 0 || a == b }
	return match(known(j.Nodes), t.Nodes) && match(known(j.CPUs), t.CPUs) && match(known(j.GPUs), t.GPUs)
}
