package jobs

import (
	"math"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Facts is what the accounting row of one incarnation says. Times are unix seconds; nil is not known.
type Facts struct {
	SlurmJobID, ArrayJobID                        string
	Name, User, Account, Partition, QOS, NodeList string
	Reason                                        string
	UID                                           *int64
	// Unsaid says that the row has a number for UID that is nobody's yet (uidOf).
	Unsaid bool
	State  slurmfmt.State
	stage  stage

	Submit   int64
	Eligible *int64
	// Start and End are nil for an incarnation that never got a node.
	Start, End *int64
	// EndSeen is when accounting says that it was over, started or not.
	EndSeen                                    *int64
	ElapsedS, SuspendedS, LimitS, WallS, WaitS *int64
	Nodes, CPUs, GPUs, MemoryBytes             *int64
	ExitCode, ExitSignal                       *int64
	// Measured says that the row has something to analyse: a usage of its own (CPU time, energy), or a run that was lost, of
	// which the whole counts whatever it used.
	Measured bool
}

// factsOf reads a job's row. The error is for a human and says which column is at fault.
func factsOf(r *slurmfmt.Record, id ident) (Facts, error) {
	f := Facts{
		SlurmJobID: id.job, ArrayJobID: id.parent, Name: clean(r.Get("JobName"), 1024), User: clean(r.Get("User"), 64),
		Account: clean(r.Get("Account"), 256), Partition: clean(r.Get("Partition"), 256), QOS: clean(r.Get("QOS"), 256),
		NodeList: clean(r.Get("NodeList"), 4096), Reason: reason(r), State: r.State(), stage: stageOf(r),
		SuspendedS: seconds(r.Duration("Suspended")), ElapsedS: seconds(r.Elapsed()), LimitS: seconds(r.TimeLimit()),
	}
	f.UID, f.Unsaid = uidOf(r)
	if f.State.Raw == "" && r.ExitCode("ExitCode").Kind != slurmfmt.Known {
		return f, fault("the row has neither State nor ExitCode, so nothing says what became of the job")
	}
	if err := f.times(r); err != nil {
		return f, err
	}
	f.sizes(r)
	if e := r.ExitCode("ExitCode"); e.Kind == slurmfmt.Known {
		f.ExitCode, f.ExitSignal = ptr(int64(e.Code)), ptr(int64(e.Signal))
	}
	f.Measured = measured(r) || f.lost()
	return f, nil
}

// uidOf is the owner's number. slurmdbd makes a row as soon as it hears anything of a job, of a short one the end, and fills uid
// and name in later (seen with 22.05: uid 0 and the name "allocation", beside the right login name). That 0 is no number.
func uidOf(r *slurmfmt.Record) (uid *int64, unsaid bool) {
	uid = count(r, "UID")
	if user := r.Get("User"); uid != nil && *uid == 0 && user != "" && user != "root" {
		return nil, true
	}
	return uid, false
}

// fault is a row's error for the human who sent it.
type fault string

func (f fault) Error() string { return string(f) }

func (f *Facts) times(r *slurmfmt.Record) error {
	submit, submitKnown := moment(r, "Submit"), true
	start, end := moment(r, "Start"), moment(r, "End")
	f.Eligible, f.EndSeen = moment(r, "Eligible"), end
	start, end = f.complete(start, end)
	if submit == nil {
		submitKnown, submit = false, firstOf(f.Eligible, start, end)
	}
	if submit == nil {
		return fault("no Submit, Eligible, Start or End holds a time, so the job cannot be told from others of its number")
	}
	f.Submit = *submit
	if neverStarted(r, start) {
		return nil
	}
	f.Start, f.End, f.EndSeen = start, end, end
	if end != nil && *end < *start {
		return fault("End lies before Start")
	}
	if end != nil {
		f.WallS = ptr(*end - *start)
	}
	if submitKnown && *start >= f.Submit {
		f.WaitS = ptr(*start - f.Submit)
	}
	return nil
}

// complete derives a missing Start or End from Elapsed. An End before Start with a known Elapsed is the repeated hour at
// the end of daylight saving time, written without an offset.
func (f *Facts) complete(start, end *int64) (s, e *int64) {
	if f.ElapsedS == nil || f.stage != stageEnded {
		return start, end
	}
	span := *f.ElapsedS
	if f.SuspendedS != nil {
		span += *f.SuspendedS
	}
	switch {
	case start == nil && end != nil && span > 0 && span < *end: // before 1970 nothing ran
		start = ptr(*end - span)
	case start != nil && (end == nil || *end < *start):
		end = ptr(*start + span)
	}
	return start, end
}

// neverStarted decides as design 05 does; a row without NodeList says it by an allocation of no CPU at all.
func neverStarted(r *slurmfmt.Record, start *int64) bool {
	if start == nil || r.Get("NodeList") == "None assigned" || r.State().Word == "PENDING" {
		return true
	}
	cpus, known := r.Count("AllocCPUS").Value()
	return r.Get("NodeList") == "" && known && cpus == 0
}

func (f *Facts) sizes(r *slurmfmt.Record) {
	alloc := r.TRES("AllocTRES")
	f.CPUs = firstOf(positive(count(r, "AllocCPUS")), known(alloc.CPUs()))
	f.Nodes = firstOf(positive(count(r, "AllocNodes")), positive(count(r, "NNodes")), known(alloc.Nodes()))
	f.GPUs = gpus(r, alloc, f.Nodes)
	if b, ok := alloc.AllocMemory().Value(); ok {
		f.MemoryBytes = ptr(b)
	} else if m, ok := requested(r.ReqMem(), f.CPUs, f.Nodes); ok {
		f.MemoryBytes = ptr(m)
	}
	f.CPUs, f.Nodes, f.GPUs = small(f.CPUs), small(f.Nodes), small(f.GPUs)
}

func requested(m slurmfmt.ReqMem, cpus, nodes *int64) (int64, bool) {
	total, _ := m.Total(orZero(cpus), orZero(nodes))
	return total.Value()
}

// lost says that a run came to nothing: node failure, time limit, requeue, exit code.
func (f *Facts) lost() bool {
	if f.Start == nil || f.CPUs == nil || orZero(f.WallS) == 0 {
		return false
	}
	return f.State.API == slurmfmt.StateFailed || f.State.Word == "REQUEUED"
}

func measured(r *slurmfmt.Record) bool {
	if s, ok := r.Duration("TotalCPU").Seconds(); ok && s > 0 {
		return true
	}
	if n, ok := r.Count("ConsumedEnergyRaw").Value(); ok && n > 0 {
		return true
	}
	return r.Get("TRESUsageInTot") != "" || r.Get("MaxRSS") != "" || strings.HasPrefix(r.Get("AdminComment"), "JS1:")
}

func reason(r *slurmfmt.Record) string {
	if s := clean(r.Get("Reason"), 1024); s != "None" {
		return s
	}
	return ""
}

// latestMoment is the end of the year 9999, the last that RFC 3339 can write.
const latestMoment = 253402300799

func moment(r *slurmfmt.Record, column string) *int64 {
	t, ok := r.Time(column).Value()
	if !ok || t.Unix() <= 0 || t.Unix() > latestMoment {
		return nil
	}
	return ptr(t.Unix())
}

func count(r *slurmfmt.Record, column string) *int64 { return known(r.Count(column)) }

func known(c slurmfmt.Count) *int64 {
	if n, ok := c.Value(); ok {
		return &n
	}
	return nil
}

func seconds(d slurmfmt.Duration) *int64 {
	if d.Kind != slurmfmt.Known {
		return nil
	}
	return ptr(d.Sec)
}

// small keeps a number that the columns of both databases can hold.
func small(n *int64) *int64 {
	if n == nil || *n < 0 || *n > math.MaxInt32 {
		return nil
	}
	return n
}

func positive(n *int64) *int64 {
	if n != nil && *n <= 0 {
		return nil
	}
	return n
}

func firstOf(values ...*int64) *int64 {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

func orZero(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

func ptr[T any](v T) *T { return &v }

// clean keeps text that a database and a terminal can take: valid UTF-8 without NUL, at most limit bytes.
func clean(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
