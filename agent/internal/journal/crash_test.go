package journal

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

// TestMain crosses one boundary as a child that kills itself, when asked to.
func TestMain(m *testing.M) {
	dir := os.Getenv("JOURNAL_CRASH_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	os.Exit(crossAndDie(dir, os.Getenv("JOURNAL_CRASH_NAME"), os.Getenv("JOURNAL_CRASH_AT")))
}

// crossAndDie does what comes before, and arms the hook for the last step alone: the way to it may cross the same boundary.
func crossAndDie(dir, name, point string) int {
	armed := false
	opt := options(dir)
	opt.Crash = func(at string) {
		if armed && at == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	ctx := context.Background()
	j, err := Open(ctx, opt)
	if err != nil {
		return 3
	}
	all := crossings()
	c := all[slices.IndexFunc(all, func(c crossing) bool { return c.name == name })]
	for _, step := range c.before {
		if step(ctx, j) != nil {
			return 4
		}
	}
	armed = true
	if c.last(ctx, j) != nil {
		return 5
	}
	return 0
}

// TestKillAtEveryBoundary kills −9 at each boundary of each edge and takes the step again from what is on disk: one that was
// committed is there, one that was not can be taken, events have no gap and no double number.
func TestKillAtEveryBoundary(t *testing.T) {
	t.Parallel()
	killed := map[string]bool{}
	for _, c := range crossings() {
		for _, when := range []string{".before", ".after"} {
			killed[c.point+when] = true
			t.Run(c.name+when, func(t *testing.T) {
				t.Parallel()
				c.kill(t, when)
			})
		}
	}
	for _, point := range CrashPoints() {
		if !killed[point] {
			t.Errorf("%s is killed at nowhere", point)
		}
		delete(killed, point)
	}
	for point := range killed {
		t.Errorf("%s is not in CrashPoints", point)
	}
}

func (c crossing) kill(t *testing.T, when string) {
	t.Helper()
	dir := stateDir(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "JOURNAL_CRASH_AT="+c.point+when, "JOURNAL_CRASH_NAME="+c.name, "JOURNAL_CRASH_DIR="+dir)
	err := child.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child was not killed: %v", err)
	}
	j := open(t, options(dir))
	if j.Rebuilt() {
		t.Fatal("a kill corrupted the journal")
	}
	want := c.was
	if when == ".after" {
		want = c.is
	}
	c.shows(t, j, want)
	if err := c.last(t.Context(), j); err != nil {
		t.Fatalf("taking the step again: %v", err)
	}
	c.shows(t, j, c.is)
	numbered(t, j)
}

func (c crossing) shows(t *testing.T, j *Journal, want string) {
	t.Helper()
	if got, err := c.shown(t.Context(), j); err != nil || got != want {
		t.Fatalf("the journal shows %q, %v; want %q", got, err, want)
	}
}

// numbered fails unless the events that wait are numbered without gap and repetition.
func numbered(t *testing.T, j *Journal) {
	t.Helper()
	events, err := j.Pending(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Seq != int64(i) {
			t.Fatalf("event %d has number %d", i, e.Seq)
		}
	}
}

func TestAnIntentIsOneCommit(t *testing.T) {
	t.Parallel()
	opt := options(stateDir(t))
	var points []string
	opt.Crash = func(at string) { points = append(points, at) }
	j := open(t, opt)
	points = nil // what opening crosses
	s, err := j.BeginSubmission(t.Context(), crashSubmission, func(s *Submission) { s.UID = 7 })
	if err != nil || s.State != SubmissionSubmitting || s.UID != 7 {
		t.Fatalf("got %+v, %v", s, err)
	}
	want := []string{"submission.INTENT.before", "submission.SUBMITTING.before", "submission.INTENT.after", "submission.SUBMITTING.after"}
	if !slices.Equal(points, want) {
		t.Errorf("crossed %q", points)
	}
	if _, err := j.BeginSubmission(t.Context(), crashSubmission, func(s *Submission) { s.UID = 8 }); !errors.Is(err, ErrEdge) {
		t.Errorf("a second one: %v", err)
	}
	if s, err = reopen(t, j).Submission(t.Context(), crashSubmission); err != nil || s.State != SubmissionSubmitting || s.UID != 7 {
		t.Errorf("on disk %+v, %v", s, err)
	}
}
