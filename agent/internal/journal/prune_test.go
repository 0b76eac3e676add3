package journal

import (
	"errors"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

// old makes a job whose attempts stand in the given states since long ago, with a file and a submission.
func (p *pruned) old(states ...JobState) (job JobKey, submission uuid.UUID) {
	p.t.Helper()
	job, submission = JobKey{JobID: uuid.New()}, uuid.New()
	p.submission(submission, SubmissionTracked)
	for i, state := range states {
		key := JobKey{JobID: job.JobID, Attempt: int32(i)}
		for _, to := range pathTo(jobEdges, state) {
			_, err := p.j.PutJob(p.t.Context(), Change{Key: key, To: to, Apply: func(j *Job) { j.SubmissionID = submission }})
			if err != nil {
				p.t.Fatal(err)
			}
		}
	}
	file := outputs.FileKey{JobID: job.JobID, Class: outputs.ClassOutput, Path: "x"}
	if err := p.j.Advance(p.t.Context(), file, outputs.Step{To: outputs.FileHashed}); err != nil {
		p.t.Fatal(err)
	}
	return job, submission
}

type pruned struct {
	t   *testing.T
	j   *Journal
	now time.Time
}

func (p *pruned) submission(id uuid.UUID, state SubmissionState) {
	p.t.Helper()
	for _, to := range pathTo(submissionEdges, state) {
		if _, err := p.j.PutSubmission(p.t.Context(), id, to, nil); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *pruned) put(c Change) {
	p.t.Helper()
	if _, err := p.j.PutJob(p.t.Context(), c); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pruned) check(what string, key JobKey, submission uuid.UUID, jobThere, submissionThere bool) {
	p.t.Helper()
	files, err := p.j.Files(p.t.Context(), key.JobID, key.Attempt)
	if err != nil {
		p.t.Fatal(err)
	}
	attempts, _ := p.j.Attempts(p.t.Context(), key.JobID)
	_, gone := p.j.Submission(p.t.Context(), submission)
	if len(attempts) > 0 != jobThere || len(files) > 0 != jobThere || errors.Is(gone, ErrNotFound) == submissionThere {
		p.t.Errorf("%s: %d attempts, %d files, submission: %v", what, len(attempts), len(files), gone)
	}
}

func TestPruningForgetsWhatIsClosedAndToldAndNothingElse(t *testing.T) {
	t.Parallel()
	p := &pruned{t: t, now: testClock().Add(-300 * 24 * time.Hour)}
	opt := options(stateDir(t))
	opt.Now = func() time.Time { return p.now }
	p.j = open(t, opt)
	closed, closedSub := p.old(JobRequeued, JobVerified)
	kept, keptSub := p.old(JobKept)
	running, runningSub := p.old(JobRequeued, JobRunning)
	blocked, blockedSub := p.old(JobUploadBlocked)
	due, dueSub := p.old(JobVerified)
	p.put(Change{Key: due, Apply: func(j *Job) { j.EventDue = true }})
	waiting, waitingSub := p.old(JobVerified)
	p.put(Change{Key: waiting, Event: &EventDraft{Type: "state"}})
	rejected, open := uuid.New(), uuid.New()
	p.submission(rejected, SubmissionRejected)
	p.submission(open, SubmissionSubmitting)
	p.now = testClock().Add(-60 * 24 * time.Hour)
	array, arraySub := p.old(JobVerified) // its last tasks may still wait as one row of squeue
	p.now = testClock().Add(-24 * time.Hour)
	fresh, freshSub := p.old(JobVerified)
	p.now = testClock()

	if n, err := p.j.Prune(t.Context(), p.now.Add(-30*24*time.Hour)); err != nil || n != 3 {
		t.Fatalf("%d jobs were forgotten, %v", n, err)
	}
	p.check("closed", closed, closedSub, false, false)
	p.check("kept", kept, keptSub, false, false)
	p.check("an attempt runs", running, runningSub, true, true)
	p.check("blocked", blocked, blockedSub, true, true)
	p.check("an event is due", due, dueSub, true, true)
	p.check("an event waits", waiting, waitingSub, true, true)
	p.check("an array's task", array, arraySub, false, true)
	p.check("fresh", fresh, freshSub, true, true)
	if _, err := p.j.Submission(t.Context(), rejected); !errors.Is(err, ErrNotFound) {
		t.Errorf("the rejected submission is there: %v", err)
	}
	if _, err := p.j.Submission(t.Context(), open); err != nil {
		t.Errorf("an open submission is gone: %v", err)
	}
}

func TestPruningGoesOnBeyondOneTransaction(t *testing.T) {
	t.Parallel()
	p := &pruned{t: t, now: testClock().Add(-300 * 24 * time.Hour)}
	opt := options(stateDir(t))
	opt.Now = func() time.Time { return p.now }
	p.j = open(t, opt)
	if _, err := p.j.db.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO jobs (job_id, attempt, slurm_job_id, job_id_raw, uid, user, state, detail, seq, submit_us, updated_us)
		SELECT 'job-' || i, 0, '1', '1', 7, 'u', 'KEPT', '{}', 0, 1, 1 FROM n`, 2*pruneBatch+1); err != nil {
		t.Fatal(err)
	}
	if n, err := p.j.Prune(t.Context(), testClock()); err != nil || n != 2*pruneBatch+1 {
		t.Fatalf("%d jobs were forgotten, %v", n, err)
	}
}
