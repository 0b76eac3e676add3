package efficiency

import (
	"cmp"
	"math"
	"slices"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// stepKind decides how a step's memory combines with that of other steps.
type stepKind uint8

const (
	stepNumbered stepKind = iota
	stepBatch
	stepInteractive
	stepExtern
)

// reading is one value of a step and where it came from.
type reading struct {
	value  float64
	ok     bool
	source Source
	// perTask: the value is a maximum over tasks times their number.
	perTask bool
	// lower: the number of tasks is not known, there was at least one.
	lower bool
}

// step is one step row (with its sstat row where the job runs), decoded once.
type step struct {
	name string
	kind stepKind
	// nodes is nil when the names are not known; nodeCount is 0 when unknown.
	nodes        []string
	nodeCount    int64
	tasks        int64
	cpus         int64
	start        float64 // Unix seconds; -Inf when not known
	end          float64 // +Inf while the step runs or when not known
	timed        bool
	elapsed      float64
	elapsedKnown bool
	cpu          reading
	mem          reading
	// mostOfTask is the most memory that was seen of one task, 0 when not known.
	mostOfTask float64
	gpuUtil    reading // percent, summed over the step's GPUs
	gpuMem     reading
	gpus       int64
	energy     reading
	// live and liveMem are the CPU time and the memory that sstat saw while the step ran.
	liveMem reading
	live    reading
	running bool
	// killed: ended by a signal, so that Slurm lost the CPU time of its children.
	killed      bool
	outOfMemory bool
}

// newStep reads a step; running says that its job runs.
func newStep(r, sstat *slurmfmt.Record, running bool, known hosts) step {
	state := r.State()
	exit := r.ExitCode("ExitCode")
	name := rowID(r).step
	s := step{
		name: name, kind: kindOf(name),
		running:     state.API == slurmfmt.StateRunning || running && state.Raw == "",
		outOfMemory: state.Word == "OUT_OF_MEMORY" || exit.OOM(),
	}
	s.killed = killed(r, state, exit)
	s.elapsed, s.elapsedKnown = r.Elapsed().Seconds()
	s.tasks, _ = positive(r.Count("NTasks"))
	s.cpus = stepCPUs(r)
	s.nodes, s.nodeCount = stepNodes(r, s.kind, known)
	s.gpus, _ = positive(r.TRES("AllocTRES").GPUs())
	s.setTimes(r)
	if r != sstat { // a step that only sstat knows has no row of its own
		s.readUsage(r, "")
	}
	if sstat != nil {
		s.live = s.cpuOf(sstat, sstat.TRES("TRESUsageInTot"), SourceSstat)
		s.liveMem = s.memoryOf(sstat, sstat.TRES("TRESUsageInTot"))
		s.readUsage(sstat, SourceSstat)
	}
	return s
}

func kindOf(name string) stepKind {
	switch name {
	case "batch":
		return stepBatch
	case "extern":
		return stepExtern
	case "interactive":
		return stepInteractive
	default:
		return stepNumbered
	}
}

// killed tells whether the step ended by a signal. An ended step with an empty exit
// code is one whose node failed.
func killed(r *slurmfmt.Record, state slurmfmt.State, exit slurmfmt.ExitCode) bool {
	switch state.Word {
	case "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED", "DEADLINE", "BOOT_FAIL":
		return true
	case "FAILED":
		return exit.Kind == slurmfmt.Known && exit.Signal != 0
	default:
		return state.Terminal() && r.Has("ExitCode") && exit.Kind == slurmfmt.Known && exit.Signal != 0
	}
}

func stepCPUs(r *slurmfmt.Record) int64 {
	for _, c := range []slurmfmt.Count{r.TRES("AllocTRES").CPUs(), r.Count("AllocCPUS"), r.Count("NCPUS")} {
		if n, ok := positive(c); ok {
			return n
		}
	}
	return 0
}

func (s *step) setTimes(r *slurmfmt.Record) {
	s.start, s.end = math.Inf(-1), math.Inf(1)
	start, ok := unix(r.Time("Start"))
	if !ok {
		return
	}
	s.start = float64(start)
	end, ok := unix(r.Time("End"))
	if ok {
		s.end = float64(max(start, end))
	}
	s.timed = ok || s.running
}

// readUsage fills what is not known yet. Only sstat rows name their source. Of a step
// that runs, or lost its children's time when it was killed, the larger CPU time and the
// larger memory count.
func (s *step) readUsage(r *slurmfmt.Record, from Source) {
	if n, ok := positive(r.Count("NTasks")); ok && s.tasks == 0 {
		s.tasks = n
	}
	tot := r.TRES("TRESUsageInTot")
	if c := s.cpuOf(r, tot, from); !s.cpu.ok || from != "" && (s.running || s.killed) && c.value > s.cpu.value {
		s.cpu = c
	}
	if m := s.memoryOf(r, tot); !s.mem.ok || from != "" && (s.running || s.killed) && m.value > s.mem.value {
		s.mem = m.from(from)
	}
	if !s.gpuUtil.ok {
		s.gpuUtil = s.gpuUtilOf(r, tot).from(from)
	}
	if !s.gpuMem.ok {
		s.gpuMem = s.gpuMemOf(r, tot).from(from)
	}
	if n, ok := r.Count("ConsumedEnergyRaw").Value(); ok && !s.energy.ok {
		s.energy = reading{value: float64(n), ok: true, source: SourceConsumedEnergy}.from(from)
	}
}

func (m reading) from(s Source) reading {
	if m.ok && s != "" {
		m.source = s
	}
	return m
}

// cpuOf is max(TotalCPU, TRESUsageInTot[cpu]). A TotalCPU of zero alone is no
// measurement where the step runs or was killed: Slurm prints it there for "nothing
// gathered".
func (s *step) cpuOf(r *slurmfmt.Record, tot slurmfmt.TRES, from Source) reading {
	total, okTotal := r.Duration("TotalCPU").Seconds()
	tres, okTRES := tot.UsageCPU().Seconds()
	if total == 0 && !okTRES && (s.running || s.killed) {
		okTotal = false
	}
	switch {
	case okTRES && (!okTotal || tres > total):
		return reading{value: tres, ok: true, source: SourceTRES}.from(from)
	case okTotal:
		return reading{value: total, ok: true, source: SourceTotalCPU}.from(from)
	}
	// sstat has no TotalCPU; AveCPU is per task.
	if ave, ok := r.Duration("AveCPU").Seconds(); ok && from != "" && s.tasks > 0 {
		return reading{value: ave * float64(s.tasks), ok: true, source: from}
	}
	return reading{}
}

// memoryOf is TRESUsageInTot[mem], else MaxRSS × NTasks. A total below its largest task
// is none; a hundredth is how Slurm rounds.
func (s *step) memoryOf(r *slurmfmt.Record, tot slurmfmt.TRES) reading {
	most, ok := mostOfTask(r)
	s.mostOfTask = max(s.mostOfTask, most)
	if n, known := tot.UsageMemory().Value(); known && float64(n) >= 0.99*most {
		return reading{value: max(float64(n), most), ok: true, source: SourceTRES}
	}
	if !ok {
		return reading{}
	}
	m := reading{value: most, ok: true, source: SourceMaxRSS}
	switch {
	case s.tasks > 1:
		m.value *= float64(s.tasks)
		m.perTask = true
	case s.tasks == 0 && s.kind == stepNumbered:
		m.perTask, m.lower = true, true
	}
	return m
}

// mostOfTask is the peak of the largest task: MaxRSS and TRESUsageInMax[mem].
func mostOfTask(r *slurmfmt.Record) (bytes float64, ok bool) {
	for _, n := range []slurmfmt.Size{r.Size("MaxRSS"), r.TRES("TRESUsageInMax").UsageMemory()} {
		if v, known := n.Value(); known {
			bytes, ok = max(bytes, float64(v)), true
		}
	}
	return bytes, ok
}

// gpuUtilOf is Σ over tasks of the utilisation of their GPUs: InTot, else the
// average per task times the tasks.
func (s *step) gpuUtilOf(r *slurmfmt.Record, tot slurmfmt.TRES) reading {
	const name = "gres/gpuutil"
	if text, ok := tot.Get(name); ok {
		if v, ok := usagePercent(text); ok {
			return reading{value: v, ok: true, source: SourceTRES}
		}
	}
	text, ok := r.TRES("TRESUsageInAve").Get(name)
	if !ok {
		return reading{}
	}
	v, ok := usagePercent(text)
	return reading{value: v * float64(max(1, s.tasks)), ok: ok, source: SourceTRES}
}

func (s *step) gpuMemOf(r *slurmfmt.Record, tot slurmfmt.TRES) reading {
	if n, ok := tot.UsageGPUMemory().Value(); ok {
		return reading{value: float64(n), ok: true, source: SourceTRES}
	}
	n, ok := r.TRES("TRESUsageInMax").UsageGPUMemory().Value()
	return reading{value: float64(n) * float64(max(1, s.tasks)), ok: ok, source: SourceTRES, perTask: s.tasks > 1}
}

// sortSteps gives an order that does not depend on the order of the rows, so that
// sums come out the same to the last bit.
func sortSteps(steps []step) {
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.name, b.name))
	})
}
