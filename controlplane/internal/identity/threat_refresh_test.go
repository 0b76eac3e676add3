package identity_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// count runs a SELECT count(*) with arguments.
func count(t *testing.T, st *gormstore.Store, query string, args ...any) int {
	t.Helper()
	var n int
	err := st.Tx(context.Background(), func(tx *gorm.DB) error { return tx.Raw(query, args...).Scan(&n).Error })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestThreat_T06_OneRefreshTokenInManyHandsHasOneSuccessor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		replicas := []*identity.Service{replica(t, st, c, nil), replica(t, st, c, nil)}
		pair := login(t, replicas[0], "alice")
		const parties = 64
		got := make([]identity.TokenPair, parties)
		errs := make([]error, parties)
		var wg sync.WaitGroup
		for i := range parties {
			wg.Go(func() { got[i], errs[i] = replicas[i%2].Refresh(ctx(), pair.RefreshToken) })
		}
		wg.Wait()
		successors := map[string]bool{}
		for i := range parties {
			if errs[i] != nil {
				t.Fatalf("party %d: %v", i, errs[i])
			}
			successors[got[i].RefreshToken] = true
		}
		if len(successors) != 1 {
			t.Errorf("%d different successors", len(successors))
		}
		if n := count(t, st, "SELECT count(*) FROM refresh_tokens"); n != 2 {
			t.Errorf("%d rows, want the token and its successor", n)
		}
	})
}

func TestThreat_T06_ReplayOfARefreshToken(t *testing.T) {
	cases := map[string]struct {
		wait     time.Duration
		useNext  bool // the successor is used before the replay
		want     apperr.Code
		survives bool
	}{
		"at once: the lost answer comes again":   {0, false, "", true},
		"at 20 s: still forgiven":                {20 * time.Second, false, "", true},
		"at 21 s: the family ends":               {21 * time.Second, false, apperr.RefreshReused, false},
		"at once, successor used: it ends too":   {0, true, apperr.RefreshReused, false},
		"after ten minutes: the family ends too": {10 * time.Minute, false, apperr.RefreshReused, false},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
				c := newClock()
				s := replica(t, st, c, nil)
				pair := login(t, s, "alice")
				next, err := s.Refresh(ctx(), pair.RefreshToken)
				must(t, err)
				last := next
				if k.useNext {
					last, err = s.Refresh(ctx(), next.RefreshToken)
					must(t, err)
				}
				c.add(k.wait)
				again, err := s.Refresh(ctx(), pair.RefreshToken)
				switch {
				case k.want != "":
					wantCode(t, "replay", err, k.want)
				case err != nil || again.RefreshToken != next.RefreshToken:
					t.Errorf("not the same successor: %v", err)
				}
				_, err = s.Refresh(ctx(), last.RefreshToken)
				if (err == nil) != k.survives {
					t.Errorf("afterwards the family: %v", err)
				}
				_, err = s.Authenticate(ctx(), next.AccessToken)
				if k.wait < 10*time.Minute && (err == nil) != k.survives {
					t.Errorf("afterwards the access token: %v", err)
				}
			})
		})
	}
}

// Whoever comes first, once both have used the token the session is over for both, and a metric tells.
func TestThreat_T06_ThiefAndVictimBothEndRevoked(t *testing.T) {
	cases := map[string]struct {
		uses int           // how often the first party goes on before the second comes
		wait time.Duration // and how long it waits
	}{
		"the thief first, and the victim comes when its token has expired": {1, 10 * time.Minute},
		"the victim first, who went on, and the thief a moment later":      {2, time.Second},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
				c := newClock()
				events := map[string]int{}
				s := replicaWith(t, c, st, func(d *identity.Deps) { d.Count = func(e string) { events[e]++ } })
				stolen := login(t, s, "alice")
				first, second := from("192.0.2.1"), from("198.51.100.9")
				last := stolen
				for range k.uses {
					next, err := s.Refresh(first, last.RefreshToken)
					must(t, err)
					last = next
				}
				c.add(k.wait)
				_, err := s.Refresh(second, stolen.RefreshToken)
				wantCode(t, "the second party", err, apperr.RefreshReused)
				_, err = s.Refresh(first, last.RefreshToken)
				wantCode(t, "the first party", err, apperr.Unauthorized)
				_, err = s.Refresh(second, stolen.RefreshToken)
				wantCode(t, "the second party again", err, apperr.Unauthorized)
				if n := count(t, st, "SELECT count(*) FROM audit WHERE action = ? AND outcome = ?", "session.refresh", "refresh_reused"); n != 1 {
					t.Errorf("%d audit rows", n)
				}
				if n := count(t, st, "SELECT count(*) FROM refresh_tokens WHERE revoked = ?", false); n != 0 {
					t.Errorf("%d tokens still stand", n)
				}
				if events["session.refresh.refresh_reused"] != 1 {
					t.Errorf("counted: %v", events)
				}
			})
		})
	}
}

func TestThreat_T06_ForgedAndForeignRefreshTokens(t *testing.T) {
	st := openSQLite(t)
	s := replica(t, st, newClock(), nil)
	pair := login(t, s, "alice")
	body := pair.RefreshToken[len("ergr_"):]
	other := "A"
	if body[:1] == other { // one of 64 begins so
		other = "B"
	}
	bad := map[string]string{
		"empty": "", "prefix alone": "ergr_", "another prefix": "ergx_" + body, "cut": pair.RefreshToken[:40],
		"changed": "ergr_" + other + body[1:], "access token": pair.AccessToken, "longer": pair.RefreshToken + "AA",
	}
	for name, token := range bad {
		_, err := s.Refresh(ctx(), token)
		wantCode(t, name, err, apperr.Unauthorized)
	}
	if _, err := s.Refresh(ctx(), pair.RefreshToken); err != nil {
		t.Errorf("the real one suffered: %v", err)
	}
}

func TestThreat_T06_ADumpHoldsNoToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		pair := login(t, s, "alice")
		next, err := s.Refresh(ctx(), pair.RefreshToken)
		must(t, err)
		_, err = s.CreateCluster(ctx(), "hpc")
		must(t, err)
		enrol, _, err := s.EnrolToken(ctx(), "hpc", "system", "")
		must(t, err)
		challenge, _, err := s.CreateChallenge(as(t, s, next.AccessToken), "hpc")
		must(t, err)
		invitation, _, err := s.Invite(ctx())
		must(t, err)
		dump := dumpText(t, st)
		_, private := s.Signer()
		for name, secret := range map[string]string{
			"refresh token": pair.RefreshToken, "its body": pair.RefreshToken[5:], "successor": next.RefreshToken, "access token": next.AccessToken,
			"enrolment": enrol, "challenge": challenge, "invitation": invitation, "password": testPassword, "signing key": b64.EncodeToString(private.Seed()),
		} {
			if containsText(dump, secret) {
				t.Errorf("the database holds the %s", name)
			}
		}
		if !containsText(dump, "alice") {
			t.Error("the dump does not even hold the user name: it proves nothing")
		}
	})
}

func TestAnUnusedSessionExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, func(cfg *identity.Config) { cfg.RefreshTTL = time.Hour })
		pair := login(t, s, "alice")
		c.add(time.Hour)
		_, err := s.Refresh(ctx(), pair.RefreshToken)
		wantCode(t, "after an hour", err, apperr.TokenExpired)
	})
}
