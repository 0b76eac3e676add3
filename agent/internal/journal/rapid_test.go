package journal

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// model is what the journal must hold, in memory.
type model struct {
	j      *Journal
	states map[JobKey]JobState
	events map[uuid.UUID]int64
	ids    []uuid.UUID
}

func (m *model) step(t *rapid.T) {
	key := JobKey{JobID: rapid.SampledFrom(m.ids).Draw(t, "job"), Attempt: rapid.Int32Range(0, 1).Draw(t, "attempt")}
	all := make([]JobState, 0, len(jobEdges))
	for s := range jobEdges {
		if s != "" {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	to := rapid.SampledFrom(all).Draw(t, "to")
	var event *EventDraft
	if rapid.Bool().Draw(t, "event") {
		event = &EventDraft{Type: "state"}
	}
	from := m.states[key]
	legal := slices.Contains(jobEdges[from], to) || from == to
	job, err := m.j.PutJob(context.Background(), Change{Key: key, To: to, Event: event})
	if legal != (err == nil) || err != nil && !errors.Is(err, ErrEdge) {
		t.Fatalf("%q to %q: %v", from, to, err)
	}
	if err != nil {
		return
	}
	m.states[key] = to
	if event != nil {
		m.events[key.JobID]++
	}
	if job.State != to {
		t.Fatalf("stored %q, want %q", job.State, to)
	}
}

func (m *model) deliver(t *rapid.T) {
	events, err := m.j.Pending(context.Background(), rapid.IntRange(1, 5).Draw(t, "batch"))
	if err == nil {
		err = m.j.Delivered(context.Background(), events)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) check(t *rapid.T) {
	for key, want := range m.states {
		got, err := m.j.Job(context.Background(), key)
		if err != nil || got.State != want {
			t.Fatalf("job %v is %q, want %q (%v)", key, got.State, want, err)
		}
	}
	last := map[uuid.UUID]int64{}
	events, err := m.j.Pending(context.Background(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if before, seen := last[e.Job.JobID]; seen && e.Seq <= before {
			t.Fatalf("job %v: event %d after %d", e.Job.JobID, e.Seq, before)
		}
		last[e.Job.JobID] = e.Seq
	}
}

func TestJournalBehavesAsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		j, err := Open(context.Background(), options(dir))
		if err != nil {
			t.Fatal(err)
		}
		m := &model{j: j, states: map[JobKey]JobState{}, events: map[uuid.UUID]int64{}, ids: []uuid.UUID{crashJob.JobID, crashSubmission}}
		defer func() { _ = m.j.Close() }()
		fast := func() { // power cuts are not what this test is about, and fsync is slow
			if _, err := m.j.db.ExecContext(context.Background(), `PRAGMA synchronous = OFF`); err != nil {
				t.Fatal(err)
			}
		}
		fast()
		t.Repeat(map[string]func(*rapid.T){
			"step": m.step, "deliver": m.deliver, "": m.check,
			"reopen": func(t *rapid.T) {
				_ = m.j.Close()
				if m.j, err = Open(context.Background(), options(dir)); err != nil {
					t.Fatal(err)
				}
				fast()
			},
		})
	})
}
