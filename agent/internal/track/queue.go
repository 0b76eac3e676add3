package track

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/google/uuid"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// fromQueue writes down what squeue shows alive and gives the attempts that it showed.
func (t *Tracker) fromQueue(ctx context.Context, rows *pile) (map[journal.JobKey]bool, error) {
	alive := map[journal.JobKey]bool{}
	page := make([]observation, 0, bookPage)
	for o, err := range t.assign(ctx, rows, fromQueueRow) {
		if err != nil {
			return nil, err
		}
		if o.set() || !o.alive() {
			continue // tasks of their own appear when they split off; an end is told by accounting only
		}
		if page = append(page, o); len(page) == cap(page) {
			if err := t.observePage(ctx, page, alive); err != nil {
				return nil, err
			}
			page = page[:0]
		}
	}
	return alive, t.observePage(ctx, page, alive)
}

// bookPage is how many rows are compared with the journal at a time.
const bookPage = 500

func (t *Tracker) observePage(ctx context.Context, page []observation, alive map[journal.JobKey]bool) error {
	known, err := t.openBook(ctx, page)
	if err != nil {
		return err
	}
	for _, o := range page {
		job, err := t.observe(ctx, o, known)
		if err != nil {
			return err
		}
		alive[job.JobKey] = true
	}
	return nil
}

// book gives the last attempt of the jobs that some rows are of.
type book struct {
	latest map[uuid.UUID]journal.Job
}

func (t *Tracker) openBook(ctx context.Context, rows []observation) (*book, error) {
	ids := make([]uuid.UUID, 0, len(rows))
	for _, o := range rows {
		ids = append(ids, o.jobID(t.opt.Cluster()))
	}
	latest, err := t.opt.Journal.LatestAttempts(ctx, ids)
	return &book{latest: latest}, err
}

func (b *book) find(id uuid.UUID) (job journal.Job, known bool) {
	job, known = b.latest[id]
	return job, known
}

// observe takes one living row into the journal: a new job, a change, or a new attempt.
func (t *Tracker) observe(ctx context.Context, o observation, known *book) (journal.Job, error) {
	id := o.jobID(t.opt.Cluster())
	job, found := known.find(id)
	if !found {
		return t.begin(ctx, journal.JobKey{JobID: id}, o, known)
	}
	if later(o, job) {
		return t.requeue(ctx, job, o, known)
	}
	if !job.State.Active() || job.State == journal.JobSettling {
		return job, nil // accounting has the last word on this attempt
	}
	return t.update(ctx, job, o, known)
}

// later says that the row is of an incarnation after the attempt: a requeue changes Submit; one within the same second
// shows by a start behind the attempt's end.
func later(o observation, job journal.Job) bool {
	if o.submit.After(job.SubmitAt) {
		return true
	}
	return !o.start.IsZero() && !job.Detail.EndAt.IsZero() && o.start.After(job.Detail.EndAt)
}

func (t *Tracker) begin(ctx context.Context, key journal.JobKey, o observation, known *book) (journal.Job, error) {
	s, err := t.opt.Journal.Submission(ctx, o.submission)
	if err != nil {
		return journal.Job{}, err
	}
	now := t.opt.Now()
	job, err := t.put(ctx, journal.Change{Key: key, To: o.jobState(), Apply: func(j *journal.Job) {
		j.SubmissionID, j.SlurmJobID, j.JobIDRaw, j.UID, j.User, j.SubmitAt = o.submission, o.id.Job().String(), o.raw, o.uid, o.user, o.submit
		j.Detail = o.detail
		j.Detail.SeenAt, j.Detail.Told = now, !s.Detail.Adopted
		j.Detail.Script, j.Detail.InputBytes = s.Detail.Script, s.Detail.InputBytes
		if j.Detail.WorkDir == "" {
			j.Detail.WorkDir = s.Detail.Dirs.Work
		}
		if o.detail.ArrayTask == "" && !o.extra {
			j.Detail.Stdout, j.Detail.Stderr = s.Detail.Dirs.Stdout, s.Detail.Dirs.Stderr
		}
	}}, o.uid, "submitted")
	known.latest[key.JobID] = job
	return job, err
}

func (t *Tracker) requeue(ctx context.Context, old journal.Job, o observation, known *book) (journal.Job, error) {
	if old.State != journal.JobRequeued && old.State != journal.JobVerified && old.State != journal.JobLost {
		if _, err := t.put(ctx, journal.Change{Key: old.JobKey, To: journal.JobRequeued, MustExist: true}, 0, ""); err != nil {
			return old, err
		}
	}
	delete(t.absent, old.JobKey)
	return t.begin(ctx, journal.JobKey{JobID: old.JobID, Attempt: old.Attempt + 1}, o, known)
}

// seenEvery is how often a living attempt without any change is written, so that LostAfter has something to count from.
const seenEvery = time.Hour

func (t *Tracker) update(ctx context.Context, job journal.Job, o observation, known *book) (journal.Job, error) {
	now := t.opt.Now()
	next := merged(job.Detail, o.detail)
	if reflect.DeepEqual(next, job.Detail) && job.State == o.jobState() && now.Sub(job.Detail.SeenAt) < seenEvery {
		return job, nil
	}
	event := ""
	if job.State != o.jobState() || job.Detail.SlurmState != next.SlurmState || job.Detail.Reason != next.Reason {
		event = "state"
	}
	job, err := t.put(ctx, journal.Change{Key: job.JobKey, To: o.jobState(), MustExist: true, Apply: o.over(now)}, job.UID, event)
	known.latest[job.JobID] = job
	return job, err
}

// over writes the row over the attempt as it is by then: the control plane may have said meanwhile whose job it is.
func (o observation) over(now time.Time) func(*journal.Job) {
	return func(j *journal.Job) {
		j.Detail = merged(j.Detail, o.detail)
		j.Detail.SeenAt = now
	}
}

// merged takes what a row says over what is known; what it does not say stays.
func merged(old, row journal.JobDetail) journal.JobDetail {
	next := row
	next.Stdout, next.Stderr, next.PathsAsked = old.Stdout, old.Stderr, old.PathsAsked
	next.Told, next.Foreign, next.OfferedAt, next.Unsent = old.Told, old.Foreign, old.OfferedAt, old.Unsent
	next.Script, next.InputBytes = old.Script, old.InputBytes
	next.SeenAt, next.UploadPhase, next.Tries, next.Message = old.SeenAt, old.UploadPhase, old.Tries, old.Message
	keep(&next.WorkDir, old.WorkDir)
	keep(&next.Name, old.Name)
	keep(&next.Account, old.Account)
	keep(&next.Partition, old.Partition)
	keep(&next.QOS, old.QOS)
	keep(&next.NodeList, old.NodeList)
	if next.StartAt.IsZero() && row.APIState != "PENDING" {
		next.StartAt = old.StartAt
	}
	if next.Nodes == nil {
		next.Nodes = old.Nodes
	}
	if next.CPUs == nil {
		next.CPUs = old.CPUs
	}
	return next
}

func keep(value *string, old string) {
	if *value == "" {
		*value = old
	}
}

// put writes a step; event "" tells nothing. Users whom nobody knows are told of later.
func (t *Tracker) put(ctx context.Context, c journal.Change, uid uint32, event string) (journal.Job, error) {
	if event == "" {
		return t.opt.Journal.PutJob(ctx, c)
	}
	if t.opt.Tell(uid) {
		c.Event = &journal.EventDraft{Type: event}
		return t.opt.Journal.PutJob(ctx, c)
	}
	apply := c.Apply
	c.Apply = func(j *journal.Job) {
		if apply != nil {
			apply(j)
		}
		j.EventDue = true
	}
	return t.opt.Journal.PutJob(ctx, c)
}
