package journal

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Polling reads all jobs, which takes its time where there are many; an intent must not wait for it.
func TestWhoReadsHoldsNoWriterUp(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	if _, err := j.BeginSubmission(t.Context(), uuid.Must(uuid.NewV7()), nil); err != nil {
		t.Fatal(err)
	}
	rows, err := j.reads.QueryContext(t.Context(), `SELECT id FROM submissions`) //nolint:rowserrcheck // it is never read to its end
	if err != nil || !rows.Next() {
		t.Fatalf("got no row: %v", err)
	}
	defer rows.Close() // it reads as long as this test lasts
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	id := uuid.Must(uuid.NewV7())
	if _, err := j.BeginSubmission(ctx, id, nil); err != nil {
		t.Fatalf("the writer waited: %v", err)
	}
	if s, err := j.Submission(ctx, id); err != nil || s.State != SubmissionSubmitting {
		t.Fatalf("what was committed is not read: %+v, %v", s, err)
	}
	if _, err := j.reads.ExecContext(ctx, `DELETE FROM submissions`); err == nil {
		t.Fatal("a reader could write")
	}
}
