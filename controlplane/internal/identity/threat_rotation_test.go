package identity_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

// live are access tokens, each with the key that signed it and the moment from which it may be refused.
type live struct {
	mu   sync.Mutex
	list []liveToken
}

type liveToken struct {
	text, kid string
	exp       time.Time
}

func (l *live) add(t liveToken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, t)
}

func (l *live) all() []liveToken {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[:len(l.list):len(l.list)]
}

// Keys rotate by age, moved on by what Run does, on two replicas that are never at the same place; every token is shown to both
// until it expires, also while they reload.
func TestThreat_T09_RotationUnderLoadRefusesNoValidToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c, tokens := newClock(), &live{}
		var replicas []*identity.Service
		var ticks []func()
		for range 2 {
			s := replica(t, st, c, func(cfg *identity.Config) { cfg.KeyRotation = 2 * time.Minute })
			replicas, ticks = append(replicas, s), append(ticks, upkeep(t, s))
		}
		pair, kids := login(t, replicas[0], "alice"), map[string]bool{}
		var old atomic.Int64 // checks of tokens whose key signs no more
		verify := func(s *identity.Service, one liveToken) {
			_, err := s.Authenticate(ctx(), one.text)
			if err != nil && c.now().Before(one.exp) {
				t.Errorf("%s before its end, signed by %s: %v", one.exp.Sub(c.now()), one.kid[:6], err)
			}
			if kid, _ := s.Signer(); kid != one.kid {
				old.Add(1)
			}
		}
		stop := underLoad(func(n int) {
			if list := tokens.all(); len(list) > 0 {
				verify(replicas[n%2], list[n*7919%len(list)])
			}
		})
		defer stop()
		for range 70 { // each step is a reload interval; the replicas reload one after the other
			for i, s := range replicas {
				ticks[i]()
				next, err := s.Refresh(ctx(), pair.RefreshToken)
				must(t, err)
				pair = next
				kid, _ := s.Signer()
				kids[kid] = true
				tokens.add(liveToken{next.AccessToken, kid, c.now().Add(next.ExpiresIn)})
			}
			c.add(10 * time.Second)
			for _, one := range tokens.all() {
				if c.now().Before(one.exp) {
					verify(replicas[0], one)
					verify(replicas[1], one)
				}
			}
		}
		if len(kids) < 5 || old.Load() < 1000 {
			t.Errorf("%d keys signed, %d checks of tokens of retired ones", len(kids), old.Load())
		}
		c.add(12 * time.Minute)
		ticks[0]()
		keys, err := replicas[0].SigningKeys(ctx())
		must(t, err)
		for _, k := range keys {
			if kids[k.KID] && k.State == identity.KeyRetired && c.now().Sub(*k.RetiredAt) > 12*time.Minute {
				t.Errorf("the key %s is kept for no token", k.KID[:6])
			}
		}
	})
}

// underLoad calls fn from four goroutines until stop, which waits for them.
func underLoad(fn func(n int)) (stop func()) {
	c, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := g; c.Err() == nil; n += 4 {
				fn(n)
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}
