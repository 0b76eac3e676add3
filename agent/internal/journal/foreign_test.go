package journal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// foreigner is a journal with a job that the control plane says is another agent's.
func foreigner(t *testing.T) (*Journal, JobKey) {
	t.Helper()
	j := fresh(t)
	key := JobKey{JobID: uuid.New()}
	for _, to := range []JobState{JobPending, JobRunning} {
		if _, err := j.PutJob(t.Context(), Change{Key: key, To: to, Event: &EventDraft{Type: "state"}}); err != nil {
			t.Fatal(err)
		}
	}
	held, err := j.Pending(t.Context(), 10)
	if err == nil {
		err = j.Held(t.Context(), held)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j, key
}

func pending(t *testing.T, j *Journal) []Event {
	t.Helper()
	events, err := j.Pending(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestOfAForeignJobNothingIsToldButAnOffer(t *testing.T) {
	t.Parallel()
	j, key := foreigner(t)
	if left := pending(t, j); len(left) != 0 {
		t.Fatalf("held events are left: %+v", left)
	}
	if _, err := j.PutJob(t.Context(), Change{Key: key, To: JobSuspended, Event: &EventDraft{Type: "state"}}); err != nil {
		t.Fatal(err)
	}
	if left := pending(t, j); len(left) != 0 {
		t.Fatalf("told of a foreign job: %+v", left)
	}
	if due, err := j.EventsDue(t.Context(), everybody, 10); err != nil || len(due) != 0 {
		t.Fatalf("due: %+v, %v", due, err)
	}
	if _, err := j.PutJob(t.Context(), Change{Key: key, Event: &EventDraft{Type: "state", Offer: true}}); err != nil {
		t.Fatal(err)
	}
	if left := pending(t, j); len(left) != 1 || !left[0].Job.Detail.Foreign {
		t.Fatalf("offered: %+v", left)
	}
}

func TestATakenOfferMakesTheJobOursAndItsOutputsDue(t *testing.T) {
	t.Parallel()
	j, key := foreigner(t)
	if _, err := j.PutJob(t.Context(), Change{
		Key: key, To: JobSettling, Event: &EventDraft{Type: "state", Offer: true},
		Apply: func(job *Job) { job.Due = testClock().Add(time.Hour) },
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Taken(t.Context(), pending(t, j)); err != nil {
		t.Fatal(err)
	}
	job, err := reopen(t, j).Job(t.Context(), key)
	if err != nil || job.Detail.Foreign || !job.Due.Equal(testClock()) {
		t.Fatalf("got %+v, %v", job, err)
	}
}

func TestForeignJobsAreFoundUntilTheyAreClosed(t *testing.T) {
	t.Parallel()
	j, key := foreigner(t)
	count := func(before time.Time) int {
		t.Helper()
		found, err := j.ForeignJobs(t.Context(), before, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if n := count(testClock()); n != 1 {
		t.Fatalf("never offered: %d", n)
	}
	offered := func(job *Job) { job.Detail.OfferedAt = testClock() }
	if _, err := j.PutJob(t.Context(), Change{Key: key, Apply: offered}); err != nil {
		t.Fatal(err)
	}
	if now, later := count(testClock()), count(testClock().Add(time.Second)); now != 0 || later != 1 {
		t.Fatalf("offered just now: %d, a second later: %d", now, later)
	}
	if _, err := j.PutJob(t.Context(), Change{Key: key, To: JobLost}); err != nil {
		t.Fatal(err)
	}
	if n := count(testClock().Add(time.Hour)); n != 0 {
		t.Fatalf("closed: %d", n)
	}
}

func TestForeignJobsAreThoseOfEveryStateThatIsNotClosed(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	for state := range jobEdges {
		if state == "" {
			continue
		}
		key := JobKey{JobID: uuid.New()}
		for _, to := range pathTo(jobEdges, state) {
			if _, err := j.PutJob(t.Context(), Change{Key: key, To: to, Apply: func(job *Job) { job.Detail.Foreign = true }}); err != nil {
				t.Fatal(err)
			}
		}
		found, err := j.ForeignJobs(t.Context(), testClock(), 100)
		if err != nil {
			t.Fatal(err)
		}
		if listed := slices.ContainsFunc(found, func(job Job) bool { return job.JobKey == key }); listed == state.Closed() {
			t.Errorf("%s: listed %v", state, listed)
		}
	}
}

func TestForeignJobsAreFoundByTheIndexOfStates(t *testing.T) {
	t.Parallel()
	var id, parent, unused int
	var plan string
	err := fresh(t).db.QueryRowContext(t.Context(), `EXPLAIN QUERY PLAN SELECT job_id FROM jobs `+openForeign, 10).Scan(&id, &parent, &unused, &plan)
	if err != nil || !strings.Contains(plan, "USING INDEX jobs_") || !strings.Contains(plan, "(state=?)") {
		t.Errorf("%q, %v", plan, err)
	}
}

func TestAJobIsUntoldUntilTheControlPlaneHasAnswered(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	key := JobKey{JobID: uuid.New()}
	untold := func(id uuid.UUID) bool {
		t.Helper()
		since, err := j.Untold(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !since.IsZero() && !since.Equal(testClock()) {
			t.Fatalf("waits since %s", since)
		}
		return !since.IsZero()
	}
	if _, err := j.PutJob(t.Context(), Change{Key: key, To: JobPending, Event: &EventDraft{Type: "state"}}); err != nil {
		t.Fatal(err)
	}
	if !untold(key.JobID) || untold(uuid.New()) {
		t.Fatal("an event waits for the first job alone")
	}
	if err := j.Delivered(t.Context(), pending(t, j)); err != nil || untold(key.JobID) {
		t.Fatalf("answered, and still untold (%v)", err)
	}
}

// Whoever reads the journal between the two would bring the outputs of a job that is another agent's.
func TestTheAnswerIsNotedInTheSameStepInWhichTheEventLeavesTheOutbox(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	key := JobKey{JobID: uuid.New()}
	if _, err := j.PutJob(t.Context(), Change{Key: key, To: JobPending, Event: &EventDraft{Type: "state"}}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	j.opt.Crash = func(point string) {
		if !strings.HasSuffix(point, ".after") {
			return // the only connection is the writer's
		}
		since, errUntold := j.Untold(t.Context(), key.JobID)
		job, errJob := j.Job(t.Context(), key)
		if errUntold != nil || errJob != nil {
			t.Errorf("%s: %v, %v", point, errUntold, errJob)
		}
		if since.IsZero() && !job.Detail.Foreign {
			t.Errorf("at %s the job looks like ours", point)
		}
		seen++
	}
	if err := j.Held(t.Context(), pending(t, j)); err != nil {
		t.Fatal(err)
	}
	j.opt.Crash = nil
	if seen == 0 {
		t.Error("the step was never looked at")
	}
}
