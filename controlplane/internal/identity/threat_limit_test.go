package identity_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// guess tries a password for an account that does not exist, so that no account's delay is in the way.
func guess(s *identity.Service, ip string, n int) apperr.Code {
	_, err := s.Login(from(ip), identity.Credentials{Username: fmt.Sprint("nobody", n), Password: testPassword})
	return apperr.CodeOf(err)
}

func TestThreat_T15_AnAddressMayTryToLogInSoOftenAMinute(t *testing.T) {
	c := newClock()
	s := replica(t, openSQLite(t), c, func(cfg *identity.Config) { cfg.LoginPerMinute = 5 })
	for i := range 5 {
		if got := guess(s, "192.0.2.1", i); got != apperr.InvalidCredentials {
			t.Errorf("attempt %d: %s", i, got)
		}
	}
	if got := guess(s, "192.0.2.1", 5); got != apperr.RateLimited {
		t.Errorf("the sixth: %s", got)
	}
	_, err := s.Register(from("192.0.2.1"), identity.Credentials{Username: "alice", Password: testPassword})
	wantCode(t, "registering counts too", err, apperr.RateLimited)
	if got := guess(s, "192.0.2.2", 6); got != apperr.InvalidCredentials {
		t.Errorf("another address: %s", got)
	}
	c.add(time.Minute)
	if got := guess(s, "192.0.2.1", 7); got != apperr.InvalidCredentials {
		t.Errorf("a minute later: %s", got)
	}
}

// Each replica's own bucket would let its ten pass.
func TestThreat_T15_ReplicasTogetherAdmitExactlyTheLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		limited := func(cfg *identity.Config) { cfg.LoginPerMinute = 10 }
		replicas := []*identity.Service{replica(t, st, c, limited), replica(t, st, c, limited)}
		var admitted, refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				switch got := guess(replicas[i%2], "192.0.2.1", i); got {
				case apperr.InvalidCredentials:
					admitted.Add(1)
				case apperr.RateLimited:
					refused.Add(1)
				default:
					t.Errorf("attempt %d: %s", i, got)
				}
			})
		}
		wg.Wait()
		if admitted.Load() != 10 || refused.Load() != 10 {
			t.Errorf("%d admitted, %d refused", admitted.Load(), refused.Load())
		}
	})
}

func TestThreat_T15_AllAddressesTogetherAreLimited(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), func(cfg *identity.Config) { cfg.LoginPerMinute = 1 })
	count := map[apperr.Code]int{}
	for i := range 130 {
		count[guess(s, fmt.Sprintf("198.51.100.%d", i), i)]++
	}
	if count[apperr.InvalidCredentials] != 100 || count[apperr.RateLimited] != 30 {
		t.Errorf("%v", count)
	}
}

func TestThreat_T15_NoiseFromALoginNodeStopsNotItsAgent(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), func(cfg *identity.Config) { cfg.LoginPerMinute = 2 })
	k := newAgentKey(t)
	_, err := s.CreateCluster(ctx(), "hpc")
	must(t, err)
	token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
	must(t, err)
	a, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login1", PublicKey: k.public(), Version: "1"})
	must(t, err)
	noise := []string{"noise", newAgentKey(t).assertion(t, s, a.ID, nil), k.assertion(t, s, "0198f0f0-0000-7000-8000-000000000000", nil)}
	for i := range 30 {
		_, _, err = s.AgentToken(ctx(), noise[i%len(noise)])
	}
	wantCode(t, "noise is limited by its address", err, apperr.RateLimited)
	if _, _, err := s.AgentToken(ctx(), k.assertion(t, s, a.ID, map[string]any{"agent_version": "2.0"})); err != nil {
		t.Errorf("the agent of the same address: %v", err)
	}
	list, err := s.Agents(ctx())
	if err != nil || len(list) != 1 || list[0].Version != "2.0" {
		t.Errorf("the version that runs: %+v %v", list, err)
	}
	for name, version := range map[string]string{"none": "", "an escape": "3\x1b[2J", "too long": fmt.Sprintf("%065d", 3)} {
		_, _, err := s.AgentToken(ctx(), k.assertion(t, s, a.ID, map[string]any{"agent_version": version}))
		must(t, err)
		if list, err := s.Agents(ctx()); err != nil || list[0].Version != "2.0" {
			t.Errorf("%s: %+v %v", name, list, err)
		}
	}
}

// 500 hashes of 19 MiB at once would be 9.5 GiB.
func TestThreat_T16_FloodOfLoginsIsBoundedAndSaysWhenToComeBack(t *testing.T) {
	const mib, most = 1 << 20, 256 << 20
	h, err := identity.NewHasher(identity.Params{MemoryKiB: 19 << 10, Time: 2, Threads: 1}, 1, zeroReader{})
	must(t, err)
	var wg sync.WaitGroup
	var done, busy atomic.Int64
	c, cancel := context.WithCancel(context.Background())
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 500 {
		wg.Go(func() {
			_, err := h.Hash(c, "password")
			if err == nil {
				done.Add(1)
				return
			}
			if e := apperr.CodeOf(err); e != apperr.Busy {
				t.Errorf("got %v", err)
			}
			busy.Add(1)
		})
	}
	var peak uint64
	for done.Load() < 3 || busy.Load() < 500-65-3 {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapInuse)
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	if got := done.Load() + busy.Load(); got != 500 {
		t.Errorf("%d hashed, %d sent away", done.Load(), busy.Load())
	}
	if peak > before.HeapInuse+most {
		t.Errorf("%d MiB of heap, before it %d", peak/mib, before.HeapInuse/mib)
	}
}
