package identity_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

const suspensions = "SELECT count(*) FROM audit WHERE action = 'link.suspend'"

// linkOf is the one link of an account, as its owner sees it.
func (l linking) linkOf(t *testing.T, who identity.TokenPair) identity.Link {
	t.Helper()
	list, err := l.s.Links(as(t, l.s, who.AccessToken))
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	return list[0]
}

func TestALinkThatNobodyConfirmsExpiresAndOneReplicaTellsOfIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		const life = time.Hour
		lasting := func(cfg *identity.Config) { cfg.LinkTTL = life }
		ticks := []func(){upkeep(t, replica(t, st, l.c, lasting)), upkeep(t, replica(t, st, l.c, lasting)), upkeep(t, replica(t, st, l.c, nil))}
		tick := func() {
			var wg sync.WaitGroup
			for _, one := range ticks {
				wg.Go(one)
			}
			wg.Wait()
		}
		confirm := func() {
			_, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice"))
			must(t, err)
		}
		confirm()
		l.c.add(life)
		tick()
		l = l.fresh(t)
		if l.linkOf(t, l.alice).Suspended {
			t.Error("suspended to the second, not after it")
		}
		l.c.add(time.Second)
		tick()
		l = l.fresh(t)
		if got := l.linkOf(t, l.alice); !got.Suspended || got.SuspendedFor != identity.SuspendedExpired {
			t.Errorf("after its time: %+v", got)
		}
		if n := count(t, st, suspensions); n != 1 {
			t.Errorf("%d of two replicas told of it", n)
		}
	})
}

// fresh is the same with new logins, where access tokens have expired.
func (l linking) fresh(t *testing.T) linking {
	t.Helper()
	l.alice, l.bob = login(t, l.s, "alice"), login(t, l.s, "bob")
	return l
}

func TestOperatorsSuspendAndRemoveLinks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		l := newLinking(t, st)
		link, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice"))
		must(t, err, l.s.SuspendLink(ctx(), link.ID))
		wantCode(t, "twice", l.s.SuspendLink(ctx(), link.ID), apperr.Conflict)
		all, names, err := l.s.AllLinks(ctx())
		must(t, err)
		if len(all) != 1 || all[0].ID != link.ID || !all[0].Suspended || all[0].SuspendedFor != identity.SuspendedOperator || names[all[0].UserID] != "alice" {
			t.Errorf("%+v of %v", all, names)
		}
		if n := count(t, st, suspensions+" AND subject = ?", link.ID); n != 1 {
			t.Errorf("%d audit rows", n)
		}
		must(t, l.s.RemoveLink(ctx(), link.ID))
		wantCode(t, "removed twice", l.s.RemoveLink(ctx(), link.ID), apperr.NotFound)
		if all, _, err = l.s.AllLinks(ctx()); err != nil || len(all) != 0 {
			t.Errorf("%+v %v", all, err)
		}
		if n := count(t, st, "SELECT count(*) FROM audit WHERE action = 'link.delete' AND subject = ?", link.ID); n != 1 {
			t.Errorf("%d audit rows", n)
		}
		if _, err := l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.bob), 1000, "alice")); err != nil {
			t.Errorf("the uid is not free again: %v", err)
		}
	})
}

func TestOperatorsEndSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s, there := replica(t, st, c, nil), replica(t, st, c, nil)
		first, second, other := login(t, s, "alice"), login(t, s, "alice"), login(t, s, "bob")
		as(t, there, first.AccessToken) // it is in the other replica's memory
		if n, err := s.EndSessions(ctx(), "alice", first.SessionID); err != nil || n != 1 {
			t.Fatalf("%d %v", n, err)
		}
		_, err := s.EndSessions(ctx(), "alice", other.SessionID)
		wantCode(t, "a session of somebody else", err, apperr.NotFound)
		_, err = s.Authenticate(ctx(), first.AccessToken)
		wantCode(t, "here, at once", err, apperr.Unauthorized)
		c.add(10 * time.Second)
		_, err = there.Authenticate(ctx(), first.AccessToken)
		wantCode(t, "there, after ten seconds", err, apperr.Unauthorized)
		as(t, s, second.AccessToken)
		if n, err := s.EndSessions(ctx(), "alice", ""); err != nil || n != 1 {
			t.Errorf("the rest: %d %v", n, err)
		}
		_, err = s.Authenticate(ctx(), second.AccessToken)
		wantCode(t, "the rest", err, apperr.Unauthorized)
		as(t, s, other.AccessToken)
		if n := count(t, st, "SELECT count(*) FROM audit WHERE action = 'session.revoke' AND subject = ?", first.UserID); n != 2 {
			t.Errorf("%d audit rows", n)
		}
	})
}

func TestScopesOfAnAgentAreTakenAndGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s, there := replica(t, st, c, nil), replica(t, st, c, nil)
		a, token := enrolled(t, s, principal.AgentSystem)
		scopes := func(s *identity.Service) []principal.Scope {
			p, err := s.Authenticate(ctx(), token)
			must(t, err)
			return p.Scopes
		}
		scopes(s)
		scopes(there) // both have it in their memory
		few := []principal.Scope{principal.ScopeJobsLinked}
		must(t, s.SetAgentScopes(ctx(), a.ID, few))
		if got := scopes(s); !slices.Equal(got, few) {
			t.Errorf("here, at once: %v", got)
		}
		c.add(10 * time.Second)
		if got := scopes(there); !slices.Equal(got, few) {
			t.Errorf("there, after ten seconds: %v", got)
		}
		must(t, s.SetAgentScopes(ctx(), a.ID, identity.AgentScopes(principal.AgentSystem)))
		if got := scopes(s); len(got) != len(identity.AgentScopes(principal.AgentSystem)) {
			t.Errorf("given back: %v", got)
		}
		mine, _ := enrolled(t, s, principal.AgentUser)
		err := s.SetAgentScopes(ctx(), mine.ID, []principal.Scope{principal.ScopeIdentityAssert})
		wantCode(t, "what its kind may not have", err, apperr.InvalidRequest)
		if n := count(t, st, "SELECT count(*) FROM audit WHERE action = 'agent.scopes' AND subject = ?", a.ID); n != 2 {
			t.Errorf("%d audit rows", n)
		}
	})
}
