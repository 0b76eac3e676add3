package slurm

import (
	"testing"
	"time"
)

// Limit makes a command's output end earlier than maxOutput.
func (r *Runner) Limit(bytes int) { r.most = bytes }

// CheckThrottle drives a throttle through slow and fast calls; it runs in a bubble of synctest.
func CheckThrottle(t *testing.T) {
	t.Helper()
	th := newThrottle(60)
	for range 60 {
		_ = th.wait(t.Context()) // the burst
	}
	wait := func() time.Duration {
		started := time.Now()
		if err := th.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		return time.Since(started)
	}
	if got := wait(); got != time.Second {
		t.Fatalf("at the ceiling: waited %s, want 1s", got)
	}
	th.note(3 * time.Second)
	if got := wait(); got != 2*time.Second {
		t.Fatalf("after a slow call: waited %s, want 2s", got)
	}
	for range 10 {
		th.note(3 * time.Second)
	}
	if got := wait(); got != 8*time.Second {
		t.Fatalf("after many slow calls: waited %s, want 8s", got)
	}
	for range 5 {
		th.note(time.Millisecond)
	}
	if got := wait(); got != time.Second {
		t.Fatalf("after fast calls: waited %s, want 1s", got)
	}
	if err := (*throttle)(nil).wait(t.Context()); err != nil {
		t.Fatal("no ceiling must not wait")
	}
}
