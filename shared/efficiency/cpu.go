package efficiency

import "math"

// cpuUsed is Σ over all steps of max(TotalCPU, TRESUsageInTot[cpu]) in core-seconds.
// The steps' processes are disjoint, so overlap in time does not matter. Only where
// no step has either: the job row's TotalCPU, the profile, a jobstats summary.
func (a *attempt) cpuUsed() amount {
	if m, ok := a.cpuOfSteps(); ok {
		return m
	}
	for _, try := range []func() amount{a.cpuOfJobRow, a.cpuOfProfile, a.cpuOfJobstats} {
		if m := try(); m.ok {
			return m
		}
	}
	return none(NoStepData)
}

func (a *attempt) cpuOfSteps() (amount, bool) {
	m := whole(0, Exact, "")
	best := -1.0
	bySource := make(map[Source]float64)
	for i := range a.steps {
		s := &a.steps[i]
		if s.kind != stepExtern && (s.killed || !s.cpu.ok && !s.running) {
			m.bound = Lower
			m.reasons = append(m.reasons, lossReason(s))
		}
		if !s.cpu.ok {
			continue
		}
		m.ok = true
		m.value += s.cpu.value
		bySource[s.cpu.source] += s.cpu.value
		if v := bySource[s.cpu.source]; v > best || v == best && s.cpu.source < m.source {
			best, m.source = v, s.cpu.source
		}
	}
	if best < 0 {
		return m, false
	}
	// Slurm prints milliseconds; the noise of binary sums is not evidence.
	m.value = math.Round(m.value*1e6) / 1e6
	return a.onMeasuredNodes(m), true
}

func lossReason(s *step) Reason {
	if s.killed {
		return KilledStep
	}
	return NoStepData
}

// onMeasuredNodes marks an amount that some nodes did not contribute to.
func (a *attempt) onMeasuredNodes(m amount) amount {
	n, known := a.measuredNodes()
	if !known {
		return m
	}
	m.nodes = n
	if total, _ := value(a.job.Nodes); n < total {
		m.bound = Lower
		m = m.because(UnmeasuredNodes)
	}
	if a.running {
		m.bound = Lower
	}
	return m
}

// cpuOfJobRow needs an ended job: of running ones Slurm prints 00:00:00. It loses the
// children of killed steps, and newer versions leave it at zero: then it is a lower bound.
func (a *attempt) cpuOfJobRow() amount {
	if a.rec == nil || a.running {
		return none()
	}
	v, ok := a.rec.Duration("TotalCPU").Seconds()
	if !ok || v == 0 && len(a.steps) > 0 {
		return none()
	}
	if !ok {
		return none()
	}
	m := whole(v, Lower, SourceJobTotalCPU, NoStepData)
	if a.state.Word == "COMPLETED" && v > 0 {
		m.bound = Exact
	}
	return m
}

func (a *attempt) cpuOfProfile() amount {
	if a.samples == nil || !a.samples.hasCPU {
		return none()
	}
	return a.sampledAmount(a.samples.cpuSeconds, Lower)
}

func (a *attempt) cpuOfJobstats() amount {
	if a.jobstats == nil {
		return none()
	}
	v, n, ok := a.jobstats.cpuSeconds()
	if !ok {
		return none()
	}
	m := whole(v, Estimate, SourceJobstats, Sampled)
	m.nodes = n
	return m
}

// cpuEfficiency = used / (elapsed × allocated CPUs) × 100. A job whose nodes were
// only partly accounted has none: what the others did is not known.
func (a *attempt) cpuEfficiency(used amount, cpus float64) amount {
	if !used.ok {
		return used
	}
	if used.partial(a) {
		return a.unlessPartial(used)
	}
	return a.cpuShare(used, cpus)
}

// cpuShare divides by elapsed × cpus.
func (a *attempt) cpuShare(used amount, cpus float64) amount {
	v, ok := ratio(used.value, a.elapsed()*cpus)
	if !ok {
		m := none(used.reasons...)
		if a.job.ElapsedSeconds != nil && a.elapsed() == 0 {
			return m.because(ShortJob)
		}
		return m.because(MissingField)
	}
	used.value = v
	if v > 100 {
		used = used.because(OverLimit)
	}
	if t, ok := value(a.job.ThreadsPerCore); ok && t > 1 {
		used = used.because(HardwareThreads)
	}
	return used
}

// partial tells whether part of the nodes is unmeasured.
func (m amount) partial(a *attempt) bool {
	total, ok := value(a.job.Nodes)
	return ok && m.nodes >= 0 && m.nodes < total
}

// cpuCoreEfficiency counts physical cores: with two threads per core a job of one
// thread per core reaches 100 percent here and 50 percent of its CPUs.
func (a *attempt) cpuCoreEfficiency(used amount) amount {
	threads, ok := value(a.job.ThreadsPerCore)
	if !ok {
		return none(MissingField)
	}
	return a.cpuEfficiency(used, a.cpus()/float64(threads))
}

// cpuMeasuredNodes is the efficiency on the nodes that were accounted, for jobs
// where that is not all of them. CPUs are taken to be spread evenly.
func (a *attempt) cpuMeasuredNodes(used amount) amount {
	if !used.ok {
		return used
	}
	if !used.partial(a) {
		return none(NotApplicable)
	}
	if used.nodes == 0 {
		return none(used.reasons...)
	}
	total, _ := value(a.job.Nodes)
	m := a.cpuShare(used, a.cpus()*float64(used.nodes)/float64(total))
	m.bound = Estimate
	return m
}
