package efficiency

import (
	"math"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// readJob takes over what the job row says.
func (a *attempt) readJob() {
	r := a.rec
	id := rowID(r)
	a.badID = id.bad
	a.state = r.State()
	arguments := workprint.OfLine(r.Get("SubmitLine"), r.Get("JobName"))
	a.job = Job{
		JobID: id.job, JobIDRaw: r.Get("JobIDRaw"), Cluster: r.Get("Cluster"), Name: r.Get("JobName"),
		User: r.Get("User"), Account: r.Get("Account"), Partition: r.Get("Partition"), QOS: r.Get("QOS"), Work: workOf(r, arguments), Arguments: arguments,
		State: apiState(a.state), SlurmState: slurmState(a.state), Reason: pendingReason(r),
		ExitCode: r.Get("ExitCode"), DerivedExitCode: r.Get("DerivedExitCode"), NodeList: r.Get("NodeList"),
	}
	a.setParent(id.parsed)
	a.setCounts()
	a.setMemory()
	a.setJobTimes()
}

func apiState(s slurmfmt.State) string {
	if s.API == slurmfmt.StateUnknown {
		return "UNKNOWN"
	}
	return string(s.API)
}

func slurmState(s slurmfmt.State) string {
	if s.Word != "" {
		return s.Word
	}
	return s.Raw
}

func pendingReason(r *slurmfmt.Record) string {
	if reason := r.Get("Reason"); reason != "None" {
		return reason
	}
	return ""
}

func (a *attempt) setParent(id slurmfmt.JobID) {
	if id.IsZero() {
		return
	}
	base := itoa(int64(id.Base()))
	if task, ok := id.Task(); ok {
		a.job.ParentID, a.job.ArrayTask = base, itoa(int64(task))
	}
	if set, ok := id.TaskSet(); ok {
		a.job.ParentID, a.job.ArrayTask = base, "["+set+"]"
	}
	if c, ok := id.Component(); ok {
		a.job.ParentID, a.job.HetComponent = base, ptr(int(c))
	}
}

func (a *attempt) setCounts() {
	r := a.rec
	alloc := r.TRES("AllocTRES")
	a.job.CPUs = firstCount(r.Count("AllocCPUS"), alloc.CPUs(), r.Count("NCPUS"))
	a.job.CPUsRequested = firstCount(r.Count("ReqCPUS"), r.TRES("ReqTRES").CPUs())
	a.job.Nodes = firstCount(r.Count("NNodes"), r.Count("AllocNodes"), alloc.Nodes())
	if a.job.Nodes == nil {
		if names := a.nodeNames(); names != nil {
			a.job.Nodes = ptr(int64(len(names)))
		}
	}
	a.setAlloc(alloc)
	if t, ok := a.anyNodeType(); ok && t.ThreadsPerCore > 0 {
		a.job.ThreadsPerCore = ptr(t.ThreadsPerCore)
	}
}

// setAlloc reads GPUs and memory of AllocTRES. A list without gres/gpu means no GPU.
func (a *attempt) setAlloc(alloc slurmfmt.TRES) {
	if alloc.Empty() {
		return
	}
	switch gpus := alloc.GPUs(); {
	case gpus.Kind == slurmfmt.Known && gpus.N <= mostCounted:
		a.job.GPUs = ptr(gpus.N)
	case gpus.Kind == slurmfmt.Missing:
		a.job.GPUs = ptr(int64(0))
	}
	if n, ok := alloc.AllocMemory().Value(); ok && n > 0 {
		a.job.MemoryBytes = ptr(float64(n))
	}
}

// mostCounted is more CPUs, nodes or GPUs than any machine has. A larger number is an unset value or damage: of one such row
// the ledger of a whole cluster would be nonsense.
const mostCounted = math.MaxInt32

func firstCount(counts ...slurmfmt.Count) *int64 {
	for _, c := range counts {
		if n, ok := positive(c); ok && n <= mostCounted {
			return ptr(n)
		}
	}
	return nil
}

// setMemory decodes ReqMem. An amount per CPU asked for as much as the CPUs that were asked for, and gave as much as the
// CPUs that were given.
func (a *attempt) setMemory() {
	cpus, _ := value(a.job.CPUs)
	asked := cpus
	if n, ok := value(a.job.CPUsRequested); ok {
		asked = n
	}
	a.job.MemoryRequestedBytes, a.reqMemHeld = a.reqMem(asked), a.reqMem(cpus)
}

// reqMem is ReqMem of the whole job for a number of CPUs, nil when it is not known.
func (a *attempt) reqMem(cpus int64) *float64 {
	nodes, _ := value(a.job.Nodes)
	total, _ := a.rec.ReqMem().Total(cpus, nodes)
	if n, ok := total.Value(); ok && n > 0 {
		return ptr(float64(n))
	}
	return nil
}

func (a *attempt) setJobTimes() {
	r := a.rec
	a.job.Submit = opt(unix(r.Time("Submit")))
	a.job.Start = opt(unix(r.Time("Start")))
	a.job.End = opt(unix(r.Time("End")))
	a.job.SuspendedSeconds = opt(r.Duration("Suspended").Seconds())
	a.job.ElapsedSeconds = opt(a.elapsedOf())
	a.job.LimitSeconds = opt(a.limitOf())
	if a.job.Submit != nil && a.job.Start != nil && *a.job.Start >= *a.job.Submit {
		a.job.WaitSeconds = ptr(float64(*a.job.Start - *a.job.Submit))
	}
}

// elapsedOf is ElapsedRaw or Elapsed, which exclude suspension; only without both it
// is End − Start − Suspended.
func (a *attempt) elapsedOf() (float64, bool) {
	if v, ok := a.rec.Elapsed().Seconds(); ok {
		return v, true
	}
	if a.job.Start == nil || a.job.End == nil {
		return 0, false
	}
	suspended, _ := value(a.job.SuspendedSeconds)
	v := float64(*a.job.End) - float64(*a.job.Start) - suspended
	return v, v >= 0
}

// limitOf resolves Partition_Limit by the cluster's configuration.
func (a *attempt) limitOf() (float64, bool) {
	limit := a.rec.TimeLimit()
	if limit.Kind == slurmfmt.PartitionLimit {
		p, ok := a.in.Cluster.partition(a.job.Partition)
		return p.LimitSeconds, ok && p.LimitSeconds > 0
	}
	return limit.Seconds()
}

// anyNodeType is the type of the job's first node whose type is known.
func (a *attempt) anyNodeType() (NodeType, bool) {
	for _, name := range a.nodeNames() {
		if t, ok := a.in.Cluster.TypeOf(name); ok {
			return t, true
		}
	}
	return a.in.Cluster.TypeOf("")
}

// exclusiveAsked says that the user asked for whole nodes on the command line. --exclusive=user (or mcs) keeps others out
// and gives the CPUs that were asked for.
func (a *attempt) exclusiveAsked() bool {
	if a.rec == nil {
		return false
	}
	for word := range strings.FieldsSeq(a.rec.Get("SubmitLine")) {
		if word == "--exclusive" {
			return true
		}
	}
	return false
}
