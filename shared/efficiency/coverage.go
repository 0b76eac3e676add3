package efficiency

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// stretch is a piece of time that a series covers without a hole.
type stretch struct{ from, to float64 }

// stretches cuts a series where neighbouring rows are more than three of its own
// intervals apart: nobody looked in between. A step back in time begins a new piece.
func stretches(epoch profile.Column, interval float64) []stretch {
	var out []stretch
	last := math.NaN()
	for _, t := range epoch {
		switch {
		case math.IsNaN(t):
			continue
		case t >= last && (interval <= 0 || t-last <= 3*interval):
			out[len(out)-1].to = t
		default:
			out = append(out, stretch{t, t})
		}
		last = t
	}
	return out
}

// union joins pieces of time that touch or overlap, in order.
func union(all []stretch) []stretch {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []stretch
	for _, s := range all {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

func length(pieces []stretch) float64 {
	var sum float64
	for _, s := range pieces {
		sum += s.to - s.from
	}
	return sum
}

// measures says that a series has what a number is made of.
type measures func(*taskSamples) bool

func measuresMemory(t *taskSamples) bool { return t.RSSBytes.Valid() > 0 }
func measuresCPU(t *taskSamples) bool    { return t.CPUTimeS.Valid() > 0 }
func measuresGPU(t *taskSamples) bool    { return t.GPUUtilPercent.Valid() > 0 }

// wholeProfile tells whether the profile can stand for the run: all of its time, and
// all of its steps.
func (a *attempt) wholeProfile(has measures, counts func(*step) bool) bool {
	return a.samples != nil && !a.samples.damaged && a.covered(a.samples.seconds()) && !a.stepUnseen(has, counts)
}

// stepUnseen: of a step that counts some task has no series. Files come one by one, and
// that of a small step does not tell what the others did.
func (a *attempt) stepUnseen(has measures, counts func(*step) bool) bool {
	found := a.samples.bySteps(has)
	return slices.ContainsFunc(a.steps, func(s step) bool {
		return s.kind != stepExtern && counts(&s) && !found[profileStep(s.name)].hold(&s)
	})
}

// profileStep is the name of a step in the name of its file: without the component of
// a heterogeneous step, each of which is a job of its own there.
func profileStep(name string) string {
	name, _, _ = strings.Cut(name, "+")
	return name
}

// stepSeries is what the profiles have of one step.
type stepSeries struct {
	tasks int64
	nodes map[string]bool
}

func (s *samples) bySteps(has measures) map[string]stepSeries {
	out := make(map[string]stepSeries)
	for i := range s.tasks {
		t := &s.tasks[i]
		if !has(t) {
			continue
		}
		found := out[t.step]
		if found.nodes == nil {
			found.nodes = make(map[string]bool)
		}
		found.tasks++
		found.nodes[t.node] = true
		out[t.step] = found
	}
	return out
}

// hold tells whether these are the series of all tasks of a step, as far as its row
// tells how many there were and where.
func (f stepSeries) hold(s *step) bool {
	for _, node := range s.nodes {
		if !f.nodes[node] {
			return false
		}
	}
	return f.tasks >= max(1, s.tasks) && int64(len(f.nodes)) >= s.nodeCount
}

// covered: the series span the run except for a tenth, or for three samples.
func (a *attempt) covered(seconds float64) bool {
	if a.job.ElapsedSeconds == nil {
		return true
	}
	missing := a.elapsed() - seconds
	return missing <= max(0.1*a.elapsed(), 3*a.samples.interval)
}

// choose takes the first of some amounts of one quantity, best first, that is more
// than a lower bound, else the largest lower bound.
func choose(candidates ...amount) amount {
	m := none()
	for _, c := range candidates {
		if c.ok && (!m.ok || m.bound == Lower && (c.bound != Lower || c.value > m.value)) {
			m = c
		}
	}
	return m
}

// unlessPartial: a share of which part of the nodes is not known is none.
func (a *attempt) unlessPartial(m amount) amount {
	if !m.ok || !m.partial(a) {
		return m
	}
	out := none(m.reasons...)
	out.nodes, out.source = m.nodes, m.source
	return out
}
