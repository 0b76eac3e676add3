package identity_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// provider plays an OpenID provider; the real one is tried in package oidc.
type provider struct {
	who  identity.Subject
	seen identity.Binding
	err  error
	now  func() time.Time
}

func (*provider) Name() string { return "University" }

func (*provider) AuthURL(_ context.Context, b identity.Binding) (string, error) {
	return "https://idp.example/auth?" + url.Values{"state": {b.State}, "nonce": {b.Nonce}, "verifier": {b.Verifier}}.Encode(), nil
}

func (p *provider) Exchange(_ context.Context, code string, b identity.Binding) (identity.Subject, error) {
	p.seen = b
	if code != "code" {
		return identity.Subject{}, errors.New("no such code")
	}
	who := p.who
	if who.AuthAt.IsZero() {
		who.AuthAt = p.now()
	}
	return who, p.err
}

func withProvider(t testing.TB, st *gormstore.Store, c *clock, p *provider, accounts bool) *identity.Service {
	t.Helper()
	cfg, deps := testConfig(), depsFor(st, c, testSecret)
	cfg.OIDCAccounts, deps.Provider, p.now = accounts, p, c.now
	s, err := identity.New(cfg, deps)
	must(t, err)
	must(t, s.Ready(context.Background()))
	return s
}

// sentTo begins a sign-in and gives what the browser carries to the provider.
func sentTo(t testing.TB, s *identity.Service, cookie string) url.Values {
	t.Helper()
	address, err := s.OIDCStart(ctx(), cookie)
	must(t, err)
	u, err := url.Parse(address)
	must(t, err)
	return u.Query()
}

func fresh(t testing.TB, s *identity.Service) string {
	t.Helper()
	cookie, err := s.NewPageCookie()
	must(t, err)
	return cookie
}

func TestTheFirstSignInAtTheProviderMakesAnAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		p := &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42", Username: "alice"}}
		s := withProvider(t, st, newClock(), p, true)
		var ids []string
		for range 2 {
			cookie := fresh(t, s)
			q := sentTo(t, s, cookie)
			signedIn, err := s.OIDCFinish(ctx(), cookie, q.Get("state"), "code")
			must(t, err)
			if p.seen.Nonce != q.Get("nonce") || p.seen.Verifier != q.Get("verifier") || len(p.seen.Verifier) < 43 {
				t.Errorf("%+v came back, %v was sent", p.seen, q)
			}
			who, name, err := s.Page(ctx(), signedIn)
			must(t, err)
			if name != "alice" || who.Method != principal.MethodOIDC {
				t.Errorf("%s %+v", name, who)
			}
			ids = append(ids, who.ID)
		}
		if ids[0] != ids[1] {
			t.Error("the second sign-in made another account")
		}
		must(t, s.SetDisabled(ctx(), "alice", true))
		cookie := fresh(t, s)
		_, err := s.OIDCFinish(ctx(), cookie, sentTo(t, s, cookie).Get("state"), "code")
		wantCode(t, "a disabled account", err, apperr.Forbidden)
	})
}

func TestAnIdentityIsDisconnectedWhereAPasswordIsLeft(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		p := &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42", Username: "carol"}}
		s := withProvider(t, st, c, p, true)
		signIn := func() (string, error) {
			cookie := fresh(t, s)
			return s.OIDCFinish(ctx(), cookie, sentTo(t, s, cookie).Get("state"), "code")
		}
		_, err := signIn()
		must(t, err)
		wantCode(t, "the only way in", s.DisconnectOIDCOf(ctx(), "carol"), apperr.Conflict)
		must(t, s.ResetPassword(ctx(), "carol", testPassword))
		page, err := signIn()
		must(t, err)
		who := as(t, s, login(t, s, "carol").AccessToken)
		c.add(6 * time.Minute)
		wantCode(t, "after six minutes", s.DisconnectOIDC(who), apperr.Forbidden)
		who = as(t, s, login(t, s, "carol").AccessToken)
		must(t, s.DisconnectOIDC(who))
		_, _, err = s.Page(ctx(), page)
		wantCode(t, "the page that was open", err, apperr.Unauthorized)
		_, err = signIn()
		wantCode(t, "the identity", err, apperr.Forbidden) // the name is taken, and never taken over
		wantCode(t, "once more", s.DisconnectOIDC(who), apperr.NotFound)
		login(t, s, "carol")
		login(t, s, "dave1")
		wantCode(t, "nothing connected", s.DisconnectOIDCOf(ctx(), "dave1"), apperr.NotFound)
	})
}

func TestASignInIsAsFreshAsAtTheProvider(t *testing.T) {
	c := newClock()
	p := &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42", Username: "alice", AuthAt: c.now().Add(-4 * time.Minute)}}
	s := withProvider(t, openSQLite(t), c, p, true)
	cookie := fresh(t, s)
	page, err := s.OIDCFinish(ctx(), cookie, sentTo(t, s, cookie).Get("state"), "code")
	must(t, err)
	who, _, err := s.Page(ctx(), page)
	must(t, err)
	if !who.AuthAt.Equal(p.who.AuthAt) {
		t.Errorf("the login counts from %s, at the provider it was %s", who.AuthAt, p.who.AuthAt)
	}
}

func TestASignInBelongsToTheBrowserThatBeganIt(t *testing.T) {
	c := newClock()
	p := &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42", Username: "alice"}}
	s := withProvider(t, openSQLite(t), c, p, true)
	mine, theirs := fresh(t, s), fresh(t, s)
	state := sentTo(t, s, mine).Get("state")
	other := "A"
	if state[:1] == other {
		other = "B"
	}
	for name, try := range map[string][2]string{
		"another browser": {theirs, state}, "no cookie": {"", state}, "no state": {mine, ""}, "a short state": {mine, state[:20]},
		"a changed state": {mine, other + state[1:len(state)-1] + "A"},
	} {
		_, err := s.OIDCFinish(ctx(), try[0], try[1], "code")
		wantCode(t, name, err, apperr.Forbidden)
	}
	c.add(16 * time.Minute)
	_, err := s.OIDCFinish(ctx(), mine, state, "code")
	wantCode(t, "16 minutes later", err, apperr.Forbidden)
	if p.seen.State != "" {
		t.Error("a code reached the provider")
	}
}

func TestANameThatIsTakenIsNotTakenOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		p := &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42", Username: "alice"}}
		s := withProvider(t, st, c, p, true)
		pair := login(t, s, "alice")
		cookie := fresh(t, s)
		_, err := s.OIDCFinish(ctx(), cookie, sentTo(t, s, cookie).Get("state"), "code")
		wantCode(t, "the name is alice's", err, apperr.Forbidden)

		page, err := s.PageLogin(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
		must(t, err)
		joined, err := s.OIDCFinish(ctx(), page, sentTo(t, s, page).Get("state"), "code")
		must(t, err)
		who, _, err := s.Page(ctx(), joined)
		must(t, err)
		if who.ID != pair.UserID {
			t.Errorf("joined to %s", who.ID)
		}
		login(t, s, "bob1")
		bob, err := s.PageLogin(ctx(), identity.Credentials{Username: "bob1", Password: testPassword})
		must(t, err)
		_, err = s.OIDCFinish(ctx(), bob, sentTo(t, s, bob).Get("state"), "code")
		wantCode(t, "alice's identity for bob", err, apperr.Conflict)
	})
}

func TestAccountsByTheProviderCanBeTurnedOff(t *testing.T) {
	p := &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42", Username: "alice"}}
	s := withProvider(t, openSQLite(t), newClock(), p, false)
	cookie := fresh(t, s)
	_, err := s.OIDCFinish(ctx(), cookie, sentTo(t, s, cookie).Get("state"), "code")
	wantCode(t, "an unknown identity", err, apperr.Forbidden)
	_, err = s.OIDCFinish(ctx(), cookie, sentTo(t, s, cookie).Get("state"), "wrong")
	wantCode(t, "a code that the provider refuses", err, apperr.Forbidden)
	p.who.Username = "Alice Smith"
	open := withProvider(t, openSQLite(t), newClock(), p, true)
	cookie = fresh(t, open)
	_, err = open.OIDCFinish(ctx(), cookie, sentTo(t, open, cookie).Get("state"), "code")
	wantCode(t, "a name that cannot be an account's", err, apperr.Forbidden)
}
