package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/limit"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestABucketHoldsAMinutesWorthAndFillsAgain(t *testing.T) {
	now := noon
	b := limit.NewBuckets(60, func() time.Time { return now })
	take := func(n int) (got int) {
		for range n {
			if wait, ok := b.Allow("a"); ok {
				got++
			} else if wait != time.Second {
				t.Errorf("wait %v", wait)
			}
		}
		return got
	}
	if got := take(100); got != 60 {
		t.Errorf("%d of 100 at once", got)
	}
	now = now.Add(10 * time.Second)
	if got := take(100); got != 10 {
		t.Errorf("%d after ten seconds", got)
	}
	if _, ok := b.Allow("b"); !ok {
		t.Error("another key waits too")
	}
}

func TestNoLimitIsNone(t *testing.T) {
	b := limit.NewBuckets(0, time.Now)
	s := limit.NewShared(failing{}, "x", 0, time.Now)
	for range 1000 {
		_, ok1 := b.Allow("a")
		_, ok2, err := s.Allow(t.Context(), "a")
		if !ok1 || !ok2 || err != nil {
			t.Fatal(ok1, ok2, err)
		}
	}
}

func TestMemoryIsBoundedWhateverTheKeys(t *testing.T) {
	b := limit.NewBuckets(1, func() time.Time { return noon })
	for i := range 120_000 {
		b.Allow(fmt.Sprint(i))
	}
	if n := b.Len(); n > 50_000 {
		t.Errorf("%d buckets", n)
	}
}

func TestIPv6CountsByNetwork(t *testing.T) {
	same := func(a, b string) bool {
		return limit.Network(netip.MustParseAddr(a)) == limit.Network(netip.MustParseAddr(b))
	}
	if !same("2001:db8::1", "2001:db8::ffff:2") || same("2001:db8::1", "2001:db8:0:1::1") || same("192.0.2.1", "192.0.2.2") || !same("192.0.2.1", "::ffff:192.0.2.1") {
		t.Error("networks are not told apart as they should")
	}
	if limit.Network(netip.Addr{}) != "" {
		t.Error("no address is one network of its own")
	}
}

type failing struct{}

func (failing) TakeWindow(context.Context, string, time.Time, int64, int64) (bool, error) {
	return false, errors.New("down")
}

func TestWhoCannotCountSaysSo(t *testing.T) {
	if _, ok, err := limit.NewShared(failing{}, "x", 5, time.Now).Allow(t.Context(), "a"); ok || err == nil {
		t.Error(ok, err)
	}
}

// Two replicas on one database let exactly the limit through, whoever asks how often.
func TestThreat_T15_ReplicasShareAnExactLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		now := noon
		clock := func() time.Time { return now }
		replicas := []*limit.Shared{limit.NewShared(st, "presign", 40, clock), limit.NewShared(st, "presign", 40, clock)}
		for minute := range 2 {
			var let atomic.Int64
			var wg sync.WaitGroup
			for _, r := range replicas {
				for range 4 {
					wg.Go(func() {
						for range 15 {
							wait, ok, err := r.Allow(t.Context(), "u1")
							if err != nil {
								t.Error(err)
							}
							if ok {
								let.Add(1)
							} else if wait != time.Minute {
								t.Errorf("wait %v", wait)
							}
						}
					})
				}
			}
			wg.Wait()
			if let.Load() != 40 {
				t.Errorf("minute %d: %d of 120 were let through, want 40", minute, let.Load())
			}
			now = now.Add(time.Minute)
		}
	})
}

// memory is Windows as the database is, for the property.
type memory struct{ taken map[string]int64 }

func (m memory) TakeWindow(_ context.Context, bucket string, began time.Time, n, most int64) (bool, error) {
	key := bucket + began.String()
	if m.taken[key]+n > most {
		return false, nil
	}
	m.taken[key] += n
	return true, nil
}

func TestNeverMoreThanTheLimitAndAlmostAllOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 2000).Draw(t, "limit")
		replicas := rapid.IntRange(1, 4).Draw(t, "replicas")
		m := memory{map[string]int64{}}
		var all []*limit.Shared
		for range replicas {
			all = append(all, limit.NewShared(m, "x", most, func() time.Time { return noon }))
		}
		let := 0
		for i := range most * 2 {
			if _, ok, _ := all[i%replicas].Allow(context.Background(), "k"); ok {
				let++
			}
		}
		if let != most {
			t.Fatalf("%d of %d", let, most)
		}
	})
}
