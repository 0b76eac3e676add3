package jobs

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Entry is one job while reports are applied to it: what is stored, and what is new.
type Entry struct {
	Job       Job
	Stored    bool // the store has a row under Job.ID
	Runs      []*Run
	Snapshots map[int]Snapshot // by the agent's number of the attempt
	Events    []Event          // new ones
	Attempts  []Attempt        // folded
	// Drop names jobs that turned out to be this one; their rows move here.
	Drop []uuid.UUID
	// Reset says that everything stored so far under Job.ID is to be forgotten: it came from someone who could not vouch for it.
	Reset bool
	// Gone says that nothing is left of the job.
	Gone          bool
	changed       bool
	newSnapshots  map[int]bool
	storedCount   int // attempts that the store holds
	measured      bool
	accountingNew bool
}

// Run is one incarnation as accounting knows it.
type Run struct {
	Number int
	// Origin is where the store holds its rows; nil when it holds none.
	Origin *Origin
	Facts  Facts
	// Stamps are the stored versions of its rows by step.
	Stamps map[string]Stamp
	// News are rows to be written.
	News map[string]Row
	// old is the stored content of rows that came again with other columns, by step.
	old map[string][]byte
}

// Origin is a place in the store.
type Origin struct {
	JobID   uuid.UUID
	Attempt int
}

// Place is the place of one row.
type Place struct {
	Origin
	Step string
}

// before orders incarnations: by submit time, then start; what has not started is last.
func (f Facts) before(o Facts) int {
	if c := cmp.Compare(f.Submit, o.Submit); c != 0 {
		return c
	}
	switch {
	case f.Start == nil && o.Start == nil:
		return 0
	case f.Start == nil:
		return 1
	case o.Start == nil:
		return -1
	}
	return cmp.Compare(*f.Start, *o.Start)
}

// sameRun says whether two rows of one JobIDRaw are versions of the same incarnation. An incarnation that waits has no
// start time yet; older Slurm keeps the submit time over a requeue, so the start time has to agree where both have one.
func (f Facts) sameRun(o Facts) bool {
	if f.Submit != o.Submit {
		return false
	}
	switch {
	case f.Start != nil && o.Start != nil:
		return *f.Start == *o.Start
	case f.Start == nil && o.Start == nil:
		return true
	case f.Start == nil:
		return f.stage != stageEnded
	}
	return o.stage != stageEnded
}

// requeueSlack is how far a requeue's Submit may lie from its predecessor's End, in seconds (design 02).
const requeueSlack = 2

// followedBy says whether next, of the same JobIDRaw, is the next incarnation of the same job and not another job that was
// given the number again.
func (f Facts) followedBy(next Facts) bool {
	if f.Submit == next.Submit {
		return true
	}
	if f.Name != next.Name || f.SlurmJobID != next.SlurmJobID || f.UID != nil && next.UID != nil && *f.UID != *next.UID || f.User != next.User {
		return false
	}
	if f.EndSeen == nil {
		return true
	}
	gap := next.Submit - *f.EndSeen
	return gap >= -requeueSlack && gap <= requeueSlack
}

func (e *Entry) run(f Facts) *Run {
	for _, r := range e.Runs {
		if r.Facts.sameRun(f) {
			return r
		}
	}
	return nil
}

// take adds rows of an incarnation and says how many of them were news.
func (e *Entry) take(f Facts, rows []Row) (news int) {
	r := e.run(f)
	if r == nil {
		r = &Run{Facts: f, Stamps: map[string]Stamp{}, News: map[string]Row{}}
		e.Runs = append(e.Runs, r)
		slices.SortStableFunc(e.Runs, func(a, b *Run) int { return a.Facts.before(b.Facts) })
	}
	for _, row := range rows {
		row, joined := r.join(row)
		if !r.take(row) {
			continue
		}
		news++
		if row.Step != "" {
			continue
		}
		if r.Facts = f; joined != nil {
			r.Facts = *joined
		}
	}
	if news > 0 {
		e.changed, e.accountingNew = true, true
	}
	return news
}

func (r *Run) take(row Row) bool {
	if s, ok := r.Stamps[row.Step]; ok && !row.replaces(s) {
		return false
	}
	r.Stamps[row.Step] = Stamp{row.Digest, row.Weight}
	r.News[row.Step] = row
	return true
}

// absorb moves all of another entry here: the two were one job.
func (e *Entry) absorb(o *Entry) {
	e.Runs = append(e.Runs, o.Runs...)
	slices.SortStableFunc(e.Runs, func(a, b *Run) int { return a.Facts.before(b.Facts) })
	for n, s := range o.Snapshots {
		e.snapshot(n, s)
	}
	e.Events = append(e.Events, o.Events...)
	e.Drop = append(e.Drop, o.Drop...)
	if o.Stored {
		e.Drop = append(e.Drop, o.Job.ID)
	}
	if e.Job.SubmissionID == nil {
		e.Job.SubmissionID = o.Job.SubmissionID
	}
	e.Job.CreatedAt = earlier(e.Job.CreatedAt, o.Job.CreatedAt)
	e.Job.EventSeq = max(e.Job.EventSeq, o.Job.EventSeq)
	e.changed, e.accountingNew = true, true
	o.Runs, o.Snapshots, o.Events, o.Drop, o.Gone, o.Stored, o.changed = nil, nil, nil, nil, true, false, false
}

// rename gives the job another id: the one by which the agent that submitted it knows it. The report goes with the old id,
// so the analysis has to run again.
func (e *Entry) rename(id uuid.UUID) {
	if e.Stored {
		e.Drop, e.accountingNew = append(e.Drop, e.Job.ID), true
	}
	e.Job.ID, e.Stored, e.changed = id, false, true
}

func (e *Entry) snapshot(n int, s Snapshot) {
	if old, ok := e.Snapshots[n]; ok {
		s = old.merge(s)
		if reflect.DeepEqual(s, old) {
			return
		}
	}
	if old := e.Snapshots[n]; s.Script != nil && old.Script == nil || s.InputBytes != old.InputBytes {
		e.accountingNew = true // the report tells of them
	}
	if e.Snapshots == nil {
		e.Snapshots = map[int]Snapshot{}
	}
	if e.newSnapshots == nil {
		e.newSnapshots = map[int]bool{}
	}
	e.Snapshots[n], e.newSnapshots[n], e.changed = s, true, true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// NewSnapshots are the snapshots to be written.
func (e *Entry) NewSnapshots() map[int]Snapshot {
	out := make(map[int]Snapshot, len(e.newSnapshots))
	for n := range e.newSnapshots {
		if s, ok := e.Snapshots[n]; ok {
			out[n] = s
		}
	}
	return out
}

// Shrunk says that the store holds attempts beyond those folded now.
func (e *Entry) Shrunk() bool { return e.storedCount > len(e.Attempts) }

// due says whether the analysis of a changed job has to run: accounting has told its end.
func (e *Entry) due(onlyMeasured bool) bool {
	return e.accountingNew && e.ended() && (e.measured || !onlyMeasured)
}

// NewRun is an incarnation that the store holds at the given place; the store adds the stamps of its rows.
func NewRun(job uuid.UUID, attempt int) *Run {
	return &Run{Number: attempt, Origin: &Origin{job, attempt}, Stamps: map[string]Stamp{}, News: map[string]Row{}}
}

// holds says whether all rows are stored as they are.
func (r *Run) holds(rows []Row) bool {
	for _, row := range rows {
		if r.Stamps[row.Step].Digest != row.Digest {
			return false
		}
	}
	return true
}

// read takes the facts from the stored row of the job.
func (r *Run) read(fields []byte) error {
	rec, err := Decode(fields)
	if err != nil {
		return err
	}
	id, err := identOf(rec)
	if err == nil {
		r.Facts, err = factsOf(rec, id)
	}
	if err != nil {
		return fmt.Errorf("a stored accounting row cannot be read any more: %w", err)
	}
	return nil
}
