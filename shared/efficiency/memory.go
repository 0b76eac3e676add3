package efficiency

import "slices"

// memoryPeak is the job's peak of resident memory in bytes. Series of all tasks over
// nearly the whole run give the peak of the sum; otherwise the accounting gives an
// upper bound; incomplete series alone give a lower bound.
func (a *attempt) memoryPeak() amount {
	series, steps := a.memoryOfProfile(), a.memoryOfSteps()
	if m := choose(series, steps, a.memoryOfJobstats()); m.ok {
		return a.stoppedAtLimit(a.beyond(a.beyond(m, series), steps))
	}
	if a.short() {
		return none(NoStepData, ShortJob)
	}
	return none(NoStepData)
}

// beyond: what a lower bound saw was there, whatever another source takes for the most.
// As much as the batch script had is no contradiction: the accounting's bound leaves it
// out beside numbered steps.
func (a *attempt) beyond(m, seen amount) amount {
	if !seen.ok || seen.bound != Lower || seen.value <= m.value {
		return m
	}
	if seen.value > m.value+a.batchMemory() {
		m.bound, m.source = Lower, seen.source
		m = m.because(seen.reasons...)
	}
	m.value = seen.value
	return m
}

// stoppedAtLimit: a job that was killed at its limit held more than a sampling below the limit saw. On one node that is a
// lower bound; of several it is not known which one was full.
func (a *attempt) stoppedAtLimit(m amount) amount {
	limit, _, known := a.memory()
	if !a.outOfMemory() || known && m.value >= limit || a.in.Cluster.gatherer() == gatherPeak && m.source != SourceProfile {
		return m
	}
	m.bound = m.bound.and(Lower)
	if nodes, ok := value(a.job.Nodes); ok && nodes == 1 && !slices.Contains(m.reasons, PerTaskMaximum) {
		m.bound = Lower
	}
	return m.because(KilledAtLimit)
}

func (a *attempt) memoryOfSteps() amount {
	return a.memoryEvidence(a.peakOfSteps(func(s *step) reading {
		if s.mem.value == 0 && a.short() {
			return reading{}
		}
		return s.mem
	}))
}

// peakOfSteps sums numbered steps over the time in which they overlap; those without
// Start and End count as one after the other. Batch, interactive and extern steps are
// never added, they count only when larger or alone.
func (a *attempt) peakOfSteps(of func(*step) reading) amount {
	var spans []span
	m := whole(0, Upper, "")
	m.ok = false
	for i := range a.steps {
		s := &a.steps[i]
		r := of(s)
		if !r.ok {
			continue
		}
		if s.kind == stepNumbered && s.timed {
			spans = append(spans, span{s.start, s.end, r.value})
		}
		if r.value > m.value || !m.ok {
			m.value, m.source = r.value, r.source
		}
		m.ok = true
	}
	m.value = max(m.value, peakOverlap(spans))
	return m
}

// memoryEvidence adds what the reader has to know: how it was gathered and counted.
func (a *attempt) memoryEvidence(m amount) amount {
	if !m.ok {
		return m
	}
	for i := range a.steps {
		s := &a.steps[i]
		if s.mem.ok && s.mem.perTask && s.mem.value > 0 {
			m = m.because(PerTaskMaximum)
		}
		if s.mem.ok && s.mem.lower && s.mem.value >= m.value {
			m.bound = Lower
			m = m.because(MissingField)
		}
		if !s.mem.ok && s.kind != stepExtern {
			m.bound = m.bound.and(Lower)
			m = m.because(lossReason(s))
		}
	}
	m = a.onMeasuredNodesBound(m)
	if a.short() {
		m.bound = Estimate
		m = m.because(ShortJob, Sampled)
	}
	return a.gathered(m)
}

// gathered states the bound by JobAcctGatherType: sampling misses spikes, cgroup v2
// counts file cache, and so perhaps does a version that is not known, memory.peak is a true high-water mark including cache.
func (a *attempt) gathered(m amount) amount {
	switch a.in.Cluster.gatherer() {
	case gatherSampled:
		if m.bound == Upper {
			m.bound = Estimate
		}
		return m.because(Sampled)
	case gatherCgroup:
		if m.bound == Upper {
			m.bound = Estimate
		}
		return m.because(PageCacheIncluded, Sampled)
	case gatherCache:
		return m.because(PageCacheIncluded, Sampled)
	case gatherPeak:
		return m.because(PageCacheIncluded)
	default:
		return m
	}
}

// onMeasuredNodesBound is onMeasuredNodes for a peak: it combines with the bound that
// is there.
func (a *attempt) onMeasuredNodesBound(m amount) amount {
	bound := m.bound
	m = a.onMeasuredNodes(m)
	if m.bound != bound {
		m.bound = bound.and(Lower)
	}
	return m
}

// short: too short for the sampling to have seen the peak.
func (a *attempt) short() bool {
	interval, _ := a.in.Cluster.taskInterval()
	return a.job.ElapsedSeconds != nil && a.elapsed() < interval
}

func (a *attempt) memoryOfProfile() amount {
	if a.samples == nil || !a.samples.hasMemory {
		return none()
	}
	m := a.sampledAmount(a.samples.memoryPeak, Estimate)
	if a.stepUnseen(measuresMemory, rememberedStep) {
		m = m.because(NoStepData)
	}
	if !a.wholeProfile(measuresMemory, rememberedStep) || a.undercut() != nil {
		m.bound = Lower
	}
	return a.gathered(m).because(Sampled)
}

// rememberedStep: one that the accounting saw no memory of tells no more than a profile
// without it.
func rememberedStep(s *step) bool { return !s.mem.ok || s.mem.value > 0 }

func (a *attempt) memoryOfJobstats() amount {
	if a.jobstats == nil {
		return none()
	}
	v, n, ok := a.jobstats.memory()
	if !ok {
		return none()
	}
	m := whole(v, Upper, SourceJobstats, Sampled, PageCacheIncluded)
	if m.nodes = n; m.partial(a) {
		m.bound = Lower
		m = m.because(UnmeasuredNodes)
	}
	return m
}

// memoryEfficiency = peak / allocated memory × 100, against the decoded ReqMem only
// where AllocTRES has no memory. Like CPU it is missing where nodes are unmeasured.
func (a *attempt) memoryEfficiency(peak amount) amount {
	limit, requested, ok := a.memory()
	if !ok {
		return none(append(Reasons{MissingField}, peak.reasons...)...)
	}
	if !peak.ok {
		return peak
	}
	if peak.partial(a) {
		return a.unlessPartial(peak)
	}
	if requested {
		peak = peak.because(MissingField)
	}
	v, ok := ratio(peak.value, limit)
	if !ok {
		return none(MissingField)
	}
	peak.value = v
	if v > 100 {
		peak = peak.because(OverLimit)
	}
	return peak
}
