package efficiency

import (
	"fmt"
	"math"
	"slices"
)

func outOfMemoryRule(v view) *Finding {
	if !v.a.outOfMemory() {
		return nil
	}
	f := &Finding{Rule: RuleOutOfMemory, Severity: Critical, Wasted: v.lost()}
	e := evidence{}.text("state", v.r.Job.SlurmState).text("derived_exit_code", v.r.Job.DerivedExitCode)
	where := v.oomStep()
	e.text("step", where)
	f.Text = "Slurm killed the job because it needed more memory than it had asked for."
	if v.r.Job.State == "DONE" {
		f.Text = "Slurm killed part of the job for lack of memory, but the script went on and the job counts as completed: its results may be incomplete."
	}
	f.Change = "Ask for more memory (--mem, instead of --mem-per-cpu if the script has that), or let the program use less: fewer tasks per node, smaller pieces."
	if limit, _, ok := v.a.memory(); ok {
		e.num("memory_bytes", limit)
		v.moreMemory(f, limit/v.nodes())
	}
	f.Evidence = e
	return f
}

// moreMemory advises twice the memory of a node, or all that the node has, or nothing
// when the job already had that.
func (v view) moreMemory(f *Finding, perNode float64) {
	option, capped := v.memoryAsk(2*perNode, perNode)
	switch {
	case option == "":
		f.Change = "Such a node has no more memory: let the program use less (fewer tasks per node, smaller pieces), or use nodes with more memory."
		return
	case capped:
		f.Risk = "This is all that such a node has; it may still be too little, and the job may wait longer to start."
	default:
		f.Risk = "How much it really needs is not known: it was stopped at the limit. Twice as much is a guess; look at the next run."
	}
	f.Directive = option
}

// memoryAsk is the option that asks for need bytes per node, but never for more than
// the node has; empty when the job had all of it. capped says that it is less than need.
func (v view) memoryAsk(need, had float64) (option string, capped bool) {
	all := v.nodeMemory()
	if all <= 0 || memoryRounded(need) <= all {
		return "--mem=" + memoryOption(need), false
	}
	if whole := math.Floor(all / (1 << 20)); all > 1.01*had {
		return fmt.Sprintf("--mem=%.0fM", whole), true
	}
	return "", true
}

// oomStep names the step that was killed, empty when the rows do not tell.
func (v view) oomStep() string {
	for i := range v.a.steps {
		if v.a.steps[i].outOfMemory {
			return v.a.steps[i].name
		}
	}
	return ""
}

// lost is the whole attempt when it failed.
func (v view) lost() Wasted {
	var w Wasted
	l := v.r.Ledger
	for _, part := range []struct {
		to   *float64
		from *Account
	}{{&w.CoreS, l.CoreS}, {&w.ByteS, l.ByteS}, {&w.GPUS, l.GPUS}, {&w.Joule, l.Joule}} {
		if part.from != nil {
			*part.to = part.from.Lost
		}
	}
	return w
}

// pageCacheRule: on cgroup v2 a completed job at its limit mostly shows file cache,
// which the kernel gives back when it is needed. Unknown gatherers are treated the
// same: more memory would cost and change nothing.
func pageCacheRule(v view) *Finding {
	eff, ok := v.value(MemoryEfficiency)
	if !ok || !v.pageCache(eff) {
		return nil
	}
	return &Finding{
		Rule: RulePageCache, Severity: Info,
		Text:     fmt.Sprintf("Memory stands at %s of the limit, but the job completed. On this kind of cluster (cgroup v2) the number includes file cache, which the kernel frees when a program needs room.", percent(eff)),
		Change:   "Nothing has to change: do not ask for more memory because of this number.",
		Evidence: evidence{}.num("memory_efficiency_percent", eff).text("gatherer", gathererName(v.a)),
	}
}

func (v view) pageCache(eff float64) bool {
	return v.a.state.Word == "COMPLETED" && eff >= v.t.PageCachePercent && v.a.in.Cluster.gatherer() != gatherSampled &&
		!v.a.outOfMemory() && !v.r.Metrics[MemoryPeak].Has(PerTaskMaximum)
}

func gathererName(a *attempt) string {
	switch a.in.Cluster.gatherer() {
	case gatherSampled:
		return "resident set, sampled"
	case gatherCache:
		return "cgroup v2 with file cache, sampled"
	case gatherCgroup:
		return "cgroup of a version that is not known, sampled"
	case gatherPeak:
		return "cgroup v2 memory.peak with file cache"
	default:
		return "not known"
	}
}

func memoryNearRule(v view) *Finding {
	eff, ok := v.value(MemoryEfficiency)
	eff = max(eff, v.fullestNode())
	if !ok || eff < v.t.MemoryNearPercent || v.pageCache(eff) || v.a.outOfMemory() {
		return nil
	}
	if m := v.r.Metrics[MemoryPeak]; m.Has(PerTaskMaximum) || v.r.Job.State == "FAILED" {
		return nil
	}
	f := &Finding{
		Rule: RuleMemoryNearLimit, Severity: Warning,
		Text:     fmt.Sprintf("The job used %s of its memory: a slightly larger input may be killed.", percent(eff)),
		Change:   "Do not ask for less. If a run is killed for lack of memory, ask for a fifth more.",
		Evidence: evidence{}.num("memory_efficiency_percent", eff).text("gatherer", gathererName(v.a)),
	}
	if limit, _, ok := v.a.memory(); ok && v.a.in.Cluster.gatherer() == gatherSampled {
		v.littleMoreMemory(f, limit/v.nodes())
	}
	return f
}

func (v view) littleMoreMemory(f *Finding, perNode float64) {
	option, _ := v.memoryAsk(1.2*perNode, perNode)
	if option == "" {
		f.Change = "Such a node has no more memory: for a larger input use fewer tasks per node, or nodes with more memory."
		return
	}
	f.Change = "Ask for a fifth more memory (--mem, instead of --mem-per-cpu if the script has that), so that a slightly larger input does not end the job."
	f.Directive = option
	f.Risk = "Memory that is not used may delay the start of the job."
}

// fullestNode is the greatest share of its memory that a node used, in percent: that
// node is the one that ends the job.
func (v view) fullestNode() float64 {
	var most float64
	for _, n := range v.r.Nodes {
		peak, okPeak := value(n.MemoryPeakBytes)
		limit, okLimit := value(n.MemoryLimitBytes)
		if share, ok := ratio(peak, limit); okPeak && okLimit && ok {
			most = max(most, share)
		}
	}
	return most
}

// askedMemory leaves out what the site added: nobody can ask for less of that.
func (v view) askedMemory() (bytes float64, known bool) {
	limit, _, ok := v.a.memory()
	return limit - v.a.forcedBytes(), ok
}

// shareAsked is the efficiency in percent of what was asked, which is eff unless the site added some.
func (v view) shareAsked(eff, peak float64) float64 {
	if v.a.forcedBytes() == 0 {
		return eff
	}
	asked, _ := v.askedMemory()
	share, _ := ratio(peak, asked)
	return share
}

func memoryOverRule(v view) *Finding {
	eff, ok := v.value(MemoryEfficiency)
	limit, known := v.askedMemory()
	peak, _ := v.value(MemoryPeak)
	if !ok || !known || !v.clean() || v.shareAsked(eff, peak) >= v.t.MemoryOverPercent || !v.trustPeak() {
		return nil
	}
	node, perNode := v.nodePeak(peak)
	need := peak * v.t.MemoryMargin
	if perNode {
		// Memory is asked for per node: the fullest one sets it for all.
		need = node * v.nodes() * v.t.MemoryMargin
	}
	if limit-need < v.t.MemoryOverMinBytes {
		return nil
	}
	f := &Finding{
		Rule: RuleMemoryOver, Severity: Warning,
		Text:     fmt.Sprintf("The job needed %s of the %s that it reserved; nobody else could use the rest.", size(peak), size(limit)),
		Change:   "Ask for less memory (--mem, instead of --mem-per-cpu if the script has that): a smaller request fits into more places and mostly starts sooner.",
		Evidence: evidence{}.num("memory_peak_bytes", peak).num("memory_bytes", limit).num("memory_efficiency_percent", v.shareAsked(eff, peak)),
		Wasted:   Wasted{ByteS: min((limit-need)*v.a.elapsed(), v.idle(byteS))},
	}
	if perNode {
		f.Directive = "--mem=" + memoryOption(node*v.t.MemoryMargin)
		f.Risk = "From this one run, with a margin of " + percent(100*(v.t.MemoryMargin-1)) + ": a larger input may need more and be killed."
	}
	return f
}

// trustPeak: a peak from which memory may be cut. Never a lower bound, never data with
// holes, never of a step that was stopped early, never a sampled peak of a run shorter than 20 sampling intervals.
func (v view) trustPeak() bool {
	m := v.r.Metrics[MemoryPeak]
	for _, bad := range []Reason{KilledStep, UnmeasuredNodes, NoStepData, ShortJob, SourceDisagreement, ClockGap, BadJobID} {
		if m.Has(bad) {
			return false
		}
	}
	stopped := func(s step) bool { return s.killed && s.kind != stepExtern }
	if m.Bound == Lower || slices.ContainsFunc(v.a.steps, stopped) {
		return false
	}
	interval, _ := v.a.in.Cluster.taskInterval()
	// The series is sampled whatever the accounting reads.
	highWater := v.a.in.Cluster.gatherer() == gatherPeak && (m.Source == SourceTRES || m.Source == SourceMaxRSS)
	return highWater || v.a.elapsed() >= v.t.MemoryMinIntervals*interval
}

// nodePeak is the need of the fullest node: --mem is per node. Several nodes need
// series of all tasks, their accounting does not tell how the sum was spread.
func (v view) nodePeak(total float64) (float64, bool) {
	if v.nodes() == 1 {
		return total, true
	}
	if v.r.Metrics[MemoryPeak].Source != SourceProfile {
		return 0, false
	}
	var peak float64
	n := 0
	for _, use := range v.r.Nodes {
		if p, ok := value(use.MemoryPeakBytes); ok {
			peak = max(peak, p)
			n++
		}
	}
	return peak, float64(n) == v.nodes()
}

// memoryLeakRule fits a straight line through the memory series.
func memoryLeakRule(v view) *Finding {
	line, ok := v.series("memory")
	if !ok || !v.long() {
		return nil
	}
	fit := fitLine(line.Values, v.r.Series.Step)
	growth := 100 * fit.slope * fit.length / max(fit.mean, 1)
	perHour := fit.slope * 3600
	if fit.n < 20 || fit.r2 < 0.8 || perHour < v.t.LeakBytesPerHour || growth < v.t.LeakGrowthPercent {
		return nil
	}
	f := &Finding{
		Rule: RuleMemoryLeak, Severity: Warning,
		Text:     fmt.Sprintf("Memory grew steadily by %s per hour: the program may not free what it no longer needs.", size(perHour)),
		Change:   "Look in the program for lists or caches that only grow. Until that is found, a longer run needs more memory: ask for it, or start again from a checkpoint in between.",
		Evidence: evidence{}.num("bytes_per_hour", perHour).num("r_squared", fit.r2).num("growth_percent", growth),
	}
	if limit, _, ok := v.a.memory(); ok && limit > fit.last {
		f.Evidence["hours_to_limit"] = (limit - fit.last) / perHour
	}
	return f
}

// series finds the total of a quantity.
func (v view) series(name string) (Line, bool) {
	if v.r.Series == nil {
		return Line{}, false
	}
	for _, l := range v.r.Series.Lines {
		if l.Name == name && l.Node == "" {
			return l, true
		}
	}
	return Line{}, false
}
