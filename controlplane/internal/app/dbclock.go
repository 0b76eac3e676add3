package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
)

const (
	clockEvery = 30 * time.Second
	// clockNoise: a difference that the round trip may explain is not corrected.
	clockNoise = 50 * time.Millisecond
)

// dbClock is the machine's clock, set right by the database's: with several replicas one clock decides what has expired.
// With SQLite both are the same clock.
type dbClock struct {
	now    func() time.Time
	store  *gormstore.Store
	offset atomic.Int64 // nanoseconds to add
}

// Now is the database's time as far as it is known. It keeps the monotonic reading.
func (c *dbClock) Now() time.Time { return c.now().Add(time.Duration(c.offset.Load())) }

// measure asks once. Half the round trip is taken for the way.
func (c *dbClock) measure(ctx context.Context) (time.Duration, error) {
	if c.store.Dialect() != gormstore.Postgres {
		return 0, nil
	}
	sent := c.now()
	var there time.Time
	if err := c.store.SQL().QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
		return 0, fmt.Errorf("asking the database for the time: %w", err)
	}
	back := c.now()
	offset := there.Sub(sent.Add(back.Sub(sent) / 2))
	if offset.Abs() <= clockNoise {
		offset = 0
	}
	c.offset.Store(int64(offset))
	return offset, nil
}

// DatabaseClock is the clock that decides what has expired (see dbClock), measured once: for commands, which are short.
func (b *Base) DatabaseClock(ctx context.Context, now func() time.Time) (func() time.Time, error) {
	c := &dbClock{now: now, store: b.Store}
	if _, err := c.measure(ctx); err != nil {
		return nil, err
	}
	return c.Now, nil
}

// run measures again and again, and warns of a clock that is off: presigned URLs and TLS use the machine's clock.
func (b *builder) runClock(c *dbClock) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(clockEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				offset, err := c.measure(ctx)
				if ctx.Err() == nil {
					b.reportClock(ctx, offset, err)
				}
			}
		}
	}
}

const clockWarn = 5 * time.Second

func (b *builder) reportClock(ctx context.Context, offset time.Duration, err error) {
	switch {
	case err != nil:
		b.deps.Log.WarnContext(ctx, "the database's clock could not be read; the last difference counts on", "error", err)
	case offset.Abs() > clockWarn:
		b.deps.Log.WarnContext(ctx, "this machine's clock differs from the database's; set it right (NTP)", "difference", offset)
	}
}
