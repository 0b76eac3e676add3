package identity

import (
	"context"
	"net/netip"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/limit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// limiter sheds floods by address, in memory, before anything costs.
type limiter struct {
	each *limit.Buckets
	all  *limit.Buckets
}

// cheapFactor: attempts that cost no hash may be this many times as frequent.
const cheapFactor = 10

// globalFactor: all addresses together may do this many times what one may.
const globalFactor = 100

func newLimiter(perMinute int, now func() time.Time) *limiter {
	return &limiter{each: limit.NewBuckets(perMinute, now), all: limit.NewBuckets(perMinute*globalFactor, now)}
}

// allow takes one token of the address, or says when to come back.
func (l *limiter) allow(ip netip.Addr) error {
	wait, ok := l.each.Allow(limit.Network(ip))
	if ok {
		wait, ok = l.all.Allow("")
	}
	if ok {
		return nil
	}
	return tooMany(wait)
}

func tooMany(wait time.Duration) error {
	return &apperr.Error{Code: apperr.RateLimited, Message: "too many attempts from this address", Hint: "wait and try again", RetryAfter: wait}
}

// admit lets an attempt to log in or register pass: first the bucket in memory, then the exact count of all replicas.
func (s *Service) admit(ctx context.Context) error {
	ip := principal.OriginFrom(ctx).IP
	if err := s.addrs.allow(ip); err != nil {
		return err
	}
	wait, ok, err := s.exact.Allow(ctx, s.names.of(limit.Network(ip)))
	if err == nil && !ok {
		return tooMany(wait)
	}
	return err
}
