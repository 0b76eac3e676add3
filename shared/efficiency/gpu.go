package efficiency

import "math"

// gpuCount counts each GPU once: the generic gres/gpu, else the sum of typed ones.
func (a *attempt) gpuCount() amount {
	if n, ok := value(a.job.GPUs); ok {
		return whole(float64(n), Exact, SourceAllocTRES)
	}
	if a.jobstats != nil && a.jobstats.GPUs != nil {
		return whole(float64(*a.jobstats.GPUs), Exact, SourceJobstats)
	}
	return none(MissingField)
}

// gpuUtilization is the mean over GPUs and time in percent of one GPU. 0.04 percent
// is 0.04, not idle.
func (a *attempt) gpuUtilization() amount {
	gpus := a.gpuCount()
	if gpus.ok && gpus.value == 0 {
		return none(NotApplicable)
	}
	m := choose(a.gpuUtilOfProfile(), a.gpuUtilOfSteps(gpus), a.gpuUtilOfJobstats(gpus))
	switch {
	case !m.ok:
		return none(NoStepData)
	case m.value > 100:
		return m.because(OverLimit)
	}
	return m
}

// gpuUtilOfSteps weighs steps by their time; the GPUs were idle between steps. A step
// of unknown length may have run all the time: then the whole is an upper bound.
func (a *attempt) gpuUtilOfSteps(gpus amount) amount {
	var used []*step
	for i := range a.steps {
		if a.steps[i].gpuUtil.ok {
			used = append(used, &a.steps[i])
		}
	}
	if len(used) == 0 || !gpus.ok || a.job.ElapsedSeconds == nil && len(used) > 1 {
		return none(MissingField)
	}
	m := whole(0, Estimate, used[0].gpuUtil.source, Sampled)
	for _, s := range used {
		share, known := a.shareOf(s)
		if len(used) == 1 && share > 1/1.02 {
			share = 1 // the one step, as long as the job but for the seconds of its start
		}
		if !known {
			m.bound = Upper
			m = m.because(MissingField)
		}
		m.value += s.gpuUtil.value * share / gpus.value
	}
	return a.onGPUNodes(m, func(s *step) bool { return s.gpuUtil.ok })
}

// shareOf is the part of the run that a step took.
func (a *attempt) shareOf(s *step) (share float64, known bool) {
	seconds := s.elapsed
	if seconds == 0 && s.timed && !math.IsInf(s.end, 0) {
		seconds = s.end - s.start
	}
	if seconds == 0 && !s.elapsedKnown {
		return 1, false
	}
	if a.job.ElapsedSeconds == nil {
		return 1, true
	}
	return seconds / max(a.elapsed(), 1), true
}

// onGPUNodes marks an amount that the GPUs of some nodes did not contribute to.
func (a *attempt) onGPUNodes(m amount, has func(*step) bool) amount {
	if n, known := a.countMeasured(has); known {
		m.nodes = n
	}
	if m.partial(a) {
		m.bound = m.bound.and(Lower)
		m = m.because(UnmeasuredNodes)
	}
	if a.short() {
		return m.because(ShortJob)
	}
	return m
}

// gpuUtilOfProfile divides by the whole run: GPUs without a task were idle. What a
// profile did not see may have been more.
func (a *attempt) gpuUtilOfProfile() amount {
	if a.samples == nil || !a.samples.hasGPU {
		return none()
	}
	seconds := a.samples.seconds()
	if !a.covered(seconds) {
		seconds = max(seconds, a.elapsed())
	}
	gpus, ok := value(a.job.GPUs)
	if !ok || gpus <= 0 {
		gpus = int64(max(1, a.samples.gpuTasks))
	}
	return a.ofGPUProfile(a.samples.gpuArea/float64(gpus)/max(1, seconds), measuresGPU)
}

func (a *attempt) ofGPUProfile(v float64, has measures) amount {
	m := a.sampledAmount(v, Estimate).because(Sampled)
	if a.stepUnseen(has, usedGPU) {
		m = m.because(NoStepData)
	}
	if !a.wholeProfile(has, usedGPU) {
		m.bound = Lower
	}
	return m
}

// usedGPU: a step of which the accounting saw that it used GPUs, or that had some of
// which nothing is known.
func usedGPU(s *step) bool {
	if s.gpuUtil.ok || s.gpuMem.ok {
		return s.gpuUtil.value > 0 || s.gpuMem.value > 0
	}
	return s.kind == stepNumbered && s.gpus > 0
}

func (a *attempt) gpuUtilOfJobstats(gpus amount) amount {
	if a.jobstats == nil {
		return none()
	}
	all, nodes := a.jobstats.gpus(jobstatsNode.gpuUtil)
	return a.ofJobstatsGPUs(all, nodes, gpus, func(sum, n float64) amount { return whole(sum/n, Estimate, SourceJobstats, Sampled) })
}

// ofJobstatsGPUs makes a number of the GPUs in a summary; GPUs that are not in it may
// have been used too.
func (a *attempt) ofJobstatsGPUs(all []float64, nodes int64, gpus amount, of func(sum, n float64) amount) amount {
	if len(all) == 0 {
		return none()
	}
	n := float64(len(all))
	var sum float64
	for _, v := range all {
		sum += v
	}
	if !gpus.ok || n >= gpus.value {
		return of(sum, n)
	}
	m := of(sum, gpus.value).because(MissingField)
	m.bound = Lower
	if m.nodes = nodes; m.partial(a) {
		m = m.because(UnmeasuredNodes)
	}
	return m
}
