package efficiency

import (
	"cmp"
	"slices"
)

// Adder is AddUp for reports that come one by one: it keeps sums, no reports. The zero value is not ready; see NewAdder.
type Adder struct {
	t    totaller
	jobs int
}

// NewAdder makes an empty sum.
func NewAdder() *Adder { return &Adder{t: totaller{sums: make(map[MetricName]*sum)}} }

// Add adds one report, of which only Job, Metrics and Ledger are looked at.
func (a *Adder) Add(r *Report) {
	a.jobs++
	a.t.add(r)
}

// Totals are the sums so far.
func (a *Adder) Totals() Totals {
	return Totals{Jobs: a.jobs, Started: a.t.started, Metrics: a.t.metrics(), Ledger: a.t.ledger}
}

// FindingAdder is SumFindings for reports that come one by one. The zero value is empty and ready.
type FindingAdder struct {
	rules map[Rule]*ruleSum
}

// ruleSum is one rule so far; worst holds the hits that are shown, the most wasteful first.
type ruleSum struct {
	jobs   int
	wasted Wasted
	worst  []ruleHit
}

type ruleHit struct {
	job string
	f   Finding
}

// Add adds the findings of one report, of which only Job and Findings are looked at.
func (a *FindingAdder) Add(r *Report) {
	if a.rules == nil {
		a.rules = make(map[Rule]*ruleSum)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if a.rules[f.Rule] == nil {
			a.rules[f.Rule] = &ruleSum{}
		}
		a.rules[f.Rule].add(ruleHit{r.Job.JobID, *f})
	}
}

func (s *ruleSum) add(h ruleHit) {
	s.jobs++
	s.wasted = s.wasted.plus(h.f.Wasted)
	at := slices.IndexFunc(s.worst, func(o ruleHit) bool { return h.f.Wasted.compare(o.f.Wasted) > 0 })
	switch {
	case at >= 0:
		s.worst = slices.Insert(s.worst, at, h)
	case len(s.worst) < maxWorst:
		s.worst = append(s.worst, h)
	}
	s.worst = s.worst[:min(len(s.worst), maxWorst)]
}

// Rules are the sums so far, the most wasteful first (core-seconds, then GPU-seconds, byte-seconds, jobs).
func (a *FindingAdder) Rules() []RuleTotal {
	out := []RuleTotal{}
	for _, rule := range sortedKeys(a.rules) {
		s := a.rules[rule]
		top := s.worst[0].f
		t := RuleTotal{Rule: rule, Severity: top.Severity, Jobs: s.jobs, Wasted: s.wasted, Text: top.Text, Change: top.Change}
		for _, h := range s.worst {
			t.Worst = append(t.Worst, h.job)
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b RuleTotal) int {
		return cmp.Or(b.Wasted.compare(a.Wasted), cmp.Compare(b.Jobs, a.Jobs))
	})
	return out
}
