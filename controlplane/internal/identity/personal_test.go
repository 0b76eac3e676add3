package identity_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func tokenRequest() identity.PersonalRequest {
	return identity.PersonalRequest{Name: "nightly report", Scopes: []principal.Scope{principal.ScopeJobsRead}, Life: 24 * time.Hour}
}

func withTokens(cfg *identity.Config) { cfg.TokenMaxTTL = 366 * 24 * time.Hour }

func TestAPersonalTokenWorksUntilItExpiresOrIsRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		one, two := replica(t, st, c, withTokens), replica(t, st, c, withTokens)
		alice := as(t, one, login(t, one, "alice").AccessToken)
		made, text, err := one.CreateToken(alice, tokenRequest())
		must(t, err)
		if !regexp.MustCompile(`^ergpat_[A-Za-z0-9_-]{48}$`).MatchString(text) {
			t.Errorf("%q is not what secret scanners look for", text)
		}
		p, err := two.Authenticate(ctx(), text)
		must(t, err)
		if p.Kind != principal.User || p.TokenID != made.ID || p.SessionID != "" || !slices.Equal(p.Scopes, tokenRequest().Scopes) || p.May(principal.ScopeFilesRead) {
			t.Errorf("%+v", p)
		}
		list, err := one.Tokens(alice)
		must(t, err)
		if len(list) != 1 || list[0].LastUsedAt == nil || !list[0].LastUsedAt.Equal(c.now()) {
			t.Errorf("%+v", list)
		}
		if dump := dumpText(t, st); containsText(dump, text) || containsText(dump, text[len("ergpat_"):]) {
			t.Error("the database holds the token")
		}
		must(t, one.RevokeToken(alice, made.ID))
		_, err = one.Authenticate(ctx(), text)
		wantCode(t, "where it was revoked", err, apperr.Unauthorized)
		c.add(10 * time.Second)
		_, err = two.Authenticate(ctx(), text)
		wantCode(t, "on the other replica, ten seconds later", err, apperr.Unauthorized)

		_, text, err = one.CreateToken(alice, tokenRequest())
		must(t, err)
		_, err = one.Authenticate(ctx(), text)
		must(t, err)
		c.add(24 * time.Hour)
		_, err = one.Authenticate(ctx(), text)
		wantCode(t, "after its life", err, apperr.TokenExpired)
	})
}

func TestThreat_T07_APersonalTokenCannotDoWhatNeedsAPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, withTokens)
		first := login(t, s, "alice")
		alice := as(t, s, first.AccessToken)
		_, text, err := s.CreateToken(alice, tokenRequest())
		must(t, err)
		program := as(t, s, text)
		_, _, err = s.CreateToken(program, tokenRequest())
		wantCode(t, "making another token", err, apperr.Forbidden)
		wantCode(t, "logging out", s.Logout(program, false), apperr.Forbidden)
		if _, err := s.Authenticate(ctx(), first.AccessToken); err != nil {
			t.Errorf("its logout ended a session: %v", err)
		}
		must(t, s.SetRole(ctx(), "alice", principal.RoleAdmin), s.SetRole(ctx(), "alice", principal.RoleAdmin))
		_, err = s.CreateCluster(ctx(), "hpc")
		must(t, err)
		c.add(10 * time.Second)
		_, _, err = s.CreateEnrolment(as(t, s, text), "hpc", principal.AgentSystem)
		wantCode(t, "enrolling a system agent", err, apperr.Forbidden)
		c.add(5*time.Minute + time.Second)
		second, err := s.Refresh(ctx(), first.RefreshToken)
		must(t, err)
		_, _, err = s.CreateToken(as(t, s, second.AccessToken), tokenRequest())
		wantCode(t, "with a login of more than five minutes ago", err, apperr.Forbidden)
		must(t, s.SetDisabled(ctx(), "alice", true))
		c.add(10 * time.Second)
		_, err = s.Authenticate(ctx(), text)
		wantCode(t, "of a disabled account", err, apperr.Unauthorized)
	})
}

func TestOthersTokensAreNotFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), withTokens)
		made, text, err := s.CreateToken(as(t, s, login(t, s, "alice").AccessToken), tokenRequest())
		must(t, err)
		bob := as(t, s, login(t, s, "bob1").AccessToken)
		wantCode(t, "revoking it", s.RevokeToken(bob, made.ID), apperr.NotFound)
		if list, err := s.Tokens(bob); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		if _, err := s.Authenticate(ctx(), text); err != nil {
			t.Error(err)
		}
	})
}

func TestAnAccountHasAHundredTokensAtMost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), withTokens)
		alice := as(t, s, login(t, s, "alice").AccessToken)
		for range 100 {
			_, _, err := s.CreateToken(alice, tokenRequest())
			must(t, err)
		}
		_, _, err := s.CreateToken(alice, tokenRequest())
		wantCode(t, "one more", err, apperr.Conflict)
		must(t, s.RevokeTokensOf(ctx(), "alice"))
		_, _, err = s.CreateToken(alice, tokenRequest())
		must(t, err)
	})
}

func TestTokenRequestsAreChecked(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), withTokens)
	alice := as(t, s, login(t, s, "alice").AccessToken)
	for name, change := range map[string]func(*identity.PersonalRequest){
		"no name":          func(r *identity.PersonalRequest) { r.Name = "" },
		"an escape":        func(r *identity.PersonalRequest) { r.Name = "a\x1b[2J" },
		"no scope":         func(r *identity.PersonalRequest) { r.Scopes = nil },
		"an agent's scope": func(r *identity.PersonalRequest) { r.Scopes = []principal.Scope{principal.ScopeIdentityAssert} },
		"a scope twice":    func(r *identity.PersonalRequest) { r.Scopes = append(r.Scopes, r.Scopes[0]) },
		"no life":          func(r *identity.PersonalRequest) { r.Life = 0 },
		"two years":        func(r *identity.PersonalRequest) { r.Life = 2 * 366 * 24 * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			r := tokenRequest()
			change(&r)
			_, _, err := s.CreateToken(alice, r)
			wantCode(t, name, err, apperr.InvalidRequest)
		})
	}
}

func TestNoiseThatLooksLikeATokenNeverReachesTheDatabase(t *testing.T) {
	st := openSQLite(t)
	s := replica(t, st, newClock(), withTokens)
	_, text, err := s.CreateToken(as(t, s, login(t, s, "alice").AccessToken), tokenRequest())
	must(t, err)
	must(t, st.Close()) // a question would be another error than unauthorized
	last := byte('A')
	if text[len(text)-1] == last {
		last = 'B'
	}
	for _, noise := range []string{"ergpat_", text[:len(text)-1], text + "A", text[:20] + "_" + text[21:len(text)-1] + string(last)} {
		_, err := s.Authenticate(ctx(), noise)
		wantCode(t, "noise", err, apperr.Unauthorized)
	}
}
