package identity

import (
	"context"
	"sync"
	"time"
)

const (
	// stateAge is how old a replica's picture of a session or an agent gets: a revocation is seen everywhere after that.
	stateAge = 10 * time.Second
	// maxStates bounds memory.
	maxStates = 20_000
)

// cache remembers for stateAge what load said of a key.
type cache[T any] struct {
	load func(ctx context.Context, key string) (T, error)
	now  func() time.Time
	mu   sync.Mutex
	rows map[string]cached[T]
}

type cached[T any] struct {
	value T
	until time.Time
}

func newCache[T any](now func() time.Time, load func(ctx context.Context, key string) (T, error)) *cache[T] {
	return &cache[T]{load: load, now: now, rows: map[string]cached[T]{}}
}

// get never serves anything older than stateAge. Errors are not remembered.
func (c *cache[T]) get(ctx context.Context, key string) (T, error) {
	now := c.now()
	c.mu.Lock()
	row, ok := c.rows[key]
	c.mu.Unlock()
	if ok && now.Before(row.until) {
		return row.value, nil
	}
	value, err := c.load(ctx, key)
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rows) >= maxStates {
		clear(c.rows)
	}
	c.rows[key] = cached[T]{value: value, until: now.Add(stateAge)}
	return value, nil
}

// forget makes a change that this replica made count at once. An empty key forgets everything.
func (c *cache[T]) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key == "" {
		clear(c.rows)
		return
	}
	delete(c.rows, key)
}
