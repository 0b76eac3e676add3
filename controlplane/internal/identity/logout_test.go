package identity_test

import (
	"context"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// acting is a person with everything that acts for an account: two sessions, a token of a program, an agent, and a token that
// enrols another.
type acting struct {
	first, second             identity.TokenPair
	program, agent, enrolment string
}

func newActing(t *testing.T, s *identity.Service) acting {
	t.Helper()
	_, agent := enrolled(t, s, principal.AgentUser) // of owner1
	a := acting{first: login(t, s, "owner1"), second: login(t, s, "owner1"), agent: agent}
	var err error
	_, a.program, err = s.CreateToken(as(t, s, a.first.AccessToken), tokenRequest())
	must(t, err)
	a.enrolment, _, err = s.CreateEnrolment(as(t, s, a.first.AccessToken), "hpc", principal.AgentUser)
	must(t, err)
	return a
}

func (a acting) enrols(t *testing.T, s *identity.Service) error {
	uid := int64(1000)
	_, err := s.Enrol(ctx(), identity.EnrolRequest{
		Token: a.enrolment, Name: "login2", PublicKey: newAgentKey(t).public(), Version: "1", UID: &uid, UnixName: "alice",
	})
	return err
}

// refuses holds that nothing of these acts any more.
func refuses(t *testing.T, s *identity.Service, when string, tokens map[string]string) {
	t.Helper()
	for name, token := range tokens {
		_, err := s.Authenticate(ctx(), token)
		wantCode(t, name+" "+when, err, apperr.Unauthorized)
	}
}

func TestALogoutEverywhereLeavesProgramsAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), withTokens)
		a := newActing(t, s)
		must(t, s.Logout(as(t, s, a.first.AccessToken), true))
		refuses(t, s, "after a logout everywhere", map[string]string{"this session": a.first.AccessToken, "the other session": a.second.AccessToken})
		as(t, s, a.program)
		as(t, s, a.agent)
		must(t, a.enrols(t, s))
	})
}

func TestThreat_T07_ALogoutOfEverythingLeavesNothingThatActs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		here, there := replica(t, st, c, withTokens), replica(t, st, c, withTokens)
		a := newActing(t, here)
		_, others, err := here.CreateToken(as(t, here, login(t, here, "bob1").AccessToken), tokenRequest())
		must(t, err)
		all := map[string]string{"this session": a.first.AccessToken, "the other session": a.second.AccessToken, "a program": a.program, "an agent": a.agent}
		for _, token := range all { // the other replica has them in its memory now
			as(t, there, token)
		}
		must(t, here.EndEverything(as(t, here, a.first.AccessToken)))
		refuses(t, here, "at once", all)
		c.add(10 * time.Second)
		refuses(t, there, "on the other replica, ten seconds later", all)
		wantCode(t, "an agent that was not enrolled yet", a.enrols(t, here), apperr.Forbidden)
		for _, pair := range []identity.TokenPair{a.first, a.second} {
			_, err := there.Refresh(ctx(), pair.RefreshToken)
			wantCode(t, "refreshing", err, apperr.Unauthorized)
		}
		as(t, here, others)
		if n := count(t, st, "SELECT COUNT(*) FROM audit WHERE action = 'session.logout' AND outcome = 'ok' AND detail LIKE '%everything%'"); n != 1 {
			t.Errorf("%d audit rows", n)
		}
		must(t, here.EndEverything(as(t, here, login(t, here, "owner1").AccessToken))) // there is nothing left to end
	})
}

func TestALogoutOfEverythingNeedsAFreshLoginOfAPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, withTokens)
		a := newActing(t, s)
		wantCode(t, "a program", s.EndEverything(as(t, s, a.program)), apperr.Forbidden)
		if err := s.EndEverything(as(t, s, a.agent)); err == nil {
			t.Error("an agent did it")
		}
		c.add(5*time.Minute + time.Second)
		wantCode(t, "an old login", s.EndEverything(as(t, s, a.first.AccessToken)), apperr.Forbidden)
		for _, token := range []string{a.first.AccessToken, a.second.AccessToken, a.program, a.agent} {
			as(t, s, token)
		}
	})
}

// failingAgents breaks down when an agent is to be revoked.
type failingAgents struct {
	identity.AgentStore
	err error
}

func (f *failingAgents) RevokeAgent(ctx context.Context, id, owner string, now time.Time) error {
	if f.err != nil {
		return f.err
	}
	return f.AgentStore.RevokeAgent(ctx, id, owner, now)
}

func TestALogoutOfEverythingThatFailedChangedNothing(t *testing.T) {
	st := openSQLite(t)
	broken := &failingAgents{AgentStore: st}
	s := replicaWith(t, newClock(), st, func(d *identity.Deps) { d.Stores.Agents = broken })
	_, agent := enrolled(t, s, principal.AgentUser)
	mine, other := login(t, s, "owner1"), login(t, s, "owner1")
	broken.err = context.DeadlineExceeded
	if err := s.EndEverything(as(t, s, mine.AccessToken)); err == nil {
		t.Fatal("the failure was hidden")
	}
	as(t, s, other.AccessToken)
	broken.err = nil
	must(t, s.EndEverything(as(t, s, mine.AccessToken)))
	refuses(t, s, "then", map[string]string{"this session": mine.AccessToken, "the other session": other.AccessToken, "the agent": agent})
}

// What was confirmed on the page is a session as soon as the program asks; until then it is none that could be revoked.
func TestADeviceConfirmedBeforeAllSessionsEndedBeginsNone(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *identity.Service) error{
		"logout everywhere": func(t *testing.T, s *identity.Service) error {
			return s.Logout(as(t, s, login(t, s, "alice").AccessToken), true)
		},
		"everything": func(t *testing.T, s *identity.Service) error {
			return s.EndEverything(as(t, s, login(t, s, "alice").AccessToken))
		},
		"a changed password": func(t *testing.T, s *identity.Service) error {
			return s.ChangePassword(as(t, s, login(t, s, "alice").AccessToken), testPassword, "another good password")
		},
		"a reset password": func(_ *testing.T, s *identity.Service) error {
			return s.ResetPassword(ctx(), "alice", "another good password")
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
				s := replica(t, st, newClock(), nil)
				confirmed := func(who string) identity.DeviceCodes {
					codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
					must(t, err)
					must(t, s.DecideDevice(onPage(t, s, who), codes.UserCode, true))
					return codes
				}
				hers, his := confirmed("alice"), confirmed("bob1")
				must(t, end(t, s))
				_, err := s.PollDevice(ctx(), hers.DeviceCode)
				wantGrant(t, "hers", err, "access_denied")
				_, err = s.PollDevice(ctx(), his.DeviceCode)
				must(t, err)
			})
		})
	}
}

func TestTheEndOfOneSessionLeavesAConfirmedDevice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		codes, err := s.StartDevice(ctx(), identity.DeviceClient{})
		must(t, err)
		page := onPage(t, s, "alice")
		must(t, s.DecideDevice(page, codes.UserCode, true), s.Logout(page, false))
		_, err = s.PollDevice(ctx(), codes.DeviceCode)
		must(t, err)
	})
}

// Another replica may believe for ten seconds that a session lives. What it makes in that time would outlive the logout.
func TestThreat_T07_ASessionThatEndedElsewhereMakesNothingThatOutlivesIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		here, there := replica(t, st, c, withTokens), replica(t, st, c, withTokens)
		a := newActing(t, here)
		stolen, page := as(t, there, a.second.AccessToken), onPage(t, there, "owner1")
		codes, err := there.StartDevice(ctx(), identity.DeviceClient{})
		must(t, err)
		must(t, here.EndEverything(as(t, here, a.first.AccessToken)))
		as(t, there, a.second.AccessToken) // or this would prove nothing
		_, _, err = there.CreateToken(stolen, tokenRequest())
		wantCode(t, "a token", err, apperr.Unauthorized)
		_, _, err = there.CreateEnrolment(stolen, "hpc", principal.AgentUser)
		wantCode(t, "an agent", err, apperr.Unauthorized)
		_, _, err = there.CreateChallenge(stolen, "hpc")
		wantCode(t, "a link", err, apperr.Unauthorized)
		wantCode(t, "another login", there.DecideDevice(page, codes.UserCode, true), apperr.Unauthorized)
	})
}
