package jobs

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// Want names what a batch of reports is about.
type Want struct {
	ClusterID string
	Raws      []string
	IDs       []uuid.UUID
	Events    []uuid.UUID
}

// Linked is the account of a uid, and the name that the uid had when it was linked.
type Linked struct {
	UserID   uuid.UUID
	UnixName string
}

// Book is the part of the store that a batch of reports is about: the jobs of Want, their rows, and who is linked.
type Book struct {
	Entries []*Entry
	// Links maps uids of the cluster to accounts, Names the names of unix users; suspended links are left out. Links are made
	// by system agents only, so both are proven.
	Links map[int64]Linked
	Names map[string]uuid.UUID
	// Seen holds the events that were stored before.
	Seen map[uuid.UUID]bool
	// Summed says up to which end (unix seconds, inclusive) the runs of a month are kept as sums only, by the month's first second.
	Summed map[int64]int64
	// Objected holds the uids that want not to be named.
	Objected map[int64]bool
	// Holders holds who reports the jobs of Want; Claims is what has changed of it.
	Holders map[uuid.UUID]Holder
	Claims  []Claim
	// Samples are to be stored where none is newer.
	Samples []Sample
	// Fields reads the stored content of the jobs' own rows, by job and attempt. Most reports repeat what is stored, and the
	// stamps tell so; only the rest is read.
	Fields func(ids []uuid.UUID) (map[Origin][]byte, error)
	// Content reads all stored rows of jobs. Only rows that come again with other columns need it.
	Content func(ids []uuid.UUID) (map[Place][]byte, error)

	intake  Intake
	who     Reporter
	cluster string // name
	now     time.Time
	byID    map[uuid.UUID]*Entry
	byRaw   map[string][]*Entry
}

// Loaded adds a stored job with its runs, of which the stamps are known.
func (b *Book) Loaded(j Job, runs []*Run, snapshots map[int]Snapshot, attempts int) {
	b.Entries = append(b.Entries, &Entry{Job: j, Stored: true, Runs: runs, Snapshots: snapshots, storedCount: attempts})
}

func (b *Book) open(who Reporter, cluster string, now time.Time) {
	b.who, b.cluster, b.now = who, cluster, now
	b.byID, b.byRaw = make(map[uuid.UUID]*Entry, len(b.Entries)), make(map[string][]*Entry, len(b.Entries))
	for _, e := range b.Entries {
		b.add(e)
	}
}

func (b *Book) add(e *Entry) {
	b.byID[e.Job.ID] = e
	if e.Job.JobIDRaw != "" {
		b.byRaw[e.Job.JobIDRaw] = append(b.byRaw[e.Job.JobIDRaw], e)
	}
}

func (b *Book) create(id uuid.UUID, clusterID, raw string) *Entry {
	e := &Entry{Job: Job{ID: id, ClusterID: clusterID, JobIDRaw: raw, CreatedAt: b.now, EventSeq: -1}}
	if b.who.Owner != nil {
		e.Job.UserID, e.Job.SelfAsserted = b.who.Owner, true
	}
	b.Entries = append(b.Entries, e)
	b.add(e)
	return e
}

func (b *Book) merge(into, from *Entry) {
	old := from.Job.ID
	into.absorb(from)
	delete(b.byID, old)
	b.byRaw[into.Job.JobIDRaw] = slices.DeleteFunc(b.byRaw[into.Job.JobIDRaw], func(e *Entry) bool { return e == from })
}

func (b *Book) rename(e *Entry, id uuid.UUID) {
	delete(b.byID, e.Job.ID)
	e.rename(id)
	b.byID[id] = e
}

// bundle is one incarnation out of a batch: its job row and the steps that came with it.
type bundle struct {
	ident  ident
	tag    *uuid.UUID
	facts  Facts
	rows   []Row
	lines  []int // positions of the rows in the batch
	hidden bool  // its owner objected: nothing in it names them
	orphan bool  // steps only: the job's row came earlier, or never
	start  *int64
}

// place finds the job that an incarnation belongs to, or makes it (design 02, Identity).
func (b *Book) place(u *bundle, clusterID string) *Entry {
	if u.tag != nil {
		if e := b.placeTagged(u, clusterID); e != nil {
			return e
		}
	}
	if e := b.holder(u); e != nil {
		return e
	}
	if e := b.neighbour(u); e != nil {
		return e
	}
	return b.create(jobkey.Untagged(b.cluster, u.ident.raw, u.facts.Submit), clusterID, u.ident.raw)
}

// placeTagged gives nil when the tag is not this job's own: a submit line that was run again carries it too.
func (b *Book) placeTagged(u *bundle, clusterID string) *Entry {
	id := u.taggedID()
	e := b.byID[id]
	if e != nil && e.Job.ClusterID != clusterID { // a sibling of a federation
		return nil
	}
	if e == nil {
		e = b.untaggedHolder(u)
		if e != nil {
			b.rename(e, id)
		} else {
			e = b.create(id, clusterID, u.ident.raw)
		}
	} else if e.Job.JobIDRaw != "" && e.Job.JobIDRaw != u.ident.raw && len(e.Runs) > 0 {
		return nil
	}
	b.evict(e, u)
	if e.Job.SubmissionID == nil {
		e.Job.SubmissionID, e.changed = u.tag, true
	}
	if e.Job.JobIDRaw == "" || len(e.Runs) == 0 && e.Job.JobIDRaw != u.ident.raw {
		e.Job.JobIDRaw, e.changed = u.ident.raw, true
		b.byRaw[u.ident.raw] = append(b.byRaw[u.ident.raw], e)
	}
	return e
}

// untaggedHolder is the job of this incarnation that was stored before its tag was known.
func (b *Book) untaggedHolder(u *bundle) *Entry {
	e := b.holder(u)
	if e == nil {
		e = b.neighbour(u)
	}
	if e == nil || e.Job.SubmissionID != nil {
		return nil
	}
	return e
}

// evict takes an incarnation out of the job that stood for the waiting tasks of an array: one of the tasks has its row now.
func (b *Book) evict(e *Entry, u *bundle) {
	for _, o := range slices.Clone(b.byRaw[u.ident.raw]) {
		if o == e || o.Job.SubmissionID == nil {
			continue
		}
		n := len(o.Runs)
		o.Runs = slices.DeleteFunc(o.Runs, func(r *Run) bool {
			if !r.Facts.sameRun(u.facts) {
				return false
			}
			e.Runs, e.changed, o.changed = append(e.Runs, r), true, true
			return true
		})
		if len(o.Runs) < n && len(o.Runs) == 0 && len(o.Snapshots) == 0 {
			b.merge(e, o)
		}
	}
}

// holder is the job that has this incarnation already, or was reported by an agent when it was submitted.
func (b *Book) holder(u *bundle) *Entry {
	for _, e := range b.byRaw[u.ident.raw] {
		if e.run(u.facts) != nil {
			return e
		}
	}
	for _, e := range b.byRaw[u.ident.raw] {
		if len(e.Runs) == 0 && e.reportedAs(u) {
			return e
		}
	}
	return nil
}

// adoptSlack is how far the submitter's clock may lie from Slurm's Submit, in seconds. Slurm cannot give a number to two
// jobs within that time.
const adoptSlack = 120

func (e *Entry) reportedAs(u *bundle) bool {
	for _, s := range e.Snapshots {
		if abs(s.Submit-u.facts.Submit) <= adoptSlack && (u.facts.UID == nil || *u.facts.UID == s.UID) && (s.SlurmJobID == u.ident.job || u.ident.set) {
			return true
		}
	}
	return false
}

// neighbour is the job whose incarnation comes right before or after this one. When it joins two jobs they become one.
//
//nolint:cyclop // before and after are the same walk, and apart they are harder to read
func (b *Book) neighbour(u *bundle) *Entry {
	var before, after *Entry
	var prev, next *Run
	for _, e := range b.byRaw[u.ident.raw] {
		if !b.who.mayTouch(e.Job) || b.who.Owner == nil && e.Job.SelfAsserted {
			continue
		}
		for _, r := range e.Runs {
			switch {
			case r.Facts.before(u.facts) < 0 && (prev == nil || prev.Facts.before(r.Facts) < 0):
				before, prev = e, r
			case r.Facts.before(u.facts) > 0 && (next == nil || next.Facts.before(r.Facts) > 0):
				after, next = e, r
			}
		}
	}
	if prev != nil && !prev.Facts.followedBy(u.facts) {
		before = nil
	}
	if next != nil && !u.facts.followedBy(next.Facts) {
		after = nil
	}
	if before != nil && after != nil && before != after && (before.Job.SubmissionID == nil || after.Job.SubmissionID == nil) {
		b.merge(before, after)
	}
	if before != nil {
		return before
	}
	return after
}

// foreign says that the incarnation is part of a job that the reporter may not touch.
func (b *Book) foreign(u *bundle) bool {
	if b.who.Owner == nil {
		return false
	}
	if u.tag != nil {
		if e := b.byID[u.taggedID()]; e != nil && !b.who.mayTouch(e.Job) {
			return true
		}
	}
	if e := b.byID[jobkey.Untagged(b.cluster, u.ident.raw, u.facts.Submit)]; e != nil && !b.who.mayTouch(e.Job) {
		return true
	}
	e := b.holder(u)
	return e != nil && !b.who.mayTouch(e.Job)
}

// close folds what changed and gives it an owner.
func (b *Book) close() []*Entry {
	var out []*Entry
	for _, e := range b.Entries {
		if !e.changed || e.Gone {
			continue
		}
		e.fold()
		b.own(e)
		e.Job.UpdatedAt = b.now
		out = append(out, e)
	}
	return out
}

// own decides whose job it is that is nobody's yet: a system agent's uid is proven, and the link says the account; a user agent
// speaks for its owner alone. Neither a link that was removed nor one that was made since takes a job away from who had it, and
// a uid that had another name when the job ran was somebody else.
func (b *Book) own(e *Entry) {
	j := &e.Job
	if b.who.Owner != nil || j.UserID != nil {
		return
	}
	if j.UID != nil {
		if l, ok := b.Links[*j.UID]; ok && l.UnixName == j.UnixUser {
			j.UserID = &l.UserID
		}
	} else if user, ok := b.Names[j.UnixUser]; ok {
		j.UserID = &user
	}
}

// vouch takes a job over from an agent of a user's own: nothing that it said of a uid was proven, so it is forgotten.
func (b *Book) vouch(e *Entry) {
	if b.who.Owner != nil || !e.Job.SelfAsserted {
		return
	}
	e.Job.SelfAsserted, e.Job.UserID, e.Job.EventSeq, e.Reset, e.changed = false, nil, -1, true, true
	e.Runs, e.Snapshots, e.Events = nil, nil, nil
}

func (u *bundle) taggedID() uuid.UUID { return jobkey.Tagged(*u.tag, u.ident.suffix) }

// known says whether all rows of a bundle are stored as they are, in one job that the reporter vouched for.
func (b *Book) known(u *bundle) *Entry {
	if b.who.Owner != nil || u.orphan {
		return nil
	}
	for _, e := range b.byRaw[u.ident.raw] {
		for _, r := range e.Runs {
			if !e.Job.SelfAsserted && r.holds(u.rows) {
				return e
			}
		}
	}
	return nil
}

// learn reads the facts of the stored runs of these numbers and ids.
func (b *Book) learn(raws []string, ids []uuid.UUID) error {
	wanted := map[*Entry]bool{}
	for _, raw := range raws {
		for _, e := range b.byRaw[raw] {
			wanted[e] = true
		}
	}
	for _, id := range ids {
		if e := b.byID[id]; e != nil {
			wanted[e] = true
		}
	}
	var missing []uuid.UUID
	for e := range wanted {
		if len(e.Runs) > 0 {
			missing = append(missing, e.Job.ID)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fields, err := b.Fields(missing)
	if err != nil {
		return err
	}
	for e := range wanted {
		for _, r := range e.Runs {
			if err := r.read(fields[*r.Origin]); err != nil {
				return err
			}
		}
	}
	return nil
}
