package identity_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func TestAnEnrolmentTokenWorksOnceAndForFifteenMinutes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		_, err := s.CreateCluster(ctx(), "hpc")
		must(t, err)
		token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
		must(t, err)
		var ok atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				_, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: fmt.Sprint("login", i), PublicKey: newAgentKey(t).public(), Version: "1"})
				if err == nil {
					ok.Add(1)
				} else if !apperr.Is(err, apperr.Forbidden) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("%d agents came out of one token", ok.Load())
		}
		late, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
		must(t, err)
		c.add(15 * time.Minute)
		_, err = s.Enrol(ctx(), identity.EnrolRequest{Token: late, Name: "login1", PublicKey: newAgentKey(t).public(), Version: "1"})
		wantCode(t, "after 15 minutes", err, apperr.Forbidden)
	})
}

func TestARefusedEnrolmentDoesNotUseTheTokenUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		login(t, s, "owner1")
		_, err := s.CreateCluster(ctx(), "hpc")
		must(t, err)
		token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentUser, "owner1")
		must(t, err)
		req := identity.EnrolRequest{Token: token, Name: "login1", PublicKey: newAgentKey(t).public(), Version: "1"}
		_, err = s.Enrol(ctx(), req)
		wantCode(t, "a user agent without a uid", err, apperr.InvalidRequest)
		uid := int64(1000)
		req.UID, req.UnixName = &uid, "alice"
		_, err = s.Enrol(ctx(), req)
		must(t, err)
	})
}

func TestOnlyAdminsMakeTokensForSystemAgents(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), nil)
	_, err := s.CreateCluster(ctx(), "hpc")
	must(t, err)
	for _, role := range []principal.Role{principal.RoleUser, principal.RoleAccountManager, principal.RoleOperator, principal.RoleAdmin} {
		name := "u" + string(role)[:3]
		_, err := s.CreateUser(ctx(), name, testPassword, role)
		must(t, err)
		who := as(t, s, login(t, s, name).AccessToken)
		_, _, err = s.CreateEnrolment(who, "hpc", principal.AgentSystem)
		if (err == nil) != (role == principal.RoleAdmin) {
			t.Errorf("%s: %v", role, err)
		}
		if _, _, err := s.CreateEnrolment(who, "hpc", principal.AgentUser); err != nil {
			t.Errorf("%s for itself: %v", role, err)
		}
	}
}

func TestThreat_T08_AssertionsOfAgents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		_, err := s.CreateCluster(ctx(), "hpc")
		must(t, err)
		k, other := newAgentKey(t), newAgentKey(t)
		token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
		must(t, err)
		a, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login1", PublicKey: k.public(), Version: "1"})
		must(t, err)
		now := c.now().Unix()
		table := map[string]string{
			"another key":            other.assertion(t, s, a.ID, nil),
			"unknown agent":          k.assertion(t, s, uuid.NewString(), nil),
			"sub that is no id":      k.assertion(t, s, "' OR 1=1 --", nil),
			"iss is another":         k.assertion(t, s, a.ID, map[string]any{"iss": uuid.NewString()}),
			"for another server":     k.assertion(t, s, a.ID, map[string]any{"aud": "https://other.example"}),
			"no audience":            k.assertion(t, s, a.ID, map[string]any{"aud": nil}),
			"no jti":                 k.assertion(t, s, a.ID, map[string]any{"jti": nil}),
			"no exp":                 k.assertion(t, s, a.ID, map[string]any{"exp": nil}),
			"expired":                k.assertion(t, s, a.ID, map[string]any{"iat": now - 400, "exp": now - 100}),
			"good for a day":         k.assertion(t, s, a.ID, map[string]any{"exp": now + 86400}),
			"agent's clock +1 h":     k.assertion(t, s, a.ID, map[string]any{"iat": now + 3600, "exp": now + 3900}),
			"agent's clock -1 h":     k.assertion(t, s, a.ID, map[string]any{"iat": now - 3600, "exp": now - 3300}),
			"an access token":        login(t, s, "alice").AccessToken,
			"public key as a secret": newForger(s, a.ID, "").hmacWith([]byte(k.public())),
			"empty":                  "",
		}
		for name, assertion := range table {
			_, _, err := s.AgentToken(ctx(), assertion)
			wantCode(t, name, err, apperr.Unauthorized)
		}
		good := k.assertion(t, s, a.ID, nil)
		access, _, err := s.AgentToken(ctx(), good)
		must(t, err)
		_, _, err = s.AgentToken(ctx(), good)
		wantCode(t, "the same assertion again", err, apperr.Unauthorized)
		must(t, s.RevokeAgent(ctx(), a.ID))
		_, err = s.Authenticate(ctx(), access)
		wantCode(t, "token of a revoked agent", err, apperr.Unauthorized)
		_, _, err = s.AgentToken(ctx(), k.assertion(t, s, a.ID, nil))
		wantCode(t, "assertion of a revoked agent", err, apperr.Unauthorized)
	})
}

// linking is a cluster with a system agent and two people who hold challenges.
type linking struct {
	s     *identity.Service
	c     *clock
	agent func() context.Context
	alice identity.TokenPair
	bob   identity.TokenPair
}

func newLinking(t *testing.T, st *gormstore.Store) linking {
	t.Helper()
	c := newClock()
	s := replica(t, st, c, nil)
	_, token := enrolled(t, s, principal.AgentSystem)
	return linking{
		s: s, c: c, agent: func() context.Context { return as(t, s, token) }, alice: login(t, s, "alice"), bob: login(t, s, "bob"),
	}
}

func (l linking) challenge(t *testing.T, who identity.TokenPair) string {
	t.Helper()
	ch, _, err := l.s.CreateChallenge(as(t, l.s, who.AccessToken), "hpc")
	must(t, err)
	return ch
}

func confirmation(challenge string, uid int64, name string) identity.Confirmation {
	return identity.Confirmation{Challenge: challenge, UID: uid, GID: uid, UnixName: name, Nonce: "0123456789abcdef"}
}

func TestALinkIsMadeOnceAndEachSideIsUnique(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		ch := l.challenge(t, l.alice)
		link, err := l.s.ConfirmLink(l.agent(), confirmation(ch, 1000, "alice"))
		must(t, err)
		if link.UserID != l.alice.UserID || link.ClusterName != "hpc" || link.SelfAsserted {
			t.Errorf("%+v", link)
		}
		again, err := l.s.ConfirmLink(l.agent(), confirmation(ch, 1000, "alice"))
		if err != nil || again.ID != link.ID {
			t.Errorf("a lost answer: %v %v", again, err)
		}
		_, err = l.s.ConfirmLink(l.agent(), confirmation(ch, 1001, "eve"))
		wantCode(t, "a used challenge for another uid", err, apperr.ChallengeExpired)
		_, err = l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.bob), 1000, "alice"))
		wantCode(t, "a uid that is linked", err, apperr.Conflict)
		_, err = l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1001, "alice2"))
		wantCode(t, "an account that is linked", err, apperr.Conflict)
		late := l.challenge(t, l.bob)
		l.c.add(2 * time.Minute)
		_, err = l.s.ConfirmLink(l.agent(), confirmation(late, 1001, "bob"))
		wantCode(t, "after two minutes", err, apperr.ChallengeExpired)
		_, err = l.s.ConfirmLink(l.agent(), confirmation("ergl_nothing", 1001, "bob"))
		wantCode(t, "an invented challenge", err, apperr.ChallengeExpired)
	})
}

func TestAChallengeIsForItsClusterAndForSystemAgents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		_, err := l.s.CreateCluster(ctx(), "other")
		must(t, err)
		ch, _, err := l.s.CreateChallenge(as(t, l.s, l.alice.AccessToken), "other")
		must(t, err)
		_, err = l.s.ConfirmLink(l.agent(), confirmation(ch, 1000, "alice"))
		wantCode(t, "challenge of another cluster", err, apperr.ChallengeExpired)
		_, userAgent := enrolled(t, l.s, principal.AgentUser)
		_, err = l.s.ConfirmLink(as(t, l.s, userAgent), confirmation(l.challenge(t, l.alice), 1000, "alice"))
		wantCode(t, "a user agent that vouches", err, apperr.Forbidden)
		err = l.s.UnlinkUID(as(t, l.s, userAgent), 1000)
		wantCode(t, "a user agent that unlinks", err, apperr.Forbidden)
		_, err = l.s.ConfirmLink(as(t, l.s, l.alice.AccessToken), confirmation(l.challenge(t, l.alice), 1000, "alice"))
		wantCode(t, "a user that vouches", err, apperr.Forbidden)
	})
}

func TestThreat_T23_LinksAreAssertedIdentities(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		ch := l.challenge(t, l.alice)
		agents, err := l.s.Agents(ctx())
		must(t, err, l.s.SetAgentScopes(ctx(), agents[0].ID, []principal.Scope{principal.ScopeJobsLinked}))
		_, err = l.s.ConfirmLink(l.agent(), confirmation(ch, 1000, "alice"))
		wantCode(t, "an agent without identity:assert", err, apperr.Forbidden)
		must(t, l.s.SetAgentScopes(ctx(), agents[0].ID, identity.AgentScopes(principal.AgentSystem)))
		must(t, l.s.SetRole(ctx(), "alice", principal.RoleOperator))
		_, err = l.s.ConfirmLink(l.agent(), confirmation(ch, 1000, "alice"))
		wantCode(t, "an account that is an operator since", err, apperr.ChallengeExpired)
		for _, role := range []principal.Role{principal.RoleAccountManager, principal.RoleOperator, principal.RoleAdmin} {
			must(t, l.s.SetRole(ctx(), "bob", role))
			l.c.add(10 * time.Second)
			_, _, err = l.s.CreateChallenge(as(t, l.s, l.bob.AccessToken), "hpc")
			wantCode(t, "a challenge of the role "+string(role), err, apperr.Forbidden)
		}
		must(t, l.s.SetRole(ctx(), "alice", principal.RoleUser))
		_, err = l.s.ConfirmLink(l.agent(), confirmation(ch, 1000, "alice"))
		must(t, err)
	})
}

func TestUnlinkingFromEitherSide(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		link, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice"))
		must(t, err)
		err = l.s.DeleteLink(as(t, l.s, l.bob.AccessToken), link.ID)
		wantCode(t, "another's link", err, apperr.NotFound)
		must(t, l.s.DeleteLink(as(t, l.s, l.alice.AccessToken), link.ID))
		_, err = l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.bob), 1000, "alice"))
		must(t, err, l.s.UnlinkUID(l.agent(), 1000))
		err = l.s.UnlinkUID(l.agent(), 1000)
		wantCode(t, "nothing left", err, apperr.NotFound)
	})
}

func TestAUIDThatChangedHandsSuspendsItsLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		link, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice"))
		must(t, err)
		see := func(name string, gid *int64, at time.Time) int {
			n, err := l.s.Seen(ctx(), link.ClusterID, []identity.Sighting{{UID: 1000, GID: gid, UnixName: name, At: at}})
			must(t, err)
			return n
		}
		before, later, other := link.ConfirmedAt.Add(-time.Hour), link.ConfirmedAt.Add(time.Second), int64(4711)
		if see("alice", nil, later) != 0 || see("mallory", nil, before) != 0 {
			t.Fatal("suspended without cause")
		}
		if see("mallory", nil, later) != 1 {
			t.Error("another name did not suspend the link")
		}
		if see("mallory", nil, later) != 0 || see("alice", &other, later) != 0 {
			t.Error("suspended twice")
		}
		links, err := l.s.Links(as(t, l.s, l.alice.AccessToken))
		if err != nil || len(links) != 1 || !links[0].Suspended {
			t.Errorf("%+v %v", links, err)
		}
		again, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice"))
		if err != nil || again.Suspended || again.ID != link.ID {
			t.Errorf("confirmed anew: %+v %v", again, err)
		}
		if see("alice", &other, later) != 1 {
			t.Error("another group did not suspend the link")
		}
	})
}

func TestAUserAgentIsItsOwnersAndReservesNoUID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		a, token := enrolled(t, l.s, principal.AgentUser) // says uid 1000 of itself
		p, err := l.s.Authenticate(ctx(), token)
		must(t, err)
		if p.OwnerUserID == "" || p.UID == nil || *p.UID != 1000 || p.Has(principal.ScopeAccountingCluster) || p.Has(principal.ScopeIdentityAssert) {
			t.Errorf("%+v", p)
		}
		_, links, err := l.s.AgentSelf(principal.With(ctx(), p))
		if err != nil || len(links) != 1 || !links[0].SelfAsserted || links[0].UserID != p.OwnerUserID {
			t.Fatalf("%+v %v", links, err)
		}
		if _, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice")); err != nil {
			t.Errorf("the uid was reserved: %v", err)
		}
		owner := login(t, l.s, "owner1")
		must(t, l.s.DeleteLink(as(t, l.s, owner.AccessToken), a.ID))
		_, err = l.s.Authenticate(ctx(), token)
		wantCode(t, "after its owner removed it", err, apperr.Unauthorized)
	})
}
