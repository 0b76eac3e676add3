package efficiency

// defaultWattPerGiB is the power of memory in the model of Green Algorithms
// (Lannelongue et al. 2021, doi:10.1002/advs.202100707): 0.3725 W per GB.
const defaultWattPerGiB = 0.3725

// energyOfModel estimates
//
//	E = elapsed × PUE × (cores × W per core × CPU share + memory GiB × 0.3725 W + GPUs × TDP × utilisation)
//
// from the cluster's configuration. CPU share is used / allocated core-seconds.
func (a *attempt) energyOfModel(cpu amount) amount {
	if a.rec == nil {
		return none()
	}
	t, ok := a.anyNodeType()
	if !ok || t.WattPerCore <= 0 || !cpu.ok || a.elapsed() <= 0 || a.cpus() <= 0 {
		return none()
	}
	if cpu.partial(a) {
		// What the other nodes did is not known; nothing would be wrong by a factor.
		return none(UnmeasuredNodes)
	}
	gpuWatt, ok := a.gpuPower(t)
	if !ok {
		return none()
	}
	cores := a.cpus() / float64(max(1, t.ThreadsPerCore))
	share := cpu.value / (a.elapsed() * a.cpus())
	watt := cores*t.WattPerCore*share + a.memoryPower() + gpuWatt
	m := whole(watt*a.elapsed()*pue(a.in.Cluster), Estimate, SourceModel, ModelEstimate)
	if cpu.bound == Lower {
		m = m.because(cpu.reasons...)
	}
	return m
}

func pue(c *Cluster) float64 {
	if c.PUE > 0 {
		return c.PUE
	}
	return 1
}

// memoryPower counts the allocated memory: it is powered whether used or not.
func (a *attempt) memoryPower() float64 {
	bytes, _, ok := a.memory()
	if !ok {
		return 0
	}
	perGiB := a.in.Cluster.WattPerMemoryGiB
	if perGiB <= 0 {
		perGiB = defaultWattPerGiB
	}
	return bytes / (1 << 30) * perGiB
}

// gpuPower is not known for a GPU job whose utilisation or TDP is not known: leaving
// the GPUs out would be wrong by a factor.
func (a *attempt) gpuPower(t NodeType) (watt float64, ok bool) {
	gpus := a.gpuCount()
	if !gpus.ok || gpus.value == 0 {
		return 0, true
	}
	util := a.gpuUtilization()
	if !util.ok || util.bound == Lower || t.GPUWatt <= 0 {
		return 0, false
	}
	return gpus.value * t.GPUWatt * util.value / 100, true
}
