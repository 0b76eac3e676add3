package efficiency

import (
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// ledger balances the attempt's resources. last says that no other incarnation
// followed: an earlier one is lost unless it completed.
func (a *attempt) ledger(q quantities, last bool) Ledger {
	if a.never {
		return Ledger{}
	}
	cause := a.cause(last)
	l := Ledger{
		CoreS: a.coreAccount(q.cpu, cause),
		ByteS: a.byteAccount(q.memory, cause),
		GPUS:  a.gpuAccount(q.gpuUtil, cause),
	}
	l.Joule = a.jouleAccount(q.energy, l, cause)
	return l
}

// cause says why the attempt was lost; empty when it was not.
func (a *attempt) cause(last bool) Cause {
	switch a.state.Word {
	case "COMPLETED", "":
		return ""
	case "OUT_OF_MEMORY":
		return CauseOOM
	case "TIMEOUT", "DEADLINE":
		return CauseTimeout
	case "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL":
		return CauseNodeFail
	case "PREEMPTED":
		return CausePreemption
	case "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT":
		return CauseRequeue
	}
	if a.state.API == slurmfmt.StateFailed {
		if a.outOfMemory() {
			return CauseOOM
		}
		return CauseUser
	}
	if !last && !a.running {
		return CauseRequeue
	}
	return ""
}

// outOfMemory also sees kills that the script ignored: they show only in a step or in
// DerivedExitCode 0:125.
func (a *attempt) outOfMemory() bool {
	if a.state.Word == "OUT_OF_MEMORY" {
		return true
	}
	if a.rec != nil && (a.rec.ExitCode("ExitCode").OOM() || a.rec.ExitCode("DerivedExitCode").OOM()) {
		return true
	}
	for i := range a.steps {
		if a.steps[i].outOfMemory {
			return true
		}
	}
	return false
}

func (a *attempt) coreAccount(used amount, cause Cause) *Account {
	if a.job.CPUs == nil || a.job.ElapsedSeconds == nil {
		return nil
	}
	p := parts{allocated: a.elapsed() * a.cpus(), used: used.value, usedOK: used.ok, cause: cause, bound: used.bound}
	p.unmeasured = a.unmeasured(used, p.allocated)
	p.unmeasured += a.killedShare(p.allocated - p.unmeasured - used.value)
	p.forced = a.forcedCPUs() * a.elapsed()
	return balance(p)
}

// unmeasured is the share of an allocation on nodes without accounting, and of the time
// that a profile did not see.
func (a *attempt) unmeasured(used amount, allocated float64) float64 {
	var nodes float64
	if total, _ := value(a.job.Nodes); used.partial(a) {
		nodes = allocated * float64(total-used.nodes) / float64(total)
	}
	return nodes + (allocated-nodes)*(1-a.seen(used))
}

// seen is the part of the run that an amount is about.
func (a *attempt) seen(m amount) float64 {
	if m.source != SourceProfile || m.seconds < 0 || a.elapsed() <= 0 || a.covered(m.seconds) {
		return 1
	}
	return m.seconds / a.elapsed()
}

// killedShare is what killed steps had but were not seen to use: Slurm lost the CPU
// time of their children, so it may have been used. At most the rest that nobody else
// used.
func (a *attempt) killedShare(rest float64) float64 {
	var sum float64
	for i := range a.steps {
		s := &a.steps[i]
		if s.killed && s.kind != stepExtern {
			sum += max(0, s.elapsed*float64(s.cpus)-s.cpu.value)
		}
	}
	return clamp(sum, max(0, rest))
}

// forcedCPUs is how many CPUs the site added to what was asked: whole cores or nodes
// (unless the user asked for exclusive nodes), and the CPUs that come with GPUs.
func (a *attempt) forcedCPUs() float64 {
	cpus := a.cpus()
	if asked, ok := value(a.job.CPUsRequested); ok && float64(asked) < cpus && !a.exclusiveAsked() {
		return cpus - float64(asked)
	}
	p, _ := a.in.Cluster.partition(a.job.Partition)
	gpus, _ := value(a.job.GPUs)
	if p.DefCPUPerGPU > 1 && gpus > 0 && cpus == float64(p.DefCPUPerGPU*gpus) && !a.cpusAsked() {
		return cpus - float64(gpus)
	}
	return 0
}

// forcedByGuess: what the job itself asked for may stand in its script (#SBATCH --exclusive, -c), which accounting does not
// keep. Sure is what whole cores explain, a partition that gives whole nodes, and a submit line without a script.
func (a *attempt) forcedByGuess() bool {
	forced := a.forcedCPUs()
	if forced == 0 || !a.scriptMayAsk() {
		return false
	}
	threads, known := value(a.job.ThreadsPerCore)
	if !known {
		threads = 2
	}
	nodes, _ := value(a.job.Nodes)
	return forced > float64(max(1, nodes)*(threads-1))
}

// scriptMayAsk: a script that nobody kept may have asked for more than accounting knows, such as the whole node.
func (a *attempt) scriptMayAsk() bool {
	if a.rec == nil {
		return false
	}
	if p, _ := a.in.Cluster.partition(a.job.Partition); p.Exclusive {
		return false
	}
	line := a.rec.Get("SubmitLine")
	return !strings.Contains(line, " --wrap") && (line == "" || strings.HasPrefix(line, "sbatch") || strings.Contains(line, "/sbatch "))
}

// forcedGPUs is how many GPUs came with a whole node that the site gave: more than ReqTRES asked for, unless the user
// asked for exclusive nodes. Without ReqTRES it is not known what was asked, and nothing is forced.
func (a *attempt) forcedGPUs() float64 {
	gpus, _ := value(a.job.GPUs)
	if a.rec == nil || a.exclusiveAsked() {
		return 0
	}
	list := a.rec.TRES("ReqTRES")
	asked := list.GPUs()
	if list.Empty() || asked.Kind != slurmfmt.Known && asked.Kind != slurmfmt.Missing {
		return 0
	}
	return float64(max(0, gpus-asked.N))
}

// wastedGPU may be more where a script may have asked for the whole node.
func (a *attempt) wastedGPU(acc *Account, util amount) amount {
	m := wastedAmount(acc, util)
	if m.ok && acc.Forced > 0 && a.scriptMayAsk() {
		return m.lowerBecause(ScriptUnknown)
	}
	return m
}

// lowerBecause says that the truth may be more, and why.
func (m amount) lowerBecause(why Reason) amount {
	m.bound = m.bound.and(Lower)
	return m.because(why)
}

// wastedCPU is at least what the ledger says where a part of the forced may have been the user's own wish.
func (a *attempt) wastedCPU(acc *Account, used amount) amount {
	m := wastedAmount(acc, used)
	if m.ok && acc.Forced > 0 && a.forcedByGuess() {
		return m.lowerBecause(ScriptUnknown)
	}
	return m
}

// cpusAsked: the submit line names a number of CPUs or tasks.
func (a *attempt) cpusAsked() bool {
	if a.rec == nil {
		return false
	}
	for word := range strings.FieldsSeq(a.rec.Get("SubmitLine")) {
		for _, option := range []string{"-c", "-n", "--cpus-per-task", "--ntasks", "--cpus-per-gpu"} {
			if strings.HasPrefix(word, option) {
				return true
			}
		}
	}
	return false
}

// byteAccount: used = peak × elapsed, so its bound is upper.
func (a *attempt) byteAccount(peak amount, cause Cause) *Account {
	limit, _, ok := a.memory()
	if !ok || a.job.ElapsedSeconds == nil {
		return nil
	}
	p := parts{allocated: limit * a.elapsed(), used: peak.value * a.elapsed() * a.seen(peak), usedOK: peak.ok, cause: cause, bound: Upper}
	if peak.bound == Lower {
		p.bound = Estimate
	}
	p.unmeasured = a.unmeasured(peak, p.allocated)
	p.forced = a.forcedBytes() * a.elapsed()
	return balance(p)
}

// forcedBytes is how much memory the site added to what was asked, as with CPUs.
func (a *attempt) forcedBytes() float64 {
	limit, _, ok := a.memory()
	asked, known := value(a.job.MemoryRequestedBytes)
	if !ok || !known || a.exclusiveAsked() {
		return 0
	}
	return max(0, limit-asked)
}

func (a *attempt) gpuAccount(util amount, cause Cause) *Account {
	gpus, ok := value(a.job.GPUs)
	if !ok || a.job.ElapsedSeconds == nil {
		return nil
	}
	p := parts{allocated: float64(gpus) * a.elapsed(), usedOK: util.ok, cause: cause, bound: util.bound}
	p.used = p.allocated * util.value / 100
	p.unmeasured = a.unmeasured(util, p.allocated)
	p.forced = a.forcedGPUs() * a.elapsed()
	return balance(p)
}

// jouleAccount divides the energy as the CPUs were divided, or the GPUs where the
// job has some: the meter does not say which joule did work.
func (a *attempt) jouleAccount(energy amount, l Ledger, cause Cause) *Account {
	if !energy.ok {
		return nil
	}
	p := parts{allocated: energy.value, cause: cause, bound: Estimate}
	by := l.CoreS
	if gpus, _ := value(a.job.GPUs); gpus > 0 {
		by = l.GPUS
	}
	if by == nil || by.Allocated <= 0 || cause != "" {
		return balance(p)
	}
	share := energy.value / max(by.Allocated, by.Used+by.Unmeasured)
	p.used, p.usedOK = by.Used*share, by.Unmeasured < by.Allocated
	p.forced, p.unmeasured = by.Forced*share, by.Unmeasured*share
	return balance(p)
}
