package profile

import (
	"cmp"
	"math"
	"slices"
)

// Gauge is one value of a node over time: power, or a rate made of amounts. The
// value at a row holds for the interval that ends there.
type Gauge struct {
	EpochS Column
	Value  Column
}

// Rates are the bytes per second that the node received and sent. Fields that
// acct_gather_interconnect/sysfs swapped are put right first.
func (s NetworkSeries) Rates() (in, out Gauge) {
	if s.SuspectSwapped {
		s = s.Unswapped()
	}
	s = s.Dedup()
	return rate(s.EpochS, s.InBytes), rate(s.EpochS, s.OutBytes)
}

// Rates are the bytes per second that the node read and wrote. Counters since the
// mount become amounts first.
func (s FilesystemSeries) Rates() (read, write Gauge) {
	s = s.Dedup()
	if s.SuspectCumulative {
		s = s.Differences()
	}
	return rate(s.EpochS, s.ReadBytes), rate(s.EpochS, s.WriteBytes)
}

// rate divides the amount of each interval by its length. The first row ends no
// interval: its value is missing, and so is one after a step that is not forward.
func rate(epochS, amounts Column) Gauge {
	if len(epochS) != len(amounts) {
		return Gauge{}
	}
	g := Gauge{EpochS: epochS, Value: make(Column, len(amounts))}
	for i := range g.Value {
		g.Value[i] = Missing()
	}
	eachStep(epochS, func(from, to int, stepS float64) {
		if stepS > 0 {
			g.Value[to] = amounts[to] / stepS
		}
	})
	return g
}

// MergeGauges makes one series of a node out of several overlapping ones: each step
// of a job records the whole node in a file of its own. The series with most values
// is kept whole; of the others only values outside the time that is already covered
// are added, also where a series has a hole of more than three of its intervals. The result is in order of time and without missing values.
func MergeGauges(series ...Gauge) Gauge {
	series = slices.Clone(series)
	slices.SortStableFunc(series, func(a, b Gauge) int {
		return cmp.Or(cmp.Compare(b.Value.Valid(), a.Value.Valid()), cmp.Compare(a.from(), b.from()))
	})
	var m gaugeMerge
	for _, g := range series {
		m.add(g)
	}
	slices.SortStableFunc(m.samples, func(a, b gaugeSample) int { return cmp.Compare(a.epochS, b.epochS) })
	var out Gauge
	for _, s := range m.samples {
		out.EpochS, out.Value = append(out.EpochS, s.epochS), append(out.Value, s.value)
	}
	return out
}

// from is the first time, 0 without any.
func (g Gauge) from() float64 {
	for _, t := range g.EpochS {
		if !math.IsNaN(t) {
			return t
		}
	}
	return 0
}

type gaugeSample struct{ epochS, value float64 }

type gaugeMerge struct {
	samples []gaugeSample
	covered spans
}

func (m *gaugeMerge) add(g Gauge) {
	limit := MaxStepS(g.EpochS)
	var own spans
	for i, t := range g.EpochS {
		if i >= len(g.Value) || math.IsNaN(t) || math.IsNaN(g.Value[i]) || m.covered.has(t) {
			continue
		}
		m.samples = append(m.samples, gaugeSample{t, g.Value[i]})
		if n := len(own); n > 0 && t >= own[n-1].FromS && !(t-own[n-1].ToS > limit) {
			own[n-1].ToS = max(own[n-1].ToS, t)
			continue
		}
		own = append(own, Gap{FromS: t, ToS: t})
	}
	for _, span := range own {
		m.covered = m.covered.with(span)
	}
}

// spans are parts of the time, in order and apart from each other. A job of many
// steps has as many files for each node: looking each sample up among all of them
// would take the square of that.
type spans []Gap

// after is the index of the first span that ends at t or later.
func (s spans) after(t float64) int {
	i, _ := slices.BinarySearchFunc(s, t, func(g Gap, t float64) int { return cmp.Compare(g.ToS, t) })
	return i
}

func (s spans) has(t float64) bool {
	i := s.after(t)
	return i < len(s) && s[i].FromS <= t
}

// with adds a span and joins it with those that it touches.
func (s spans) with(g Gap) spans {
	first := s.after(g.FromS)
	last := first
	for last < len(s) && s[last].FromS <= g.ToS {
		g.FromS, g.ToS = min(g.FromS, s[last].FromS), max(g.ToS, s[last].ToS)
		last++
	}
	return slices.Replace(s, first, last, g)
}
