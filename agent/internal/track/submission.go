package track

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

// clockSlack is how far this node's clock and slurmctld's may differ when a submit time is compared with an intent's.
const clockSlack = 10 * time.Minute

// assign finds the submission of every row: by its tag, else by Slurm's id. It adopts submissions that nobody told us
// of, and reports tags that stand on several base ids. Rows that are not ours are dropped. An error is the last that it
// gives. Rows are read one submission after the other: all at once they take as much memory again as Slurm's answer.
func (t *Tracker) assign(ctx context.Context, rows *pile, reader func(*slurmfmt.Record) (observation, bool)) iter.Seq2[observation, error] {
	return func(yield func(observation, error) bool) {
		if err := t.recognize(ctx, rows, reader); err != nil {
			yield(observation{}, err)
			return
		}
		for id, group := range rows.submissions() {
			mine, err := t.settleClaim(ctx, id, rows.observe(group, reader, id))
			if err != nil {
				yield(observation{}, err)
				return
			}
			for _, o := range mine {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// recognize finds the submissions of rows without a tag by Slurm's id, a page at a time.
func (t *Tracker) recognize(ctx context.Context, rows *pile, reader func(*slurmfmt.Record) (observation, bool)) error {
	since := t.opt.Now().Add(-submissionWindow)
	for page := range slices.Chunk(rows.loose, bookPage) {
		seen := make([]observation, len(page))
		ids := make([]string, 0, len(page))
		for i, row := range page {
			if o, ok := reader(rows.record(row)); ok {
				seen[i], ids = o, append(ids, o.base())
			}
		}
		bases, err := t.opt.Journal.Bases(ctx, ids, since)
		if err != nil {
			return err
		}
		for i, row := range page {
			if row.submission = byBase(bases, seen[i]); row.submission != uuid.Nil {
				rows.tagged = append(rows.tagged, row)
			}
		}
	}
	rows.loose = nil
	return nil
}

// observe reads the rows of a submission.
func (p *pile) observe(group []packedRow, reader func(*slurmfmt.Record) (observation, bool), id uuid.UUID) []observation {
	rows := make([]observation, 0, len(group))
	for _, row := range group {
		if o, ok := reader(p.record(row)); ok {
			o.submission = id
			rows = append(rows, o)
		}
	}
	return rows
}

// byBase recognizes a job whose tag a site's job_submit plugin removed. Ids are used again, so uid and time must fit.
func byBase(bases map[string]journal.Base, o observation) uuid.UUID {
	b, known := bases[o.base()] // an observation that could not be read has the base 0, which no job has
	if !known || b.UID != o.uid || o.submit.Before(b.Created.Add(-clockSlack)) {
		return uuid.Nil
	}
	return b.ID
}

// settleClaim decides which rows belong to the submission. A tag can be read by anybody in squeue: rows of another uid
// are no claim, and of a submission that nobody told us of the earliest row names the owner.
func (t *Tracker) settleClaim(ctx context.Context, id uuid.UUID, rows []observation) ([]observation, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(rows, func(a, b observation) int { return a.submit.Compare(b.submit) })
	s, err := t.opt.Journal.Submission(ctx, id)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		s = journal.Submission{ID: id, UID: rows[0].uid, User: rows[0].user}
	case err != nil:
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(o observation) bool { return o.uid != s.UID })
	if len(rows) == 0 {
		return nil, nil
	}
	if s, err = t.noteBases(ctx, s, rows); err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].extra = rows[i].base() != s.BaseID
	}
	return rows, nil
}

// noteBases writes down the base id, and the others when there are several.
func (t *Tracker) noteBases(ctx context.Context, s journal.Submission, rows []observation) (journal.Submission, error) {
	base, others := s.BaseID, slices.Clone(s.Detail.Others)
	for _, o := range rows {
		switch b := o.base(); {
		case base == "":
			base = b
		case b != base && !slices.Contains(others, b):
			others = append(others, b)
		}
	}
	to := journal.SubmissionTracked
	if len(others) > 0 {
		to = journal.SubmissionAmbiguous
	}
	if s.State == to && s.BaseID == base && len(others) == len(s.Detail.Others) {
		return s, nil
	}
	if len(others) > len(s.Detail.Others) {
		t.opt.Log.Warn("one submission has several jobs; none is cancelled", "submission", s.ID, "base", base, "others", others)
	}
	if s.State == "" {
		_, err := t.opt.Journal.PutSubmission(ctx, s.ID, journal.SubmissionTracked, func(n *journal.Submission) {
			n.UID, n.User, n.BaseID, n.Detail.Adopted, n.Created = s.UID, s.User, base, true, rows[0].submit
		})
		if err != nil {
			return s, err
		}
	}
	return t.opt.Journal.PutSubmission(ctx, s.ID, to, func(n *journal.Submission) { n.BaseID, n.Detail.Others = base, others })
}

// resolve looks after submissions of which it is not known what became of them. Rows with a tag have already moved
// theirs to TRACKED; what is left here was not seen.
func (t *Tracker) resolve(ctx context.Context) error {
	open, err := t.opt.Journal.OpenSubmissions(ctx)
	if err != nil {
		return err
	}
	now := t.opt.Now()
	for _, s := range open {
		view, _ := t.viewOf(s.UID)
		through, err := t.opt.Journal.MetaTime(ctx, view.through())
		if err != nil {
			return err
		}
		var to journal.SubmissionState
		switch {
		case s.State != journal.SubmissionUnknown && now.Sub(s.Created) > t.opt.Timing.ResultGrace:
			to = journal.SubmissionUnknown
		case s.State == journal.SubmissionUnknown && t.counts(s.UID) && t.provenAbsent(s, now, through):
			to = journal.SubmissionAbsent
		default:
			continue
		}
		if _, err := t.opt.Journal.PutSubmission(ctx, s.ID, to, nil); err != nil {
			return err
		}
		t.opt.Log.Info("submission without a result", "submission", s.ID, "user", s.User, "state", to)
	}
	return nil
}

// provenAbsent: squeue answered just now without the tag, and accounting windows have covered the whole time in which
// the job could have been accepted; both by a view that shows the user's jobs.
func (t *Tracker) provenAbsent(s journal.Submission, now, through time.Time) bool {
	return now.Sub(s.Updated) > t.opt.Timing.AbsenceProof && through.After(s.Updated.Add(t.opt.Timing.AbsenceProof))
}

// Capture asks slurmctld for the files of a submission right after sbatch gave its id: later nobody knows them.
func (t *Tracker) Capture(ctx context.Context, s journal.Submission) error {
	id, err := slurmfmt.ParseJobID(s.BaseID)
	if err != nil {
		return fmt.Errorf("capturing the paths of submission %s: %w", s.ID, err)
	}
	paths, err := t.opt.Slurm.JobPaths(ctx, id)
	if err != nil {
		return fmt.Errorf("capturing the paths of job %s: %w", s.BaseID, err)
	}
	_, err = t.opt.Journal.PutSubmission(ctx, s.ID, "", func(n *journal.Submission) {
		n.Detail.Dirs.Work = paths.WorkDir
		if !unresolved(paths) {
			n.Detail.Dirs.Stdout, n.Detail.Dirs.Stderr = paths.Stdout, paths.Stderr
		}
	})
	return err
}

// unresolved recognizes the number that stands for "no task yet" in the paths of a pending array (NO_VAL−2 in slurm.h).
func unresolved(p slurm.Paths) bool {
	const noTask = "4294967294"
	return contains(p.Stdout, noTask) || contains(p.Stderr, noTask)
}
