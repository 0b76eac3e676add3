package upload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// piece is what one PUT carries: a file, or one part of it.
type piece struct {
	to     outputs.Request
	offset int64
	size   int64
	// fresh asks for a new URL when the store denies the old one.
	fresh func(context.Context) (outputs.Request, error)
}

// put sends one piece. Temporary faults are retried with full jitter, a denied signature once with a fresh URL; a key
// that already holds an object is good here, because Complete verifies it.
func (r *run) put(ctx context.Context, e outputs.Entry, p piece) error {
	refreshed := false
	for n := 0; ; n++ {
		err := r.helper.Put(ctx, e, p.to, p.offset, p.size)
		store, answered := errors.AsType[*helper.StoreError](err)
		switch {
		case err == nil, answered && store.AlreadyThere():
			return nil
		case !answered:
			return err
		case store.BadContent():
			return fmt.Errorf("%w (%w)", safefs.ErrChanged, err)
		case store.Denied() && !refreshed:
			refreshed = true
			if p.to, err = p.fresh(ctx); err != nil {
				return fmt.Errorf("asking for a fresh URL: %w", err)
			}
		case !store.Temporary() || n+1 >= r.settings.Attempts:
			return err
		default:
			if err := r.wait(ctx, n, time.Duration(store.RetryAfter)*time.Second); err != nil {
				return err
			}
		}
	}
}

// jitter is full jitter: anything from nothing to d.
func jitter(d time.Duration) time.Duration { return rand.N(d) + 1 } //nolint:gosec // not a secret
