package identity

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// hashQueue is how many may wait for their turn to hash; more are sent away at once (32 unguarded hashes took 608 MiB).
const hashQueue = 64

// Hasher hashes passwords, a few at a time.
type Hasher struct {
	params  Params
	rand    io.Reader
	running chan struct{} // a slot for each hash under way
	waiting chan struct{} // a slot for each caller that hashes or waits
	hashed  atomic.Int64  // how many were compared
	dummy   phc           // compared for accounts that do not exist, so that they take as long
}

// NewHasher allows parallel hashes at once: max(1, cores−1) is a good number.
func NewHasher(params Params, parallel int, rand io.Reader) (*Hasher, error) {
	parallel = max(1, parallel)
	h := &Hasher{
		params: params, rand: rand,
		running: make(chan struct{}, parallel), waiting: make(chan struct{}, parallel+hashQueue),
	}
	var err error
	if h.dummy, err = h.fresh("a password that nobody has"); err != nil {
		return nil, err
	}
	return h, nil
}

// Hash makes the PHC string for a password.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	release, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	p, err := h.fresh(password)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// Verify compares. stored == "" (no such account, or an account without a password) costs the same and is false.
// stale says that the stored hash has other parameters than today's.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (ok, stale bool, err error) {
	release, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	if stored == "" {
		h.matches(h.dummy, password)
		return false, false, nil
	}
	p, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	return h.matches(p, password), p.params != h.params, nil
}

func (h *Hasher) matches(p phc, password string) bool {
	h.hashed.Add(1)
	return p.matches(password)
}

// enter waits for a slot. A full queue, or a caller that gave up, is busy.
func (h *Hasher) enter(ctx context.Context) (func(), error) {
	full := &apperr.Error{Code: apperr.Busy, Message: "too many logins at this moment", Hint: "try again in a few seconds", RetryAfter: 3 * time.Second}
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, full
	}
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running; <-h.waiting }, nil
	case <-ctx.Done():
		<-h.waiting
		full.Err = ctx.Err()
		return nil, full
	}
}

func (h *Hasher) fresh(password string) (phc, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return phc{}, fmt.Errorf("drawing a salt: %w", err)
	}
	return phc{params: h.params, salt: salt, key: derive(password, h.params, salt, keyBytes)}, nil
}
