package efficiency

import (
	"slices"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// energyOf is the job's energy in joules: ConsumedEnergyRaw of the job row; else what
// the extern step (its window is the whole job) carries; else the integral of the power
// series; else the largest step, a lower bound; else the power model. Never the sum of
// steps: batch, extern and step 0 each carry the energy of the node.
func (a *attempt) energyOf(cpu amount) amount {
	accounted, reason := a.energyOfAccounting()
	m := accounted
	if !m.ok || m.bound == Lower && !a.running {
		m = choose(a.energyOfProfile(), accounted)
	}
	if m.ok {
		return a.split(m, cpu)
	}
	if m = a.energyOfModel(cpu); m.ok {
		return m.because(reason)
	}
	return none(append(Reasons{reason}, m.reasons...)...)
}

func (a *attempt) energyOfAccounting() (amount, Reason) {
	m := none()
	seen := false
	if a.rec != nil {
		n, ok := a.rec.Count("ConsumedEnergyRaw").Value()
		if ok && n > 0 {
			m = whole(float64(n), Exact, SourceConsumedEnergy)
		}
		seen = ok
	}
	for i := range a.steps {
		s := &a.steps[i]
		seen = seen || s.energy.ok
		if m.bound == Exact && m.ok || !s.energy.ok || s.energy.value <= 0 {
			continue
		}
		if s.kind == stepExtern {
			m = whole(s.energy.value, Exact, s.energy.source)
		} else if !m.ok || s.energy.value > m.value {
			m = whole(s.energy.value, Lower, s.energy.source, MissingField)
		}
	}
	if m.ok && a.running {
		m.bound = Lower
	}
	if seen {
		return m, NoEnergyPlugin
	}
	return m, MissingField
}

// energyOfProfile adds the integrals of the nodes, each node once.
func (a *attempt) energyOfProfile() amount {
	if a.samples == nil || len(a.samples.energy) == 0 {
		return none()
	}
	var joules, covered float64
	gap := false
	for _, node := range sortedKeys(a.samples.energy) {
		e := a.samples.energy[node]
		joules += e.Joules
		covered += e.CoveredS
		gap = gap || len(e.Gaps) > 0
	}
	n := int64(len(a.samples.energy))
	m := whole(joules, Estimate, SourceProfile, Sampled)
	m.nodes, m.seconds = n, covered/float64(n)
	if gap {
		m = m.because(ClockGap)
	}
	if m.partial(a) {
		m = m.because(UnmeasuredNodes)
	}
	if m.partial(a) || a.job.ElapsedSeconds != nil && m.seconds < 0.9*a.elapsed() {
		m.bound = Lower
	}
	return m
}

// powerAverage = energy / seconds measured.
func (a *attempt) powerAverage(energy amount) amount {
	if !energy.ok {
		return energy
	}
	if energy.source == SourceProfile {
		energy.value = 0
		for _, node := range sortedKeys(a.samples.energy) {
			e := a.samples.energy[node]
			energy.value += e.Joules / e.CoveredS
		}
		return energy
	}
	if a.elapsed() <= 0 {
		return none(MissingField)
	}
	energy.value /= a.elapsed()
	return energy
}

// energyDelay = energy-to-solution × time-to-solution, in joule-seconds.
func (a *attempt) energyDelay(energy amount) amount {
	if !energy.ok {
		return energy
	}
	if a.job.ElapsedSeconds == nil {
		return none(MissingField)
	}
	energy.value *= a.elapsed()
	return energy
}

// powerPeak is the peak over time of the sum over nodes, in watts.
func (a *attempt) powerPeak() amount {
	if a.samples == nil || len(a.samples.energy) == 0 {
		return none(NoStepData)
	}
	nodes := a.samples.powerTasks()
	var peak float64
	gauge := func(t *taskSamples) profile.Column { return t.RSSBytes }
	sweep(nodes, gauge, func(_ float64, _ string, _, total float64) { peak = max(peak, total) })
	m := whole(peak, Estimate, SourceProfile, Sampled)
	m.nodes = int64(len(a.samples.energy))
	if m.partial(a) {
		m = m.because(UnmeasuredNodes)
	}
	if a.sharing == sharingShared {
		m.bound = Upper
		m = m.because(SharedNode)
	}
	return m
}

// powerTasks dresses the power series of the nodes as task series, so that one sweep
// serves both.
func (s *samples) powerTasks() []taskSamples {
	var out []taskSamples
	for _, node := range sortedKeys(s.power) {
		p := s.power[node]
		out = append(out, newTaskSamples("", node, profile.TaskSeries{Clock: p.Clock, RSSBytes: p.PowerW}))
	}
	return out
}

func powerInterval(tasks []taskSamples) float64 {
	var all []float64
	for i := range tasks {
		if v := tasks[i].interval; v > 0 {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all)
}
