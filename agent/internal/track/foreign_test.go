package track_test

import (
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/google/uuid"
)

// drain gives what waits for the control plane, and says what it answers.
func (w *world) drain(answer func([]journal.Event) error) int {
	w.t.Helper()
	events, err := w.j.Pending(w.t.Context(), 100)
	if err == nil && len(events) > 0 {
		err = answer(events)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return len(events)
}

func TestAForeignJobIsFollowedInSilenceAndOfferedNowAndThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := submission(t)
	held := func(e []journal.Event) error { return w.j.Held(t.Context(), e) }
	w.queue = []slurmtest.Row{job("7", "7", "PENDING", id)}
	w.cycles(1)
	if w.drain(held) == 0 {
		t.Fatal("the first sight was not told")
	}
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", id)}
	offers := 0
	for range 20 { // ten minutes
		w.cycles(1)
		if n := w.drain(held); n > 1 {
			t.Fatalf("%d events in one cycle", n)
		} else {
			offers += n
		}
	}
	if got := w.only(id); got.State != journal.JobRunning || !got.Detail.Foreign || got.Detail.Told {
		t.Fatalf("got %+v", got)
	}
	if offers < 2 || offers > 3 {
		t.Errorf("%d offers in ten minutes", offers)
	}
	w.now = w.now.Add(5 * time.Minute)
	w.cycles(1)
	if n := w.drain(func(e []journal.Event) error { return w.j.Taken(t.Context(), e) }); n != 1 {
		t.Fatalf("%d offers", n)
	}
	w.queue = []slurmtest.Row{job("7", "7", "SUSPENDED", id)}
	w.cycles(1)
	if n := w.drain(func(e []journal.Event) error { return w.j.Delivered(t.Context(), e) }); n != 1 {
		t.Errorf("a change of a job that is ours again was told %d times", n)
	}
}

func TestAnAnswerThatComesWhileARowIsWrittenDownIsKept(t *testing.T) {
	t.Parallel()
	running := func(id uuid.UUID) slurmtest.Row { return job("7", "7", "RUNNING", id) }
	for name, show := range map[string]func(w *world, id uuid.UUID){
		"squeue shows a change": func(w *world, id uuid.UUID) { w.queue = []slurmtest.Row{running(id)} },
		"accounting shows the end": func(w *world, id uuid.UUID) {
			w.queue, w.acct = nil, []slurmtest.Row{ended(running(id), "COMPLETED", "0:0")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := submission(t)
			w.queue = []slurmtest.Row{job("7", "7", "PENDING", id)}
			w.cycles(1)
			before := w.only(id).State
			answers := 0
			w.meanwhile = func() {
				answers += w.drain(func(e []journal.Event) error { return w.j.Held(t.Context(), e) })
			}
			show(w, id)
			w.cycles(1)
			if got := w.only(id); got.State == before || !got.Detail.Foreign {
				t.Errorf("got %+v", got)
			}
			if answers == 0 {
				t.Error("nothing was answered")
			}
			if n := w.drain(func(e []journal.Event) error { return w.j.Delivered(t.Context(), e) }); n != 0 {
				t.Errorf("%d events of a job that another agent reports", n)
			}
		})
	}
}

func TestAJobThatTheWrapperToldOfSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := submission(t)
	if _, err := w.j.BeginSubmission(t.Context(), id, func(s *journal.Submission) { s.UID, s.User = 1000, "alice" }); err != nil {
		t.Fatal(err)
	}
	w.queue = []slurmtest.Row{job("7", "7", "PENDING", id)}
	w.cycles(1)
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", id)}
	w.cycles(1)
	if got := w.only(id); !got.Detail.Told || got.State != journal.JobRunning {
		t.Errorf("got %+v", got)
	}
}
