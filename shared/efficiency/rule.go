package efficiency

import (
	"cmp"
	"math"
	"slices"
)

// view is what a rule sees: one attempt with its numbers.
type view struct {
	a     *attempt
	r     *Report
	bills bills
	t     Thresholds
}

// rule looks at an attempt and returns nil when there is nothing to say.
type rule func(view) *Finding

// rules is the table of all rules.
func rules() []rule {
	return []rule{
		outOfMemoryRule, timeoutRule, pageCacheRule, memoryNearRule, memoryOverRule, memoryLeakRule,
		idleGPURule, lowGPURule, coresPerGPURule, memoryPerGPURule,
		serialRule, oversubscriptionRule, imbalanceRule, idleNodeRule, unmeasuredRule, fragmentationRule,
		timeOverRule, tooShortRule, disagreementRule, tariffGapRule,
	}
}

// findings runs the table and orders the result.
func (a *attempt) findings(r *Report, b bills) []Finding {
	out := []Finding{}
	if a.never {
		return out
	}
	v := view{a: a, r: r, bills: b, t: a.limits}
	for _, look := range rules() {
		if f := look(v); f != nil {
			evidence(f.Evidence).thresholds(f.Rule, a.limits)
			out = append(out, *f)
		}
	}
	slices.SortStableFunc(out, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Severity.rank(), y.Severity.rank()), -cmp.Compare(x.Wasted.CoreS, y.Wasted.CoreS), cmp.Compare(x.Rule, y.Rule))
	})
	return out
}

func (s Severity) rank() int {
	return slices.Index([]Severity{Critical, Warning, Info}, s)
}

// value of a metric; ok only when it is there.
func (v view) value(name MetricName) (float64, bool) { return v.r.Value(name) }

// clean: the attempt ran to its end and long enough to learn from it.
func (v view) clean() bool {
	return v.a.state.Word == "COMPLETED" && !v.a.outOfMemory() && v.long()
}

// long enough for advice.
func (v view) long() bool { return v.a.elapsed() >= v.t.MinElapsedSeconds }

// idle is what the ledger calls idle of a resource: no finding of a completed job says that more was wasted, for what the
// site forced on the job is not the user's.
func (v view) idle(pick func(Ledger) *Account) float64 {
	if acc := pick(v.r.Ledger); acc != nil {
		return acc.Idle
	}
	return 0
}

func coreS(l Ledger) *Account  { return l.CoreS }
func byteS(l Ledger) *Account  { return l.ByteS }
func gpuS(l Ledger) *Account   { return l.GPUS }
func joules(l Ledger) *Account { return l.Joule }

// nodes is the number of allocated nodes, at least 1.
func (v view) nodes() float64 {
	n, _ := value(v.a.job.Nodes)
	return float64(max(1, n))
}

// evidence collects named numbers; numbers that JSON cannot hold are left out.
type evidence map[string]any

// thresholds adds the limits that the rule compared with, so that a reader sees why it
// spoke.
func (e evidence) thresholds(rule Rule, limits Thresholds) {
	for _, name := range rule.Thresholds() {
		if v, ok := limits.named(name); ok {
			e.num("threshold_"+name, v)
		}
	}
}

func (e evidence) num(name string, v float64) evidence {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		e[name] = v
	}
	return e
}

func (e evidence) text(name, v string) evidence {
	e[name] = v
	return e
}
