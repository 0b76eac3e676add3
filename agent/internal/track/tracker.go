package track

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Slurm is what the tracker asks. user "" asks as the agent, for everybody; otherwise the answer is what that user sees of
// his own jobs.
type Slurm interface {
	// EachQueued shows row what squeue prints, as slurm.Runner does.
	EachQueued(ctx context.Context, user string, row func(*slurmfmt.Record)) (slurm.Table, error)
	ByID(ctx context.Context, user string, ids []string) (slurm.Table, error)
	Window(ctx context.Context, from, to time.Time, user string) (slurm.Table, error)
	JobPaths(ctx context.Context, id slurmfmt.JobID) (slurm.Paths, error)
}

// Sink takes accounting rows as sacct printed them. nil error means that the control plane has them.
type Sink interface {
	Accounting(ctx context.Context, columns []string, rows [][]string) error
}

// Options of a Tracker.
type Options struct {
	// Cluster names the cluster in the ids of jobs without a tag; it may become known later.
	Cluster func() string
	// Views gives whom Slurm is asked as in the cycle that begins; nil asks as the agent, who sees everybody.
	Views   func(ctx context.Context) []View
	Slurm   Slurm
	Journal *journal.Journal
	Sink    Sink
	// Tell says whether events of this uid go to the control plane now (it is linked, or nobody knows yet).
	Tell func(uid uint32) bool
	// Upload says whether outputs of this uid are collected.
	Upload func(uid uint32) bool
	Log    *slog.Logger
	Now    func() time.Time
	Timing Timing
}

// Timing holds the waits; zero values are the defaults.
type Timing struct {
	// ResultGrace is how long a wrapper may take from intent to result before the submission counts as unknown.
	ResultGrace time.Duration
	// AbsenceProof is how long after that a submission must be missing from squeue and sacct: 2×MessageTimeout+30 s.
	AbsenceProof time.Duration
	// LostAfter is how long no trace of an attempt may be seen, while Slurm answers, before it counts as lost.
	LostAfter time.Duration
	// Overlap is how far each accounting window reaches back behind the last one, because usage arrives late.
	Overlap time.Duration
	// Lookback is where the first window begins.
	Lookback time.Duration
	// WindowEvery is how often the accounting window is asked for once it has caught up.
	WindowEvery time.Duration
	// OfferEvery is how often a job that another agent reports is offered to the control plane.
	OfferEvery time.Duration
	// Settle is how long after ENDED the outputs are left alone, so that a file system may catch up.
	Settle time.Duration
	// KeptFor is how long the journal remembers what is closed.
	KeptFor time.Duration
}

func (t Timing) orDefault() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.ResultGrace, 10*time.Minute)
	set(&t.AbsenceProof, 50*time.Second)
	set(&t.LostAfter, 7*24*time.Hour)
	set(&t.Overlap, 10*time.Minute)
	set(&t.Lookback, 24*time.Hour)
	set(&t.WindowEvery, time.Minute)
	set(&t.OfferEvery, 5*time.Minute)
	set(&t.Settle, 5*time.Second)
	set(&t.KeptFor, 30*24*time.Hour)
	return t
}

// Tracker polls. Cycle and Capture may be called from different goroutines.
type Tracker struct {
	opt Options
	mu  sync.Mutex // one cycle at a time; guards what follows

	absent map[journal.JobKey]int
	sent   map[uint64]struct{} // hashes of accounting that the control plane has
	offers time.Time           // when foreign jobs were looked at last
	window time.Time           // when the last window was asked for
	views  []View              // that have answered in this cycle
	unsent error               // why accounting could not be sent in this cycle; nothing more is tried in it
	seed   maphash.Seed        // drawn anew by each process, so that nobody can choose rows that collide

	told   sync.Mutex // guards status: a cycle may wait for Slurm or the server for minutes, and Status must tell just then
	status Status
}

// New makes a tracker.
func New(opt Options) *Tracker {
	opt.Timing = opt.Timing.orDefault()
	return &Tracker{opt: opt, absent: map[journal.JobKey]int{}, sent: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

// absentCycles is how many cycles in a row squeue must not show an attempt alive before it has ended.
const absentCycles = 2

// Cycle asks Slurm once and writes down what changed. An error means that something stayed unknown; the next cycle
// tries again, and nothing was concluded from what did not answer.
func (t *Tracker) Cycle(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.cycle(ctx)
	t.tell(func(s *Status) {
		s.Problem = ""
		if err != nil {
			s.Problem = err.Error()
		}
	})
	return err
}

func (t *Tracker) tell(change func(*Status)) {
	t.told.Lock()
	defer t.told.Unlock()
	change(&t.status)
}

func (t *Tracker) cycle(ctx context.Context) error {
	t.unsent = nil
	rows := &pile{}
	table, err := t.queue(ctx, rows)
	if err != nil {
		return errors.Join(err, t.markStale(ctx, nil))
	}
	if table.Bad > 0 {
		t.opt.Log.Warn("squeue rows could not be read; what they say is unknown", "rows", table.Bad, "examples", table.BadText)
	}
	alive, err := t.fromQueue(ctx, rows)
	if err != nil {
		return err
	}
	unseen := t.staleUnseen(ctx, alive)
	return errors.Join(unseen, t.fromAccounting(ctx, alive, table.Bad > 0), t.ingest(ctx), t.resolve(ctx), t.tellDue(ctx), t.offerForeign(ctx), t.capturePaths(ctx))
}

// Status is what the tracker knows of itself.
type Status struct {
	// Answered is when squeue last answered; zero: never.
	Answered time.Time
	// Problem is the error of the last cycle, "" for none.
	Problem string
}

// Status tells how polling goes. It waits for no cycle.
func (t *Tracker) Status() Status {
	t.told.Lock()
	defer t.told.Unlock()
	return t.status
}

// markStale notes since when nothing is known of the jobs that nobody showed; states stay what they are.
func (t *Tracker) markStale(ctx context.Context, alive map[journal.JobKey]bool) error {
	var stale []journal.JobKey
	for job, err := range t.opt.Journal.ActiveJobs(ctx) {
		if err != nil {
			return err
		}
		if job.Detail.StaleSince.IsZero() && !alive[job.JobKey] && !t.sees(job.UID) {
			stale = append(stale, job.JobKey)
		}
	}
	for _, key := range stale {
		now := t.opt.Now()
		if _, err := t.opt.Journal.PutJob(ctx, journal.Change{Key: key, MustExist: true, Apply: func(j *journal.Job) {
			j.Detail.StaleSince = now
		}}); err != nil {
			return err
		}
	}
	return nil
}

// tellDue sends the present state of attempts that the control plane has not been told.
func (t *Tracker) tellDue(ctx context.Context) error {
	due, err := t.opt.Journal.EventsDue(ctx, t.opt.Tell, 1000)
	if err != nil {
		return err
	}
	for _, job := range due {
		draft, err := t.dueEvent(ctx, job)
		if err != nil {
			return err
		}
		if _, err := t.opt.Journal.PutJob(ctx, journal.Change{Key: job.JobKey, MustExist: true, Event: &draft}); err != nil {
			return err
		}
	}
	return nil
}

// dueEvent is what the control plane has missed of an attempt: its state, and the manifest when one was told into a full
// outbox. It is made again of the files' rows and of what was kept of the entries that have none.
func (t *Tracker) dueEvent(ctx context.Context, job journal.Job) (journal.EventDraft, error) {
	if job.State != journal.JobVerified && job.State != journal.JobUploadBlocked {
		return journal.EventDraft{Type: "state"}, nil
	}
	rows, err := t.opt.Journal.Files(ctx, job.JobID, job.Attempt)
	draft := journal.EventDraft{Type: "manifest", Message: job.Detail.Message}
	for _, row := range rows {
		draft.Manifest = append(draft.Manifest, manifestEntry(row))
	}
	draft.Manifest = append(draft.Manifest, job.Detail.Unsent...)
	return draft, err
}

func manifestEntry(row outputs.FileRow) outputs.Entry {
	e := row.Entry
	e.Class, e.Path, e.Status, e.Reason = row.Key.Class, row.Key.Path, outputs.StatusFound, row.Reason
	switch row.State {
	case outputs.FileVerified:
		e.Status, e.Reason = outputs.StatusStored, ""
	case outputs.FileBlocked:
		e.Status = outputs.StatusBlocked
	case outputs.FileUnstable:
		e.Status = outputs.StatusUnstable
	case outputs.FileHashed, outputs.FileReserved, outputs.FilePut, outputs.FileParts, outputs.FileCompleted:
	}
	return e
}

// submissionWindow is how far back submissions are matched by Slurm's id alone.
const submissionWindow = 30 * 24 * time.Hour
