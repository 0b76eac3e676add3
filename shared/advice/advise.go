package advice

import (
	"slices"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Run is an earlier run.
type Run struct {
	Report efficiency.Report
}

// Target is the job that advice is for: what it asks for now. A zero number is not known.
type Target struct {
	Fingerprint
	// Numbers are those of its script, ArgumentNumbers those of the script's arguments.
	Numbers         []float64 `json:"numbers,omitempty"`
	ArgumentNumbers []float64 `json:"argument_numbers,omitempty"`
	// InputBytes is the size of its inputs.
	InputBytes float64 `json:"input_bytes,omitempty"`
	Nodes      int64   `json:"nodes,omitempty"`
	CPUs       int64   `json:"cpus,omitempty"`
	GPUs       int64   `json:"gpus,omitempty"`
	// Tasks and CPUsPerTask are its shape; 0 when it is not known.
	Tasks       int64 `json:"tasks,omitempty"`
	CPUsPerTask int64 `json:"cpus_per_task,omitempty"`
	// MemoryBytes is per node, LimitSeconds the time limit.
	MemoryBytes  float64 `json:"memory_bytes,omitempty"`
	LimitSeconds float64 `json:"limit_s,omitempty"`
}

// Matches says whether a job is the same work.
func (t Target) Matches(job efficiency.Job) bool { return t.same(Of(job)) }

// Slim is what Advise needs of a report: a history of thousands of runs is kept in memory at once.
func Slim(r efficiency.Report) efficiency.Report {
	out := efficiency.Report{Job: r.Job, Nodes: r.Nodes, Metrics: map[efficiency.MetricName]efficiency.Metric{
		efficiency.MemoryPeak: r.Metrics[efficiency.MemoryPeak], efficiency.CPUUsed: r.Metrics[efficiency.CPUUsed],
	}}
	for range r.Attempts {
		out.Attempts = append(out.Attempts, efficiency.Report{})
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, efficiency.Finding{Rule: f.Rule})
	}
	return out
}

// TargetOf is a job that was submitted, as the target.
func TargetOf(run Run) Target {
	j := run.Report.Job
	t := Target{Fingerprint: Of(j), InputBytes: known(j.InputBytes)}
	t.Numbers, t.ArgumentNumbers = known(j.Script).Numbers, known(j.Arguments).Numbers
	t.Nodes, t.CPUs, t.GPUs = max(1, known(j.Nodes)), known(j.CPUs), known(j.GPUs)
	t.LimitSeconds = known(j.LimitSeconds)
	if t.MemoryBytes = known(j.MemoryBytes); t.MemoryBytes == 0 {
		t.MemoryBytes = known(j.MemoryRequestedBytes)
	}
	t.MemoryBytes /= float64(t.Nodes)
	return t
}

func known[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Options bound what is believed. The zero value takes the defaults.
type Options struct {
	// MinRuns is how many clean runs are needed (3).
	MinRuns int
	// MinElapsedSeconds: shorter runs teach nothing about resources (600).
	MinElapsedSeconds float64
	// SamplingSeconds is the site's sampling interval (30); a sampled peak counts from 20 intervals on.
	SamplingSeconds float64
	// NodeMemoryBytes is what a node of such jobs has, PartitionSeconds the time limit of their partition; 0 is not known.
	// Advice never asks for more.
	NodeMemoryBytes, PartitionSeconds float64
	// MaxSpread is how far peaks may differ without an explanation (2).
	MaxSpread float64
}

// OptionsOf are what a cluster says of work whose newest run is given, to be submitted to partition ("" is the run's). The
// cluster may be nil.
func OptionsOf(c *efficiency.Cluster, newest efficiency.Job, partition string) (o Options) {
	if c == nil {
		return o
	}
	o.SamplingSeconds = c.TaskInterval
	elsewhere := partition != "" && partition != newest.Partition
	if elsewhere {
		newest.Partition = partition
	}
	if o.NodeMemoryBytes, o.PartitionSeconds = c.Limits(newest); elsewhere {
		o.NodeMemoryBytes = 0 // other nodes
	}
	return o
}

func (o Options) filled() Options {
	fill := func(v *float64, d float64) {
		if *v <= 0 {
			*v = d
		}
	}
	o.MinRuns = max(o.MinRuns, 0)
	if o.MinRuns == 0 {
		o.MinRuns = 3
	}
	fill(&o.MinElapsedSeconds, 600)
	fill(&o.SamplingSeconds, 30)
	fill(&o.MaxSpread, 2)
	return o
}

// Advice is what the history says about a job.
type Advice struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	// Runs is how many runs of the same work there are, Group what they have in common for certain.
	Runs  int    `json:"runs"`
	Group Group  `json:"group"`
	Items []Item `json:"items"`
}

// Advise compares a job with its history. The order of the history does not matter; the job itself may be in it.
func Advise(target Target, history []Run, opt Options) Advice {
	opt = opt.filled()
	a := Advice{Fingerprint: target.Fingerprint}
	var runs []run
	for i := range history {
		r := newRun(&history[i])
		if target.same(r.print) {
			runs = append(runs, r)
		}
	}
	a.Runs, a.Group = len(runs), groupOf(target, runs)
	for _, q := range []question{memoryQuestion, cpuQuestion, timeQuestion} {
		a.Items = append(a.Items, q(target, opt).answer(target, runs, opt))
	}
	return a
}

// Item gives the item of an option by its kind.
func (a Advice) Item(kind Kind) Item {
	i := slices.IndexFunc(a.Items, func(i Item) bool { return i.Kind == kind })
	if i < 0 {
		return Item{}
	}
	return a.Items[i]
}
