package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const maxBuckets = 10_000

// buckets are token buckets by uid.
type buckets struct {
	perSecond rate.Limit
	burst     int

	mu    sync.Mutex
	byUID map[uint32]*rate.Limiter
}

func newBuckets(perSecond rate.Limit, burst int) *buckets {
	return &buckets{perSecond: perSecond, burst: burst, byUID: map[uint32]*rate.Limiter{}}
}

// allow takes a token of a uid's bucket.
func (b *buckets) allow(uid uint32, now time.Time) bool { return b.of(uid).AllowN(now, 1) }

// of gives a uid's bucket. Forgetting all of them when there are too many is safe: connections are capped.
func (b *buckets) of(uid uint32) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byUID[uid]
	if one == nil {
		if len(b.byUID) >= maxBuckets {
			clear(b.byUID)
		}
		one = rate.NewLimiter(b.perSecond, b.burst)
		b.byUID[uid] = one
	}
	return one
}
