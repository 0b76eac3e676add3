package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/google/uuid"
)

// finder is an agent with a clock that stands, and an ended job that it found by its tag and has told of.
func finder(t *testing.T) (*Daemon, time.Time, journal.JobKey) {
	t.Helper()
	now := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	d := &Daemon{opt: Options{Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}}
	var err error
	d.journal, err = journal.Open(t.Context(), journal.Options{Dir: filepath.Join(t.TempDir(), "state"), Now: d.opt.Now, Log: d.opt.Log, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.journal.Close() })
	key := journal.JobKey{JobID: uuid.New()}
	for _, to := range []journal.JobState{journal.JobSettling, journal.JobEnded} {
		_, err := d.journal.PutJob(t.Context(), journal.Change{Key: key, To: to, Event: &journal.EventDraft{Type: "state"}, Apply: func(j *journal.Job) {
			j.Due, j.Detail.EndAt = now, now
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d, now, key
}

func stored(t *testing.T, d *Daemon, key journal.JobKey) journal.Job {
	t.Helper()
	job, err := d.journal.Job(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// answered notes the control plane's answer to all that waits.
func answered(t *testing.T, d *Daemon, note func(context.Context, []journal.Event) error) {
	t.Helper()
	events, err := d.journal.Pending(t.Context(), 10)
	if err == nil && len(events) > 0 {
		err = note(t.Context(), events)
	}
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events, %v", len(events), err)
	}
}

func TestHowLongOutputsWaitForWhoeverTheyBelongTo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*journal.Job)
		untold time.Duration // for how long an answer has been awaited; 0 is for none
		left   bool
		wait   time.Duration
	}{
		"found, and the answer is there":      {nil, 0, false, 0},
		"found, told a moment ago":            {nil, time.Second, true, 2 * time.Second},
		"found, the server away for a minute": {nil, time.Minute, true, time.Minute},
		"found, the server away for a day":    {nil, 24 * time.Hour, true, 5 * time.Minute},
		"the wrapper spoke to us":             {func(j *journal.Job) { j.Detail.Told = true }, time.Hour, false, 0},
		"another agent's":                     {func(j *journal.Job) { j.Detail.Foreign = true }, 0, true, 5 * time.Minute},
		"another agent's, whom we told of":    {func(j *journal.Job) { j.Detail.Told, j.Detail.Foreign = true, true }, time.Second, true, 5 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, now, key := finder(t)
			if _, err := d.journal.PutJob(t.Context(), journal.Change{Key: key, Apply: c.change}); err != nil {
				t.Fatal(err)
			}
			var untold time.Time
			if c.untold > 0 {
				untold = now.Add(-c.untold)
			}
			left, err := d.notOurs(t.Context(), stored(t, d, key), untold)
			if err != nil || left != c.left {
				t.Fatalf("left alone: %v, %v", left, err)
			}
			if got := stored(t, d, key); got.State != journal.JobEnded || !got.Due.Equal(now.Add(c.wait)) {
				t.Errorf("%s, due in %s", got.State, got.Due.Sub(now))
			}
		})
	}
}

func TestOutputsOfAnotherAgentAreGivenUpAfterAWeek(t *testing.T) {
	t.Parallel()
	d, now, key := finder(t)
	answered(t, d, d.journal.Held)
	_, err := d.journal.PutJob(t.Context(), journal.Change{Key: key, Apply: func(j *journal.Job) { j.Detail.EndAt = now.Add(-foreignUntil - time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := d.notOurs(t.Context(), stored(t, d, key), time.Time{}); !left || err != nil {
		t.Fatalf("left alone: %v, %v", left, err)
	}
	if got := stored(t, d, key); got.State != journal.JobKept {
		t.Errorf("got %+v", got)
	}
}

// The upload path has read the job, and before it writes that the job waits the answer comes.
func TestAnAnswerThatComesMeanwhileIsNotPutOff(t *testing.T) {
	t.Parallel()
	d, now, key := finder(t)
	awaiting := stored(t, d, key)
	answered(t, d, d.journal.Held)
	if left, err := d.notOurs(t.Context(), awaiting, now.Add(-time.Hour)); !left || err != nil {
		t.Fatalf("left alone: %v, %v", left, err)
	}
	if got := stored(t, d, key); !got.Detail.Foreign || !got.Due.Equal(now) {
		t.Errorf("held: foreign %v, due in %s", got.Detail.Foreign, got.Due.Sub(now))
	}
	foreign := stored(t, d, key)
	if _, err := d.journal.PutJob(t.Context(), journal.Change{Key: key, Event: &journal.EventDraft{Type: "state", Offer: true}}); err != nil {
		t.Fatal(err)
	}
	answered(t, d, d.journal.Taken)
	if left, err := d.notOurs(t.Context(), foreign, time.Time{}); !left || err != nil {
		t.Fatalf("left alone: %v, %v", left, err)
	}
	if got := stored(t, d, key); got.Detail.Foreign || !got.Due.Equal(now) {
		t.Errorf("taken: foreign %v, due in %s", got.Detail.Foreign, got.Due.Sub(now))
	}
}
