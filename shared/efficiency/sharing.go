package efficiency

// sharing says whether other jobs could run on the job's nodes.
type sharing uint8

const (
	sharingUnknown sharing = iota
	sharingExclusive
	sharingShared
)

func (a *attempt) sharingOf() sharing {
	if a.rec == nil {
		return sharingUnknown
	}
	if p, ok := a.in.Cluster.partition(a.job.Partition); ok && p.Exclusive || a.exclusiveAsked() {
		return sharingExclusive
	}
	cpus, known := a.nodeCPUs()
	switch {
	case !known || a.job.CPUs == nil:
		return sharingUnknown
	case a.cpus() < cpus:
		return sharingShared
	default:
		return sharingExclusive
	}
}

// nodeCPUs is how many CPUs the job's nodes have together, by configuration.
func (a *attempt) nodeCPUs() (cpus float64, known bool) {
	names := a.nodeNames()
	for _, name := range names {
		t, ok := a.in.Cluster.TypeOf(name)
		if !ok || t.Cores <= 0 {
			return 0, false
		}
		cpus += float64(t.Cores * max(1, t.ThreadsPerCore))
	}
	return cpus, len(names) > 0
}

// idlePower is what the job's nodes draw doing nothing, in watts.
func (a *attempt) idlePower() (watt float64, known bool) {
	names := a.nodeNames()
	for _, name := range names {
		t, ok := a.in.Cluster.TypeOf(name)
		if !ok || t.IdleWatt <= 0 {
			return 0, false
		}
		watt += t.IdleWatt
	}
	return watt, len(names) > 0
}

// split takes the job's part of energy that was measured for whole nodes. On nodes
// that it shared: the idle part by its share of the CPUs, the rest by its share of
// the CPU time that was used there. Without those numbers the whole is an upper bound.
func (a *attempt) split(m amount, cpu amount) amount {
	switch a.sharing {
	case sharingExclusive:
		return m
	case sharingUnknown:
		m.bound = m.bound.and(Upper)
		return m.because(SharedNode)
	}
	m = m.because(SharedNode)
	cpus, okCPUs := a.nodeCPUs()
	watt, okWatt := a.idlePower()
	all, okAll := a.allCPUSeconds()
	if !okCPUs || !okWatt || !okAll || !cpu.ok {
		m.bound = m.bound.and(Upper)
		return m
	}
	idle := min(m.value, watt*a.elapsed())
	m.value = idle*a.cpus()/cpus + (m.value-idle)*min(1, cpu.value/all)
	m.bound = Estimate
	return m
}

// allCPUSeconds is what all jobs together used on this job's nodes.
func (a *attempt) allCPUSeconds() (seconds float64, known bool) {
	names := a.nodeNames()
	for _, name := range names {
		v, ok := a.in.NodeCPU[name]
		if !ok || v < 0 {
			return 0, false
		}
		seconds += v
	}
	return seconds, seconds > 0
}
