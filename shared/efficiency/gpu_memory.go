package efficiency

// gpuMemoryPeak is in bytes over all GPUs of the job.
func (a *attempt) gpuMemoryPeak() amount {
	if n, ok := value(a.job.GPUs); ok && n == 0 {
		return none(NotApplicable)
	}
	if m := choose(a.gpuMemoryOfProfile(), a.gpuMemoryOfSteps(), a.gpuMemoryOfJobstats()); m.ok {
		return m
	}
	return none(NoStepData)
}

func (a *attempt) gpuMemoryOfProfile() amount {
	if a.samples == nil || !a.samples.hasGPUMemory {
		return none()
	}
	return a.ofGPUProfile(a.samples.gpuMemoryPeak, func(t *taskSamples) bool { return t.GPUMemBytes.Valid() > 0 })
}

// gpuMemoryOfSteps adds steps as memory does: over the time in which they overlap. Peaks of tasks need not have met, and one between
// two samples was missed, so the truth lies on either side.
func (a *attempt) gpuMemoryOfSteps() amount {
	m := a.peakOfSteps(func(s *step) reading { return s.gpuMem })
	if !m.ok {
		return m
	}
	m.bound = Estimate
	m = m.because(Sampled)
	for i := range a.steps {
		switch s := &a.steps[i]; {
		case s.gpuMem.ok && s.gpuMem.perTask:
			m = m.because(PerTaskMaximum)
		case !s.gpuMem.ok && s.kind == stepNumbered && s.gpus > 0:
			m.bound = m.bound.and(Lower)
			m = m.because(lossReason(s))
		}
	}
	return a.onGPUNodes(m, func(s *step) bool { return s.gpuMem.ok })
}

func (a *attempt) gpuMemoryOfJobstats() amount {
	if a.jobstats == nil {
		return none()
	}
	all, nodes := a.jobstats.gpus(jobstatsNode.gpuMemory)
	return a.ofJobstatsGPUs(all, nodes, a.gpuCount(), func(sum, _ float64) amount { return whole(sum, Estimate, SourceJobstats, Sampled) })
}
