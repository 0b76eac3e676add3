package efficiency

import (
	"math"
	"slices"
)

// disagreement is a pair of sources that differ by more than the tolerance.
type disagreement struct {
	metric        MetricName
	first, second Source
	x, y          float64
}

// jobstatsInterval is how often the exporters behind a jobstats summary are read, in
// seconds: what a job used after the last reading is not in the summary.
const jobstatsInterval = 30

// disagreements compares what several sources say about the same number, each pair
// only where both cover the run: the profile with the accounting (CPU time, energy,
// and memory where the series is above the accounting's upper bound or below its largest
// task), sstat (CPU time, memory) and a jobstats summary (CPU time, memory) with the accounting, and of GPUs each
// with each.
func (a *attempt) disagreements() []disagreement {
	if a.rec == nil {
		return nil
	}
	c := comparer{tolerance: a.limits.DisagreementPercent / 100}
	a.compareProfileCPU(&c)
	a.compareMemory(&c)
	a.compareEnergy(&c)
	a.compareSstat(&c)
	a.compareJobstats(&c)
	a.compareJobstatsMemory(&c)
	a.compareGPUs(&c)
	return c.found
}

// comparer collects the pairs that differ by more than the tolerance and by more than
// what the resolution of the sources explains.
type comparer struct {
	tolerance float64
	found     []disagreement
}

func (c *comparer) check(d disagreement, slack float64) {
	if c.apart(d.x, d.y, slack) {
		c.found = append(c.found, d)
	}
}

func (c *comparer) apart(x, y, slack float64) bool {
	return math.Abs(x-y) > max(slack, c.tolerance*max(x, y))
}

// compareProfileCPU: of a running job the profile lags behind what sstat has seen, so
// only more than that is a contradiction.
func (a *attempt) compareProfileCPU(c *comparer) {
	if a.samples == nil || !a.samples.hasCPU {
		return
	}
	accounted, ok := a.cpuOfSteps()
	full := a.wholeProfile(measuresCPU, usedCPU) && !a.cpuOfProfile().partial(a)
	if !ok || !a.running && (!full || accounted.bound != Exact) || a.running && a.samples.cpuSeconds < accounted.value {
		return
	}
	// Slurm's last sample may be up to one interval before the end of each task.
	slack := 2 + a.samples.interval*float64(len(a.samples.tasks))
	c.check(disagreement{CPUUsed, SourceProfile, accounted.source, a.samples.cpuSeconds, accounted.value}, slack)
}

func (a *attempt) compareMemory(c *comparer) {
	if a.samples == nil || !a.samples.hasMemory {
		return
	}
	upper := a.memoryOfSteps()
	bound := upper.value + a.batchMemory()
	if upper.ok && upper.bound != Lower && a.samples.memoryPeak > bound {
		c.check(disagreement{MemoryPeak, SourceProfile, upper.source, a.samples.memoryPeak, bound}, smallMemory)
	}
	if s := a.undercut(); s != nil && a.wholeProfile(measuresMemory, rememberedStep) {
		c.check(disagreement{MemoryPeak, SourceProfile, s.mem.source, a.samples.memoryPeak, s.mostOfTask}, smallMemory)
	}
}

// smallMemory is what shared pages and a last sample may differ by.
const smallMemory = 16 << 20

// undercut is the step of whose largest task the accounting saw more than the profile
// ever shows of all tasks together, nil without one: then something of the profile is
// not there, however whole it looks.
func (a *attempt) undercut() *step {
	var worst *step
	for i := range a.steps {
		s := &a.steps[i]
		if s.kind != stepExtern && (worst == nil || s.mostOfTask > worst.mostOfTask) {
			worst = s
		}
	}
	c := comparer{tolerance: a.limits.DisagreementPercent / 100}
	if worst == nil || worst.mostOfTask <= a.samples.memoryPeak || !c.apart(a.samples.memoryPeak, worst.mostOfTask, smallMemory) {
		return nil
	}
	return worst
}

// usedCPU: a step without CPU time adds none to the profile.
func usedCPU(s *step) bool { return !s.cpu.ok || s.cpu.value > 0 }

// compareEnergy: the series begins up to three rows late and ends up to a row early.
// What its mean power makes of the time that it lacks is no contradiction, and neither
// is more than a lower bound.
func (a *attempt) compareEnergy(c *comparer) {
	if a.samples == nil || a.running {
		return
	}
	measured := a.energyOfProfile()
	accounted, _ := a.energyOfAccounting()
	if !accounted.ok || !measured.ok || measured.bound == Lower || measured.seconds <= 0 {
		return
	}
	if accounted.bound == Lower && accounted.value <= measured.value {
		return
	}
	lacking := max(0, a.elapsed()-measured.seconds) * measured.value / measured.seconds
	c.check(disagreement{Energy, SourceProfile, accounted.source, measured.value, accounted.value}, 100+lacking)
}

// compareSstat: what sstat saw while a step ran, of CPU time and of memory, cannot be
// more than what the step used in all.
func (a *attempt) compareSstat(c *comparer) {
	var live, ended float64
	var source Source
	for i := range a.steps {
		if s := &a.steps[i]; s.live.ok && s.cpu.ok && !s.running && !s.killed {
			live, ended, source = live+s.live.value, ended+s.cpu.value, s.cpu.source
		}
	}
	if live > ended {
		c.check(disagreement{CPUUsed, SourceSstat, source, live, ended}, 2)
	}
	for i := range a.steps {
		if s := &a.steps[i]; s.liveMem.value > s.mem.value && s.mem.ok && !s.running && !s.killed {
			c.check(disagreement{MemoryPeak, SourceSstat, s.mem.source, s.liveMem.value, s.mem.value}, smallMemory)
		}
	}
}

func (a *attempt) compareJobstats(c *comparer) {
	if a.jobstats == nil || a.running {
		return
	}
	accounted, ok := a.cpuOfSteps()
	seen, nodes, measured := a.jobstats.cpuSeconds()
	if total, known := value(a.job.Nodes); !ok || !measured || accounted.bound != Exact || known && nodes < total {
		return
	}
	slack := 2 * jobstatsInterval * max(1, a.cpus())
	c.check(disagreement{CPUUsed, SourceJobstats, accounted.source, seen, accounted.value}, slack)
}

// compareJobstatsMemory: a summary adds up the peaks of nodes, which is no more than the accounting's upper bound where one
// step ran. Accounting that counts file cache may well have more than a summary.
func (a *attempt) compareJobstatsMemory(c *comparer) {
	if a.jobstats == nil || a.running || a.short() {
		return
	}
	seen := a.memoryOfJobstats()
	upper := a.memoryOfSteps()
	if !seen.ok || seen.bound == Lower || !upper.ok || upper.bound == Lower {
		return
	}
	if bound := upper.value + a.batchMemory(); seen.value > bound && a.numberedSteps() <= 1 {
		c.check(disagreement{MemoryPeak, SourceJobstats, upper.source, seen.value, bound}, smallMemory)
	}
	if a.in.Cluster.gatherer() != gatherSampled {
		return
	}
	for i := range a.steps {
		if s := &a.steps[i]; s.kind != stepExtern && s.mostOfTask > seen.value {
			c.check(disagreement{MemoryPeak, SourceJobstats, s.mem.source, seen.value, s.mostOfTask}, smallMemory)
		}
	}
}

func (a *attempt) numberedSteps() (n int) {
	for i := range a.steps {
		if a.steps[i].kind == stepNumbered {
			n++
		}
	}
	return n
}

// What sources of a GPU differ by for other reasons: they look at different moments, and some count what the driver holds.
const (
	smallGPUPercent = 10
	smallGPUMemory  = 1 << 30
)

func (a *attempt) compareGPUs(c *comparer) {
	gpus := a.gpuCount()
	if a.running || a.short() || !gpus.ok || gpus.value == 0 {
		return
	}
	c.pairs(GPUUtilization, smallGPUPercent, a.gpuUtilOfSteps(gpus), a.gpuUtilOfProfile(), a.gpuUtilOfJobstats(gpus))
	c.pairs(GPUMemoryPeak, smallGPUMemory*gpus.value, a.gpuMemoryOfSteps(), a.gpuMemoryOfProfile(), a.gpuMemoryOfJobstats())
}

// pairs compares the first source that saw the whole run with the others that did.
func (c *comparer) pairs(metric MetricName, slack float64, sources ...amount) {
	whole := slices.DeleteFunc(sources, func(m amount) bool { return !m.ok || m.bound != Estimate })
	for i := 1; i < len(whole); i++ {
		c.check(disagreement{metric, whole[i].source, whole[0].source, whole[i].value, whole[0].value}, slack)
	}
}

// batchMemory is what the accounting's upper bound leaves out and the series has: the
// batch script beside the numbered steps.
func (a *attempt) batchMemory() float64 {
	var sum float64
	for i := range a.steps {
		if s := &a.steps[i]; s.kind != stepNumbered && s.mem.ok {
			sum += s.mem.value
		}
	}
	return sum
}
