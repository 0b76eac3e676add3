// Package limit bounds how often something happens. Buckets shed floods in memory before anything costs; Shared keeps an
// exact count that all replicas have together, in the database.
package limit

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds memory; above it the buckets that are full again are dropped, and when none is, all.
const maxBuckets = 50_000

// Buckets are token buckets by key. Each holds a minute's worth and fills by as much in a minute.
type Buckets struct {
	perMinute int
	now       func() time.Time
	mu        sync.Mutex
	buckets   map[string]*rate.Limiter
}

// NewBuckets makes buckets of perMinute tokens; 0 means no limit.
func NewBuckets(perMinute int, now func() time.Time) *Buckets {
	return &Buckets{perMinute: perMinute, now: now, buckets: map[string]*rate.Limiter{}}
}

// Allow takes a token of the key, or says when there will be one.
func (b *Buckets) Allow(key string) (wait time.Duration, ok bool) {
	if b.perMinute <= 0 {
		return 0, true
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bucket(key, now).AllowN(now, 1) {
		return 0, true
	}
	return time.Minute / time.Duration(b.perMinute), false
}

func (b *Buckets) bucket(key string, now time.Time) *rate.Limiter {
	if l, ok := b.buckets[key]; ok {
		return l
	}
	if len(b.buckets) >= maxBuckets {
		b.drop(now)
	}
	l := rate.NewLimiter(rate.Limit(float64(b.perMinute)/60), b.perMinute)
	b.buckets[key] = l
	return l
}

// drop frees what says nothing. A flood of keys that are all in use begins anew: bounded memory comes first, and the limits
// behind this one still hold.
func (b *Buckets) drop(now time.Time) {
	for k, l := range b.buckets {
		if l.TokensAt(now) >= float64(b.perMinute) {
			delete(b.buckets, k)
		}
	}
	if len(b.buckets) >= maxBuckets {
		clear(b.buckets)
	}
}

// Network is what one customer has whole, as a key: the address for IPv4 and the /64 for IPv6. Without an address all share one.
func Network(ip netip.Addr) string {
	ip = ip.Unmap()
	if !ip.IsValid() {
		return ""
	}
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // bits fit the address
	return p.String()
}

// Windows counts for all replicas together.
type Windows interface {
	// TakeWindow takes n of a bucket's limit in the window that began then, all or none.
	TakeWindow(ctx context.Context, bucket string, began time.Time, n, limit int64) (bool, error)
}

// window is the length of a window of Shared.
const window = time.Minute

// Shared is an exact limit a minute: of any number of replicas together at most that many are let through in each minute of
// the clock. A replica takes a hundredth of a large limit at once, so that not every call asks the database; what it does not
// use of that is lost for that minute.
type Shared struct {
	windows   Windows
	name      string
	perMinute int64
	now       func() time.Time

	mu   sync.Mutex
	held map[string]held
}

type held struct {
	began time.Time
	left  int64
}

// NewShared makes a limit; the name keeps it apart from others in the same store. 0 means no limit.
func NewShared(w Windows, name string, perMinute int, now func() time.Time) *Shared {
	return &Shared{windows: w, name: name, perMinute: int64(perMinute), now: now, held: map[string]held{}}
}

// Allow takes one of the key's calls in this minute, or says when the next minute begins. An error means that nobody could count.
func (s *Shared) Allow(ctx context.Context, key string) (wait time.Duration, ok bool, err error) {
	if s.perMinute <= 0 {
		return 0, true, nil
	}
	now := s.now()
	began := now.Truncate(window)
	if s.fromHeld(key, began) {
		return 0, true, nil
	}
	wait = began.Add(window).Sub(now)
	for _, n := range lots(s.perMinute) {
		ok, err = s.windows.TakeWindow(ctx, s.name+" "+key, began, n, s.perMinute)
		if err != nil {
			return 0, false, fmt.Errorf("counting calls: %w", err)
		}
		if ok {
			s.hold(key, began, n-1)
			return 0, true, nil
		}
	}
	return wait, false, nil
}

// lots are how many are taken at once: many, and at the end of the limit one by one.
func lots(limit int64) []int64 {
	if n := limit / 100; n > 1 {
		return []int64{n, 1}
	}
	return []int64{1}
}

func (s *Shared) fromHeld(key string, began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[key]
	if !h.began.Equal(began) || h.left < 1 {
		return false
	}
	h.left--
	s.held[key] = h
	return true
}

func (s *Shared) hold(key string, began time.Time, n int64) {
	if n < 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) >= maxBuckets {
		clear(s.held)
	}
	if h := s.held[key]; h.began.Equal(began) {
		n += h.left
	}
	s.held[key] = held{began, n}
}
