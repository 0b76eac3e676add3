package transfer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Progress is told how a transfer goes on. It must be safe for concurrent use.
type Progress interface {
	// Begin starts a bar of total bytes.
	Begin(name string, total int64) Bar
}

// Bar is the progress of one file. Add may get negative numbers when bytes have to be sent again.
type Bar interface {
	Add(bytes int64)
	End(err error)
}

// Mover moves files. It is safe for concurrent use.
type Mover struct {
	Server   Server
	Store    *http.Client
	Progress Progress
	// Memory remembers uploads that were cut off; nil: none is resumed.
	Memory *Memory
	// Stored are files at the server, by name: a Put that finds its name, size and checksum among them sends nothing.
	Stored map[string][]api.FileObject
	// Parallel is how many requests to the store run at once.
	Parallel int
	// Attempts is how often a request is sent that fails for a while; Backoff the pause after the first.
	Attempts int
	Backoff  time.Duration

	slots chan struct{}
}

// Defaults of Mover.
const (
	DefaultParallel = 4
	DefaultAttempts = 6
	DefaultBackoff  = 500 * time.Millisecond
	maxPause        = 30 * time.Second
)

// NewMover fills in the defaults.
func NewMover(m Mover) *Mover {
	if m.Store == nil {
		m.Store = NewStoreClient()
	}
	if m.Parallel <= 0 {
		m.Parallel = DefaultParallel
	}
	if m.Attempts <= 0 {
		m.Attempts = DefaultAttempts
	}
	if m.Backoff <= 0 {
		m.Backoff = DefaultBackoff
	}
	m.slots = make(chan struct{}, m.Parallel)
	return &m
}

// slot waits until a request may be sent.
func (m *Mover) slot(ctx context.Context) (release func(), err error) {
	select {
	case m.slots <- struct{}{}:
		return func() { <-m.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// again decides whether a request that failed is sent once more, and waits before it.
func (m *Mover) again(ctx context.Context, n int, err error) bool {
	after, temporary := retryable(err)
	if !temporary || n+1 >= m.Attempts {
		return false
	}
	pause := min(m.Backoff<<n, maxPause)
	timer := time.NewTimer(max(rand.N(pause)+1, after)) //nolint:gosec // full jitter is no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryable says whether the same may work later; it is the one place that decides.
func retryable(err error) (after time.Duration, temporary bool) {
	var store *StoreError
	var problem *outbound.Problem
	switch {
	case errors.As(err, &store):
		return store.RetryAfter, store.Temporary()
	case errors.As(err, &problem):
		return problem.RetryAfter, problem.Temporary()
	}
	return 0, errors.Is(err, outbound.ErrUnreachable)
}

// ask repeats a question to the server while it cannot answer.
func ask[T any](ctx context.Context, m *Mover, question func() (T, error)) (T, error) {
	for n := 0; ; n++ {
		answer, err := question()
		if err == nil || !m.again(ctx, n, err) {
			return answer, err
		}
	}
}
