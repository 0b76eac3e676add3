package profile

import "math"

// Energy is an integral of power and what it rests on.
type Energy struct {
	Joules      float64
	CoveredS    float64 // seconds that were integrated
	SpanS       float64 // seconds from the first row to the last, whatever their values
	LeadingRows int     // rows dropped before the first non-zero power
	Gaps        []Gap   // holes that were not bridged
	PeakW       float64 // greatest sample; 0 when nothing was measured
}

// Measured says whether Joules means anything: at least one interval between two
// samples was integrated. Otherwise the energy is missing, not 0.
func (e Energy) Measured() bool { return e.CoveredS > 0 }

// TrapezoidEnergy integrates the power over the real times of the rows by the
// trapezoid rule. Rows before the first non-zero value are dropped, which
// lowers CoveredS against SpanS; later zeros are integrated. Two rows more than
// maxStepS apart are a gap and not bridged (maxStepS ≤ 0 or NaN means 3 × the
// median interval of the series). Rows without power or time are skipped; a step
// backwards in time is not integrated.
func TrapezoidEnergy(s EnergySeries, maxStepS float64) Energy {
	if math.IsNaN(maxStepS) || maxStepS <= 0 {
		maxStepS = MaxStepS(s.EpochS)
	}
	e := Energy{SpanS: spanS(s.EpochS)}
	first := FirstNonZero(s.PowerW)
	if first < 0 || len(s.EpochS) != len(s.PowerW) {
		return e
	}
	e.LeadingRows = first
	at := make(Column, 0, len(s.EpochS)-first)
	watt := make(Column, 0, len(s.EpochS)-first)
	for i := first; i < len(s.PowerW); i++ {
		if !math.IsNaN(s.PowerW[i]) && !math.IsNaN(s.EpochS[i]) {
			at, watt = append(at, s.EpochS[i]), append(watt, s.PowerW[i])
		}
	}
	e.PeakW, _ = watt.Max()
	e.Gaps = Gaps(at, maxStepS)
	eachStep(at, func(from, to int, stepS float64) {
		if stepS > 0 && stepS <= maxStepS {
			e.Joules += stepS * (watt[from] + watt[to]) / 2
			e.CoveredS += stepS
		}
	})
	return e
}

func spanS(epochS Column) float64 {
	first, last := math.NaN(), math.NaN()
	for _, t := range epochS {
		if math.IsNaN(t) {
			continue
		}
		if math.IsNaN(first) || t < first {
			first = t
		}
		if math.IsNaN(last) || t > last {
			last = t
		}
	}
	if math.IsNaN(first) {
		return 0
	}
	return last - first
}

// MergeEnergy is MergeGauges for power (the files of `batch` and of step 0 both carry
// the power of the whole node), so that no second is counted twice. Leading zeros,
// which stand for "not measured yet", do not count as covered.
func MergeEnergy(series ...EnergySeries) EnergySeries {
	trimmed := make([]Gauge, 0, len(series))
	for _, s := range series {
		if first := FirstNonZero(s.PowerW); first >= 0 && len(s.EpochS) == len(s.PowerW) {
			trimmed = append(trimmed, Gauge{EpochS: s.EpochS[first:], Value: s.PowerW[first:]})
		}
	}
	merged := MergeGauges(trimmed...)
	return EnergySeries{Clock: Clock{EpochS: merged.EpochS}, PowerW: merged.Value}
}
