package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

func TestNobodyTouchesAnotherUsersSubmission(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(t.Context(), journal.Options{Dir: filepath.Join(t.TempDir(), "state"), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	d := &Daemon{journal: j, capture: make(chan journal.Submission, 1), unnamed: make(chan journal.Submission, 1)}
	d.names = newNames(func(context.Context, uint32) (string, error) { return "", nil }, time.Now)
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	alice, mallory := socket.Peer{UID: 1001}, socket.Peer{UID: 1002}
	in := socket.Intent{SubmissionID: id, Globs: []string{"x"}}
	if err := errors.Join((*backend)(d).Intent(t.Context(), alice, in), (*backend)(d).Intent(t.Context(), alice, in)); err != nil {
		t.Fatalf("an intent may be repeated: %v", err)
	}
	theirs := in
	theirs.Globs = []string{"theirs"}
	for name, err := range map[string]error{
		"intent": (*backend)(d).Intent(t.Context(), mallory, theirs),
		"result": (*backend)(d).Result(t.Context(), mallory, socket.Result{Intent: theirs, BaseID: "7"}),
	} {
		var refused *socket.Error
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			t.Errorf("%s of another user: %v", name, err)
		}
	}
	if s, err := j.Submission(t.Context(), id); err != nil || s.UID != alice.UID || s.BaseID != "" || len(s.Detail.Globs) != 1 || s.Detail.Globs[0] != "x" {
		t.Fatalf("got %+v, %v", s, err)
	}
}
