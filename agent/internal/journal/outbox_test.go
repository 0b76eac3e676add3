package journal

import (
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

func heldBytes(t *testing.T, j *Journal) string {
	t.Helper()
	held, err := j.Meta(t.Context(), metaOutboxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestARefusedEventTakesNoRoomFromOthers(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	if _, err := j.PutJob(t.Context(), Change{Key: JobKey{JobID: uuid.New()}, To: JobPending, Event: &EventDraft{Type: "state"}}); err != nil {
		t.Fatal(err)
	}
	full := heldBytes(t, j)
	event := pending(t, j)[0]
	for range 2 { // a second refusal frees nothing more
		if err := j.Refused(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		if held := heldBytes(t, j); held != "0" {
			t.Fatalf("%s bytes are held", held)
		}
	}
	j = reopen(t, j)
	if held := heldBytes(t, j); held != full {
		t.Fatalf("offered again: %s bytes are held, want %s", held, full)
	}
	if err := j.Delivered(t.Context(), pending(t, j)); err != nil || heldBytes(t, j) != "0" {
		t.Fatalf("delivered: %s bytes are held, %v", heldBytes(t, j), err)
	}
}

func TestAManifestThatMeetsAFullOutboxKeepsWhatNoFileRowTells(t *testing.T) {
	t.Parallel()
	opt := options(stateDir(t))
	opt.MaxOutboxBytes = 1
	j := open(t, opt)
	key := JobKey{JobID: uuid.New()}
	if _, err := j.PutJob(t.Context(), Change{Key: key, To: JobPending, Event: &EventDraft{Type: "state"}}); err != nil {
		t.Fatal(err)
	}
	draft := &EventDraft{Type: "manifest", Manifest: []outputs.Entry{
		{Path: "a", Status: outputs.StatusStored}, {Path: "b", Status: outputs.StatusSkipped, Reason: "a link"}, {Path: "c", Status: outputs.StatusMissing},
	}}
	job, err := j.PutJob(t.Context(), Change{Key: key, Event: draft})
	if err != nil || !job.EventDue || len(job.Detail.Unsent) != 2 || job.Detail.Unsent[0].Reason != "a link" {
		t.Fatalf("got %+v, %v", job, err)
	}
	if err := j.Delivered(t.Context(), pending(t, j)); err != nil {
		t.Fatal(err)
	}
	job, err = j.PutJob(t.Context(), Change{Key: key, Event: draft})
	if err != nil || job.EventDue || job.Detail.Unsent != nil {
		t.Fatalf("told: %+v, %v", job, err)
	}
	if told := pending(t, j); len(told) != 1 || len(told[0].Manifest) != 3 || told[0].Job.Detail.Unsent != nil {
		t.Fatalf("told: %+v", told)
	}
}
