package identity_test

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// onPage signs a person in on the confirmation page.
func onPage(t testing.TB, s *identity.Service, name string) context.Context {
	t.Helper()
	_, err := s.Register(ctx(), identity.Credentials{Username: name, Password: testPassword})
	if err != nil && !apperr.Is(err, apperr.AlreadyExists) {
		t.Fatal(err)
	}
	cookie, err := s.PageLogin(ctx(), identity.Credentials{Username: name, Password: testPassword})
	must(t, err)
	p, account, err := s.Page(ctx(), cookie)
	must(t, err)
	if account != name {
		t.Fatalf("the page is signed in as %q", account)
	}
	return principal.With(ctx(), p)
}

func wantGrant(t testing.TB, what string, err error, code string) {
	t.Helper()
	var g *identity.GrantError
	if !errors.As(err, &g) || g.Code != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func TestADeviceIsLetInOnceAndByTheCodeThatItShows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		codes, err := s.StartDevice(ctx(), identity.DeviceClient{Host: "login1", Cluster: "hpc"})
		must(t, err)
		if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(codes.UserCode) || codes.Interval != 5*time.Second || codes.ExpiresIn != 10*time.Minute {
			t.Errorf("%+v", codes)
		}
		_, err = s.PollDevice(ctx(), codes.DeviceCode)
		wantGrant(t, "nobody has confirmed", err, "authorization_pending")
		page := onPage(t, s, "alice")
		c.add(3 * time.Minute)
		g, err := s.FindDevice(page, " "+codes.UserCode[:4]+codes.UserCode[5:]+" ")
		must(t, err)
		if g.Client.Host != "login1" || g.Client.Cluster != "hpc" || g.RemoteAddr != "192.0.2.7" || c.now().Sub(g.CreatedAt) != 3*time.Minute {
			t.Errorf("%+v", g)
		}
		must(t, s.DecideDevice(page, codes.UserCode, true))
		wantCode(t, "a second decision", s.DecideDevice(page, codes.UserCode, false), apperr.NotFound)
		pair, err := s.PollDevice(ctx(), codes.DeviceCode)
		must(t, err)
		p, err := s.Authenticate(ctx(), pair.AccessToken)
		must(t, err)
		if p.Method != principal.MethodDevice || !p.AuthAt.Equal(c.now().Add(-3*time.Minute)) {
			t.Errorf("the session is %+v, the person signed in three minutes ago", p)
		}
		_, err = s.PollDevice(ctx(), codes.DeviceCode)
		wantGrant(t, "used", err, "invalid_grant")
		_, err = s.Refresh(ctx(), pair.RefreshToken)
		must(t, err)
	})
}

func TestDevicePollsAnswerAsRFC8628Says(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		start := func() identity.DeviceCodes {
			codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
			must(t, err)
			return codes
		}
		poll := func(after time.Duration, d identity.DeviceCodes, want string) {
			t.Helper()
			c.add(after)
			_, err := s.PollDevice(ctx(), d.DeviceCode)
			wantGrant(t, "poll", err, want)
		}
		fast := start()
		poll(0, fast, "authorization_pending")
		poll(5*time.Second, fast, "authorization_pending")
		poll(2*time.Second, fast, "slow_down")
		poll(6*time.Second, fast, "slow_down") // ten seconds now
		poll(15*time.Second, fast, "authorization_pending")
		poll(10*time.Minute, fast, "expired_token")

		refused := start()
		page := onPage(t, s, "alice")
		must(t, s.DecideDevice(page, refused.UserCode, false))
		poll(5*time.Second, refused, "access_denied")

		late := start()
		c.add(10 * time.Minute)
		page = onPage(t, s, "alice")
		_, err := s.FindDevice(page, late.UserCode)
		wantCode(t, "an old code", err, apperr.NotFound)
		wantCode(t, "an old code", s.DecideDevice(page, late.UserCode, true), apperr.NotFound)

		poll(0, identity.DeviceCodes{DeviceCode: "ergd_nothing"}, "invalid_grant")
		poll(0, identity.DeviceCodes{DeviceCode: "noise"}, "invalid_grant")

		gone := start()
		page = onPage(t, s, "alice")
		must(t, s.DecideDevice(page, gone.UserCode, true), s.SetDisabled(ctx(), "alice", true))
		poll(5*time.Second, gone, "access_denied")
	})
}

func TestManyPollsOfOneApprovedDeviceGiveOneSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
		must(t, err)
		must(t, s.DecideDevice(onPage(t, s, "alice"), codes.UserCode, true))
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := 0
		for range 16 {
			wg.Go(func() {
				if _, err := s.PollDevice(ctx(), codes.DeviceCode); err == nil {
					mu.Lock()
					got++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if got != 1 {
			t.Errorf("%d polls got tokens", got)
		}
	})
}

func TestThreat_T15_UserCodesCannotBeTriedOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		one, two := replica(t, st, c, nil), replica(t, st, c, nil)
		page := onPage(t, one, "mallory")
		own, err := one.StartDevice(ctx(), identity.DeviceClient{})
		must(t, err)
		admitted := 0
		for i := range 60 {
			s, code := one, "BBBB-BBBB"
			if i%2 == 1 {
				s, code = two, own.UserCode // a right code does not reset the count
			}
			if _, err := s.FindDevice(page, code); !apperr.Is(err, apperr.RateLimited) {
				admitted++
			}
		}
		if admitted != 20 {
			t.Errorf("%d codes were looked up, 20 are allowed", admitted)
		}
		decided := 0
		for range 60 { // nor without looking them up
			if err := one.DecideDevice(page, "BBBB-BBBB", true); !apperr.Is(err, apperr.RateLimited) {
				decided++
			}
		}
		if decided != 20 {
			t.Errorf("%d codes were decided, 20 are allowed", decided)
		}
	})
}

func TestNamesTypedAtTheLoginUseUpNobodysTries(t *testing.T) {
	c := newClock()
	s := replica(t, openSQLite(t), c, nil)
	p, err := principal.UserFrom(onPage(t, s, "alice"))
	must(t, err)
	for range 25 {
		_, err := s.Login(ctx(), identity.Credentials{Username: "device code\x00" + p.ID, Password: "x"})
		wantCode(t, "a login with no such name", err, apperr.InvalidCredentials)
		c.add(31 * time.Second) // more than its own delay
	}
	page := onPage(t, s, "alice")
	codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
	must(t, err)
	for range 2 {
		_, err = s.FindDevice(page, codes.UserCode)
		must(t, err)
	}
}

// faulty fails where a test says so.
type faulty struct {
	*gormstore.Store
	decide, state error
}

func (f *faulty) DecideDevice(ctx context.Context, d identity.DeviceDecision, now time.Time) error {
	if f.decide != nil {
		return f.decide
	}
	return f.Store.DecideDevice(ctx, d, now)
}

func (f *faulty) SessionState(ctx context.Context, id string) (identity.SessionState, error) {
	if f.state != nil {
		return identity.SessionState{}, f.state
	}
	return f.Store.SessionState(ctx, id)
}

func onFaulty(t *testing.T, f *faulty, c *clock) *identity.Service {
	t.Helper()
	deps := depsFor(f.Store, c, testSecret)
	deps.Stores.Devices, deps.Stores.Sessions = f, f
	s, err := identity.New(testConfig(), deps)
	must(t, err)
	must(t, s.Ready(ctx()))
	return s
}

func TestADecisionThatCouldNotBeStoredIsNotAuditedAsMade(t *testing.T) {
	f := &faulty{Store: openSQLite(t)}
	s := onFaulty(t, f, newClock())
	page := onPage(t, s, "alice")
	codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
	must(t, err)
	for _, want := range []int{0, 1} {
		f.decide = nil
		if want == 0 {
			f.decide = errors.New("the disk is full")
		}
		if err := s.DecideDevice(page, codes.UserCode, true); (err == nil) != (want == 1) {
			t.Errorf("got %v", err)
		}
		if n := count(t, f.Store, "SELECT count(*) FROM audit WHERE action = 'device.approved'"); n != want {
			t.Errorf("%d audit rows, want %d", n, want)
		}
	}
}

func TestAPageThatCannotBeLookedUpIsNoSignOut(t *testing.T) {
	c := newClock()
	f := &faulty{Store: openSQLite(t)}
	s := onFaulty(t, f, c)
	login(t, s, "alice")
	cookie, err := s.PageLogin(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
	must(t, err)
	f.state = errors.New("the disk is full")
	_, _, err = s.Page(ctx(), cookie)
	wantCode(t, "when the database fails", err, apperr.Internal)
	f.state = nil
	_, _, err = s.Page(ctx(), cookie)
	must(t, err)
}

func TestOnlyThePageConfirmsADevice(t *testing.T) {
	c := newClock()
	s := replica(t, openSQLite(t), c, nil)
	codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
	must(t, err)
	pair := login(t, s, "alice")
	_, err = s.FindDevice(as(t, s, pair.AccessToken), codes.UserCode)
	wantCode(t, "with an access token", err, apperr.Forbidden)
	wantCode(t, "with an access token", s.DecideDevice(as(t, s, pair.AccessToken), codes.UserCode, true), apperr.Forbidden)
	page := onPage(t, s, "alice")
	c.add(6 * time.Minute)
	wantCode(t, "signed in six minutes ago", s.DecideDevice(page, codes.UserCode, true), apperr.Forbidden)
}

func TestAPageCookieIsNoTokenOfTheAPIAndEndsWithItsSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		login(t, s, "alice")
		cookie, err := s.PageLogin(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
		must(t, err)
		_, err = s.Refresh(ctx(), cookie)
		wantCode(t, "as a refresh token", err, apperr.Unauthorized)
		_, err = s.Authenticate(ctx(), cookie)
		wantCode(t, "as an access token", err, apperr.Unauthorized)
		p, _, err := s.Page(ctx(), cookie)
		must(t, err)
		must(t, s.Logout(principal.With(ctx(), p), false))
		_, _, err = s.Page(ctx(), cookie)
		wantCode(t, "after a sign-out", err, apperr.Unauthorized)
		cookie, err = s.PageLogin(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
		must(t, err)
		c.add(16 * time.Minute)
		_, _, err = s.Page(ctx(), cookie)
		wantCode(t, "after 16 minutes", err, apperr.Unauthorized)
	})
}

func TestCSRFTokensAreBoundToTheirCookie(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), nil)
	a, err := s.NewPageCookie()
	must(t, err)
	b, err := s.NewPageCookie()
	must(t, err)
	if !s.CheckPageCSRF(a, s.PageCSRF(a)) || s.CheckPageCSRF(b, s.PageCSRF(a)) || s.CheckPageCSRF("", s.PageCSRF("")) || s.CheckPageCSRF(a, "") {
		t.Error("a token must fit its own cookie and nothing else")
	}
}

func TestUserCodesAreReadAsPeopleTypeThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[b-zB-Z]{4}[- ]?[b-zB-Z]{4}`)).Draw(t, "text")
		code, ok := identity.ParseUserCode(text)
		if ok && !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{8}$`).MatchString(code) {
			t.Fatalf("%q became %q", text, code)
		}
		if again, ok2 := identity.ParseUserCode(code); ok && (!ok2 || again != code) {
			t.Fatalf("%q is not read as itself", code)
		}
	})
	if code, ok := identity.ParseUserCode(" wdjb-mjht "); !ok || code != "WDJBMJHT" {
		t.Errorf("%q %v", code, ok)
	}
}
