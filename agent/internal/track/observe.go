package track

import (
	"strconv"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

// observation is one row of squeue or sacct that belongs to a submission of ours.
type observation struct {
	submission uuid.UUID
	// extra marks a job whose tag names a submission that already has another base id.
	extra  bool
	id     slurmfmt.JobID
	raw    string
	uid    uint32
	user   string
	state  slurmfmt.State
	submit time.Time
	start  time.Time
	end    time.Time
	detail journal.JobDetail
}

// read makes an observation of a row (of the columns that pile keeps); ok is false for steps and for rows in which something essential is unreadable.
func read(rec *slurmfmt.Record) (o observation, ok bool) {
	id, err := rec.ID()
	if err != nil || id.IsStep() {
		return o, false
	}
	uid, err := strconv.ParseUint(rec.Get("UID"), 10, 32)
	if err != nil {
		return o, false
	}
	submit, known := rec.Time("Submit").Value()
	state := rec.State()
	if !known || !state.Known() {
		return o, false
	}
	o = observation{id: id, raw: rec.Get("JobIDRaw"), uid: uint32(uid), user: rec.Get("User"), state: state, submit: submit}
	if o.raw == "" {
		o.raw = strconv.FormatUint(id.Base(), 10)
	}
	o.detail = journal.JobDetail{
		Name: rec.Get("JobName"), Account: rec.Get("Account"), Partition: rec.Get("Partition"), QOS: rec.Get("QOS"),
		SlurmState: state.Raw, APIState: string(state.API), Reason: reason(rec.Get("Reason")), WorkDir: rec.Get("WorkDir"),
		Nodes: count(rec, "NNodes"), CPUs: count(rec, "AllocCPUS"), NodeList: nodeList(rec.Get("NodeList")),
	}
	if task, isTask := id.Task(); isTask {
		o.detail.ArrayTask = strconv.FormatUint(uint64(task), 10)
	}
	return o, true
}

// fromQueueRow adds what squeue says. Start is only an estimate while the job is pending.
func fromQueueRow(rec *slurmfmt.Record) (observation, bool) {
	o, ok := read(rec)
	if ok && o.state.API != slurmfmt.StatePending {
		o.start, _ = rec.Time("Start").Value()
		o.detail.StartAt = o.start
	}
	return o, ok
}

// fromAccountingRow adds what sacct says.
func fromAccountingRow(rec *slurmfmt.Record) (observation, bool) {
	o, ok := read(rec)
	if !ok {
		return o, false
	}
	if !rec.NeverStarted() {
		o.start, _ = rec.Time("Start").Value()
	}
	o.end, _ = rec.Time("End").Value()
	o.detail.StartAt, o.detail.EndAt = o.start, o.end
	if code := rec.ExitCode("ExitCode"); code.Kind == slurmfmt.Known && o.state.Terminal() {
		exit, signal := int32(code.Code), int32(code.Signal)
		o.detail.ExitCode, o.detail.ExitSignal = &exit, &signal
	}
	return o, true
}

func reason(text string) string {
	if text == "None" {
		return ""
	}
	return text
}

func nodeList(text string) string {
	if text == "None assigned" {
		return ""
	}
	return text
}

// count gives nil for what is not known: missing is never 0.
func count(rec *slurmfmt.Record, column string) *int32 {
	n, ok := rec.Count(column).Value()
	if !ok || n < 0 || n > 1<<31-1 {
		return nil
	}
	v := int32(n)
	return &v
}

// base is what array tasks, het components and requeues of one sbatch share.
func (o observation) base() string { return strconv.FormatUint(o.id.Base(), 10) }

// set says that the row stands for tasks that have not started and have no job of their own yet.
func (o observation) set() bool { _, isSet := o.id.TaskSet(); return isSet }

// suffix is what follows the base id.
func (o observation) suffix() string { return strings.TrimPrefix(o.id.Job().String(), o.base()) }

func (o observation) jobID(cluster string) uuid.UUID {
	if o.submission == uuid.Nil || o.extra {
		return jobkey.Untagged(cluster, o.raw, o.submit.Unix())
	}
	return jobkey.Tagged(o.submission, o.suffix())
}

// alive says that Slurm still owns the job.
func (o observation) alive() bool {
	return o.state.API == slurmfmt.StatePending || o.state.API == slurmfmt.StateRunning
}

// jobState maps Slurm's word to the state of the attempt.
func (o observation) jobState() journal.JobState {
	switch {
	case o.state.Word == "SUSPENDED" || o.state.Word == "STOPPED":
		return journal.JobSuspended
	case o.state.API == slurmfmt.StateRunning:
		return journal.JobRunning
	case o.state.Terminal():
		return journal.JobSettling
	}
	return journal.JobPending
}
