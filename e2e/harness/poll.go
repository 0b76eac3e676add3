package harness

import (
	"context"
	"errors"
	"testing"
	"time"
)

const pollEvery = 20 * time.Millisecond

// poll waits up to ten seconds for the condition.
func poll(ctx context.Context, done func() bool, otherwise string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := pollContext(ctx, done); err != nil {
		return errors.New(otherwise)
	}
	return nil
}

func pollContext(ctx context.Context, done func() bool) error { return pollEach(ctx, pollEvery, done) }

func pollEach(ctx context.Context, every time.Duration, done func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// Eventually waits for the condition, asking again every 20 ms, and fails the test with
// the reason that the condition returned last when the time is over.
func Eventually(t testing.TB, within time.Duration, condition func() (done bool, reason string)) {
	t.Helper()
	EventuallyEach(t, within, pollEvery, condition)
}

// EventuallyEach is Eventually for a condition that is dear to ask for.
func EventuallyEach(t testing.TB, within, every time.Duration, condition func() (done bool, reason string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var reason string
	err := pollEach(ctx, every, func() (done bool) {
		done, reason = condition()
		return done
	})
	if err != nil {
		t.Fatalf("not within %v: %s", within, reason)
	}
}
