package submit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain is the wrapper when the environment says so: Run may replace the process.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_WRAPPER") == "" {
		os.Exit(m.Run())
	}
	started := time.Now()
	if os.Getenv("TEST_WRAPPER_OLD") != "" {
		started = started.Add(-2 * time.Hour)
	}
	c := New(started, os.Args[1:])
	c.User = func() string { return "alice" }
	h := hand{hang: os.Getenv("TEST_WRAPPER_HANG"), late: strings.Split(os.Getenv("TEST_WRAPPER_LATE"), ",")}
	if c.At = h.at; os.Getenv("TEST_WRAPPER_CLOCK") == "" {
		c.limit = h.limit
	}
	if dir := os.Getenv("TEST_WRAPPER_STAGE"); dir != "" {
		c.Stage = hangIn(dir)
	}
	code, err := Run(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// hand is on the clock: time runs out where a test says so, and never by itself, however busy the machine is.
type hand struct {
	// hang is the point at which the world stands still and time runs out; at those of late, only what runs now ends.
	hang string
	late []string

	mu  sync.Mutex
	end []context.CancelFunc
	out bool
}

// limit lengthens every limit by an hour.
func (h *hand) limit(parent context.Context, at time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithDeadline(parent, at.Add(time.Hour))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end = append(h.end, cancel)
	if h.out {
		cancel()
	}
	return ctx, cancel
}

func (h *hand) at(point string) {
	if point != h.hang && !slices.Contains(h.late, point) {
		return
	}
	h.mu.Lock()
	h.out = point == h.hang
	for _, cancel := range h.end {
		cancel()
	}
	h.mu.Unlock()
	if h.out {
		select {}
	}
}

// hangIn is a stage that never comes to an end by itself. It leaves files in dir: begun, and ended.
func hangIn(dir string) func(ctx context.Context, _ string, _ []string) error {
	return func(ctx context.Context, _ string, _ []string) error {
		err := os.WriteFile(filepath.Join(dir, "begun"), nil, 0o600)
		<-ctx.Done()
		return errors.Join(err, ctx.Err(), os.WriteFile(filepath.Join(dir, "ended"), nil, 0o600))
	}
}
