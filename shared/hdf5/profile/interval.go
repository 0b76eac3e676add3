package profile

import (
	"math"
	"slices"
)

// Gap is a hole in a time axis, in epoch seconds.
type Gap struct{ FromS, ToS float64 }

// LengthS is the length of the hole in seconds.
func (g Gap) LengthS() float64 { return g.ToS - g.FromS }

// maxStepIntervals is how many sampling intervals two neighbouring rows may be
// apart before the time between them counts as not measured (design 05).
const maxStepIntervals = 3

// IntervalS is the sampling interval in seconds: the median of the positive
// steps between neighbouring rows. NaN when there is no such step.
func IntervalS(epochS Column) float64 {
	steps := make([]float64, 0, len(epochS))
	eachStep(epochS, func(_, _ int, stepS float64) {
		if stepS > 0 {
			steps = append(steps, stepS)
		}
	})
	if len(steps) == 0 {
		return math.NaN()
	}
	slices.Sort(steps)
	return steps[(len(steps)-1)/2]
}

// MaxStepS is the greatest distance that is not a gap: 3 × IntervalS.
func MaxStepS(epochS Column) float64 { return maxStepIntervals * IntervalS(epochS) }

// Gaps lists the places where neighbouring rows are more than maxStepS apart;
// design 05 wants 3 × IntervalS, see MaxStepS. Steps backwards are not gaps.
func Gaps(epochS Column, maxStepS float64) []Gap {
	var gaps []Gap
	eachStep(epochS, func(from, to int, stepS float64) {
		if stepS > maxStepS {
			gaps = append(gaps, Gap{FromS: epochS[from], ToS: epochS[to]})
		}
	})
	return gaps
}

// eachStep calls visit for each pair of neighbouring rows that have a time.
func eachStep(epochS Column, visit func(from, to int, stepS float64)) {
	last := -1
	for i, t := range epochS {
		if math.IsNaN(t) {
			continue
		}
		if last >= 0 {
			visit(last, i, t-epochS[last])
		}
		last = i
	}
}
