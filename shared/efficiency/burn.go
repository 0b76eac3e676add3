package efficiency

import (
	"math"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// burns spreads the job's energy over time. A series that covers the run gives the
// shape of all of it; of less it stands for its own joules, and what the meter has
// beyond them lies evenly over the time that it does not cover (evenly is true then).
func (a *attempt) burns(energy amount) (out []Burn, evenly bool) {
	job, timed := a.wholeRun()
	job.Joules = energy.value
	var rest []Burn
	series := a.energyOfProfile()
	if series.ok {
		for _, node := range sortedKeys(a.samples.energy) {
			own := seriesBurns(a.samples.power[node])
			out, rest = append(out, own...), append(rest, between(own, job)...)
		}
	}
	sum, beyond := totalJoules(out), energy.value-totalJoules(out)
	if sum <= 0 {
		return []Burn{job}, true
	}
	if nodes, known := value(a.job.Nodes); known && timed {
		for range min(nodes, maxNodes) - series.nodes {
			rest = append(rest, Burn{From: job.From, To: job.To})
		}
	}
	if empty := burnSeconds(rest); series.bound == Lower && beyond > 0 && empty > 0 {
		for _, b := range rest {
			b.Joules = beyond * (b.To - b.From) / empty
			out = append(out, b)
		}
		return out, true
	}
	for i := range out {
		out[i].Joules *= energy.value / sum
	}
	return out, false
}

// wholeRun is the time of the job; timed is false when it is not known.
func (a *attempt) wholeRun() (b Burn, timed bool) {
	start, ok := value(a.job.Start)
	if !ok {
		return b, false
	}
	b.From = float64(start)
	b.To = b.From + a.elapsed()
	if end, ok := value(a.job.End); ok && end > start {
		b.To = float64(end)
	}
	return b, b.To > b.From
}

// between is the time of a run that none of a node's burns is about.
func between(own []Burn, run Burn) (out []Burn) {
	at := run.From
	for _, b := range own {
		if b.From > at && at < run.To {
			out = append(out, Burn{From: at, To: min(b.From, run.To)})
		}
		at = max(at, b.To)
	}
	if at < run.To {
		out = append(out, Burn{From: at, To: run.To})
	}
	return out
}

func burnSeconds(burns []Burn) float64 {
	var sum float64
	for _, b := range burns {
		sum += b.To - b.From
	}
	return sum
}

// seriesBurns cuts a power series into pieces of constant mean power by the rule of
// profile.TrapezoidEnergy: leading zeros dropped, holes not bridged.
func seriesBurns(s profile.EnergySeries) []Burn {
	firstRow := profile.FirstNonZero(s.PowerW)
	if firstRow < 0 || len(s.EpochS) != len(s.PowerW) {
		return nil
	}
	limit := profile.MaxStepS(s.EpochS)
	var out []Burn
	last := -1
	for i := firstRow; i < len(s.PowerW); i++ {
		if math.IsNaN(s.PowerW[i]) || math.IsNaN(s.EpochS[i]) {
			continue
		}
		if last >= 0 {
			out = appendBurn(out, s, last, i, limit)
		}
		last = i
	}
	return out
}

func appendBurn(out []Burn, s profile.EnergySeries, i, j int, limit float64) []Burn {
	step := s.EpochS[j] - s.EpochS[i]
	if step <= 0 || step > limit {
		return out
	}
	return append(out, Burn{From: s.EpochS[i], To: s.EpochS[j], Joules: step * (s.PowerW[i] + s.PowerW[j]) / 2})
}
