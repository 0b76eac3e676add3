package journal

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

var (
	crashSubmission = uuid.MustParse("0192f0c1-0000-7000-8000-000000000001")
	crashJob        = JobKey{JobID: uuid.MustParse("0192f0c1-0000-7000-8000-000000000002")}
	crashFile       = outputs.FileKey{JobID: crashJob.JobID, Class: outputs.ClassOutput, Path: "a"}
)

type action func(context.Context, *Journal) error

// crossing is one way over a boundary: what leads to it, the step over it (which may be taken again), and what the journal
// shows on either side.
type crossing struct {
	point, name string // point is without .before and .after
	before      []action
	last        action
	shown       func(context.Context, *Journal) (string, error)
	was, is     string
}

// crossings are every edge of every state machine, and each commit that belongs to none.
func crossings() (all []crossing) {
	all = append(all, edgesOf("submission", submissionEdges, putSubmission, shownSubmission)...)
	all = append(all, edgesOf("job", jobEdges, putJob(true), shownJob)...)
	all = append(all, edgesOf("file", fileEdges, putFile, shownFile)...)
	pending := putJob(true)(JobPending)
	for _, c := range []crossing{
		{point: "outbox.add", last: pending, shown: shownJob, was: "", is: string(JobPending)},
		{point: "outbox.delivered", before: []action{pending}, last: withPending((*Journal).Delivered), shown: shownPending, was: "1", is: "0"},
		// What is refused is offered again when the journal is opened: it is never lost.
		{point: "outbox.refused", before: []action{pending}, last: refuse, shown: shownHeld, was: "1", is: "1"},
		{point: "outbox.offered", before: []action{pending, refuse}, last: offer, shown: shownPending, was: "1", is: "1"},
		{point: "meta.set", last: setKey, shown: shownKey, was: "", is: "value"},
		{point: "prune.jobs", before: along(jobEdges, JobVerified, putJob(false)), last: prune, shown: shownJob, was: string(JobVerified), is: ""},
		{
			point: "prune.submissions", before: along(submissionEdges, SubmissionRejected, putSubmission), last: prune,
			shown: shownSubmission, was: string(SubmissionRejected), is: "",
		},
	} {
		c.name = c.point
		all = append(all, c)
	}
	return all
}

// edgesOf are the edges of one machine, each reached by the shortest way.
func edgesOf[S ~string](table string, m edges[S], put func(S) action, shown func(context.Context, *Journal) (string, error)) (all []crossing) {
	for from, next := range m {
		for _, to := range next {
			all = append(all, crossing{
				point: table + "." + string(to), name: table + "." + string(from) + "-" + string(to),
				before: along(m, from, put), last: put(to), shown: shown, was: string(from), is: string(to),
			})
		}
	}
	return all
}

func along[S ~string](m edges[S], to S, put func(S) action) (way []action) {
	for _, s := range pathTo(m, to) {
		way = append(way, put(s))
	}
	return way
}

func putSubmission(to SubmissionState) action {
	return func(ctx context.Context, j *Journal) error {
		_, err := j.PutSubmission(ctx, crashSubmission, to, nil)
		return err
	}
}

func putJob(telling bool) func(JobState) action {
	return func(to JobState) action {
		return func(ctx context.Context, j *Journal) error {
			c := Change{Key: crashJob, To: to}
			if telling {
				c.Event = &EventDraft{Type: "state"}
			}
			_, err := j.PutJob(ctx, c)
			return err
		}
	}
}

func putFile(to outputs.FileState) action {
	return func(ctx context.Context, j *Journal) error { return j.Advance(ctx, crashFile, outputs.Step{To: to}) }
}

func withPending(do func(*Journal, context.Context, []Event) error) action {
	return func(ctx context.Context, j *Journal) error {
		events, err := j.Pending(ctx, 100)
		if err != nil {
			return err
		}
		return do(j, ctx, events)
	}
}

func refuse(ctx context.Context, j *Journal) error {
	return withPending(func(j *Journal, ctx context.Context, events []Event) (err error) {
		for _, e := range events {
			err = errors.Join(err, j.Refused(ctx, e))
		}
		return err
	})(ctx, j)
}

func offer(ctx context.Context, j *Journal) error { return j.offerAgain(ctx) }

func setKey(ctx context.Context, j *Journal) error { return j.SetMeta(ctx, "key", "value") }

func prune(ctx context.Context, j *Journal) error {
	_, err := j.Prune(ctx, testClock().Add(time.Hour))
	return err
}

func shownSubmission(ctx context.Context, j *Journal) (string, error) {
	s, err := j.Submission(ctx, crashSubmission)
	return string(s.State), unlessAbsent(err)
}

func shownJob(ctx context.Context, j *Journal) (string, error) {
	job, err := j.Job(ctx, crashJob)
	return string(job.State), unlessAbsent(err)
}

func unlessAbsent(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func shownFile(ctx context.Context, j *Journal) (string, error) {
	files, err := j.Files(ctx, crashJob.JobID, crashJob.Attempt)
	if err != nil || len(files) == 0 {
		return "", err
	}
	return string(files[0].State), nil
}

func shownPending(ctx context.Context, j *Journal) (string, error) {
	events, err := j.Pending(ctx, 100)
	return strconv.Itoa(len(events)), err
}

// shownHeld counts what is in the outbox, refused or not.
func shownHeld(ctx context.Context, j *Journal) (n string, err error) {
	err = j.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM outbox`).Scan(&n)
	return n, err
}

func shownKey(ctx context.Context, j *Journal) (string, error) { return j.Meta(ctx, "key") }
