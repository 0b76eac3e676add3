package identity_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// overtaking lets something happen elsewhere just after a proof was read: what the caller has in its hands is old then.
type overtaking struct {
	*gormstore.Store
	then func() // once
}

func (o *overtaking) happen() {
	if then := o.then; then != nil {
		o.then = nil
		then()
	}
}

func (o *overtaking) UserByName(ctx context.Context, name string) (identity.User, error) {
	defer o.happen()
	return o.Store.UserByName(ctx, name)
}

func (o *overtaking) UserBySubject(ctx context.Context, issuer, subject string) (identity.User, error) {
	defer o.happen()
	return o.Store.UserBySubject(ctx, issuer, subject)
}

func (o *overtaking) PollDevice(ctx context.Context, hash string, now time.Time) (identity.DevicePoll, error) {
	defer o.happen()
	return o.Store.PollDevice(ctx, hash, now)
}

func (o *overtaking) SessionState(ctx context.Context, id string) (identity.SessionState, error) {
	defer o.happen()
	return o.Store.SessionState(ctx, id)
}

func (o *overtaking) AgentByID(ctx context.Context, id string) (identity.Agent, error) {
	defer o.happen()
	return o.Store.AgentByID(ctx, id)
}

// overtaken gives a replica that is overtaken, and one that overtakes it.
func overtaken(t *testing.T, o *overtaking, change func(*identity.Config)) (slow, fast *identity.Service) {
	t.Helper()
	c := newClock()
	cfg, deps := testConfig(), depsFor(o.Store, c, testSecret)
	withTokens(&cfg)
	if change != nil {
		change(&cfg)
	}
	deps.Stores.Users, deps.Stores.Sessions, deps.Stores.Devices, deps.Stores.Agents, deps.Stores.OIDC = o, o, o, o, o
	deps.Provider = &provider{who: identity.Subject{Issuer: "https://idp.example", Subject: "42"}, now: c.now}
	slow, err := identity.New(cfg, deps)
	must(t, err, slow.Ready(ctx()))
	return slow, replica(t, o.Store, c, withTokens)
}

// standing is how many sessions of an account stand.
func standing(t *testing.T, st *gormstore.Store, name string) int {
	t.Helper()
	return count(t, st, "SELECT COUNT(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = ? AND s.revoked_at IS NULL", name)
}

// A login waits its turn to hash for seconds. A password that was replaced in that time begins no session any more: nobody
// else would end it.
func TestThreat_T07_ALoginUnderWayDoesNotOutliveWhatEndsItsAccount(t *testing.T) {
	const next = "another good password"
	ends := map[string]func(t *testing.T, fast *identity.Service, name string){
		"a reset": func(t *testing.T, fast *identity.Service, name string) {
			must(t, fast.ResetPassword(ctx(), name, next))
		},
		"disabling": func(t *testing.T, fast *identity.Service, name string) { must(t, fast.SetDisabled(ctx(), name, true)) },
		"a change": func(t *testing.T, fast *identity.Service, name string) {
			who := as(t, fast, login(t, fast, name).AccessToken)
			must(t, fast.ChangePassword(who, testPassword, next), fast.Logout(who, false))
		},
	}
	ways := map[string]func(s *identity.Service, c identity.Credentials) error{
		"the login": func(s *identity.Service, c identity.Credentials) error { _, err := s.Login(ctx(), c); return err },
		"the page":  func(s *identity.Service, c identity.Credentials) error { _, err := s.PageLogin(ctx(), c); return err },
	}
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		o := &overtaking{Store: st}
		slow, fast := overtaken(t, o, nil)
		tried := 0
		for what, end := range ends {
			for which, way := range ways {
				tried++
				c := identity.Credentials{Username: fmt.Sprint("alice", tried), Password: testPassword}
				_, err := fast.Register(ctx(), c)
				must(t, err)
				o.then = func() { end(t, fast, c.Username) }
				wantCode(t, what+" and "+which, way(slow, c), apperr.InvalidCredentials)
				if n := standing(t, st, c.Username); n != 0 {
					t.Errorf("%s and %s: %d sessions stand", what, which, n)
				}
				if n := count(t, st, "SELECT COUNT(*) FROM audit WHERE action = 'session.login' AND outcome = 'invalid_credentials'"); n != tried {
					t.Errorf("%s and %s: %d audit rows of the refusals, want %d", what, which, n, tried)
				}
			}
		}
	})
}

// A stored hash of other parameters is made anew at the login. That must not bring a replaced password back.
func TestHashingAnewNeverBringsAPasswordBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		o := &overtaking{Store: st}
		slow, fast := overtaken(t, o, func(c *identity.Config) { c.Params.Time = 2 })
		_, err := fast.Register(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
		must(t, err)
		o.then = func() { must(t, fast.ResetPassword(ctx(), "alice", "another good password")) }
		_, err = slow.Login(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
		wantCode(t, "the old password, under way", err, apperr.InvalidCredentials)
		_, err = fast.Login(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
		wantCode(t, "the old password, later", err, apperr.InvalidCredentials)
		_, err = fast.Login(ctx(), identity.Credentials{Username: "alice", Password: "another good password"})
		must(t, err)

		o.then = func() { // another login hashes it anew first: both get in
			_, err := replica(t, st, newClock(), func(c *identity.Config) { c.Params.Time = 3 }).Login(ctx(), identity.Credentials{Username: "alice", Password: "another good password"})
			must(t, err)
		}
		_, err = slow.Login(ctx(), identity.Credentials{Username: "alice", Password: "another good password"})
		must(t, err)
	})
}

func TestAResetWinsOverAChangeThatWasUnderWay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		o := &overtaking{Store: st}
		slow, fast := overtaken(t, o, nil)
		thief := as(t, slow, login(t, fast, "alice").AccessToken)
		o.then = func() { must(t, fast.ResetPassword(ctx(), "alice", "another good password")) }
		wantCode(t, "the thief's change", slow.ChangePassword(thief, testPassword, "a password of the thief"), apperr.Forbidden)
		_, err := fast.Login(ctx(), identity.Credentials{Username: "alice", Password: "another good password"})
		must(t, err)
	})
}

func TestWhatWasConfirmedBeginsNothingOnceItWasTakenAway(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		o := &overtaking{Store: st}
		slow, fast := overtaken(t, o, nil)
		pair := login(t, fast, "alice")
		must(t, st.InsertSubject(ctx(), "https://idp.example", "42", pair.UserID, fast.Now()))

		cookie := fresh(t, slow)
		state := sentTo(t, slow, cookie).Get("state")
		o.then = func() { must(t, fast.DisconnectOIDCOf(ctx(), "alice")) }
		_, err := slow.OIDCFinish(ctx(), cookie, state, "code")
		wantCode(t, "a sign-in at the provider", err, apperr.Forbidden)

		alice := as(t, fast, login(t, fast, "alice").AccessToken)
		codes, err := fast.StartDevice(ctx(), identity.DeviceClient{})
		must(t, err, fast.DecideDevice(onPage(t, fast, "alice"), codes.UserCode, true))
		o.then = func() { must(t, fast.Logout(alice, true)) }
		_, err = slow.PollDevice(ctx(), codes.DeviceCode)
		wantGrant(t, "a confirmed device", err, "invalid_grant")
		if n := standing(t, st, "alice"); n != 0 {
			t.Errorf("%d sessions stand", n)
		}
	})
}

// What a call knew of its session when it began may be over when it writes.
func TestNothingIsMadeForASessionThatEndsMeanwhile(t *testing.T) {
	made := map[string]func(s *identity.Service, who context.Context) error{
		"a token": func(s *identity.Service, who context.Context) error {
			_, _, err := s.CreateToken(who, tokenRequest())
			return err
		},
		"an enrolment": func(s *identity.Service, who context.Context) error {
			_, _, err := s.CreateEnrolment(who, "hpc", principal.AgentUser)
			return err
		},
		"a challenge": func(s *identity.Service, who context.Context) error {
			_, _, err := s.CreateChallenge(who, "hpc")
			return err
		},
	}
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		o := &overtaking{Store: st}
		slow, fast := overtaken(t, o, nil)
		_, err := fast.CreateCluster(ctx(), "hpc")
		must(t, err)
		for what, make := range made {
			who := as(t, fast, login(t, fast, "alice").AccessToken)
			o.then = func() { must(t, fast.EndEverything(who)) }
			wantCode(t, what, make(slow, who), apperr.Unauthorized)
		}
	})
}

func TestOfTwoKeysOfAnAgentTheOneThatCameFirstCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		o := &overtaking{Store: st}
		slow, fast := overtaken(t, o, nil)
		first, owner, thief := newAgentKey(t), newAgentKey(t), newAgentKey(t)
		agent, access := enrolledWith(t, fast, principal.AgentSystem, first)
		change := func(k agentKey) identity.KeyChange {
			return identity.KeyChange{PublicKey: k.public(), Proof: k.keyProof(agent.ID, k.public()), Consent: first.keyProof(agent.ID, k.public())}
		}
		who := as(t, slow, access)
		o.then = func() { must(t, fast.RotateAgentKey(who, change(owner))) }
		wantCode(t, "the second", slow.RotateAgentKey(who, change(thief)), apperr.Conflict)
		_, _, err := fast.AgentToken(ctx(), owner.assertion(t, fast, agent.ID, nil))
		must(t, err)
	})
}

// Between looking at a session and writing what outlives it nobody ends that session on PostgreSQL either, where writers do not
// wait for one another by themselves: the end comes after, and takes along what was made.
func TestTheEndOfAllSessionsWaitsForWhatIsBeingMade(t *testing.T) {
	st := storetest.Postgres(t)
	s := replica(t, st, newClock(), withTokens)
	pair := login(t, s, "alice")
	alice, ended := as(t, s, pair.AccessToken), make(chan error, 1)
	must(t, st.Atomically(ctx(), func(c context.Context) error {
		if err := st.HoldSession(c, pair.SessionID); err != nil {
			return err
		}
		go func() { ended <- s.EndEverything(alice) }()
		for waiting := false; !waiting; {
			select {
			case err := <-ended:
				return fmt.Errorf("the end did not wait: %w", errors.Join(err, errBroken))
			case <-time.After(5 * time.Millisecond):
				if err := st.SQL().QueryRow("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database()))").Scan(&waiting); err != nil {
					return err
				}
			}
		}
		return st.InsertPersonal(c, identity.PersonalToken{ID: "t", UserID: pair.UserID, Name: "x", TokenHash: "h", Exp: s.Now().Add(time.Hour), CreatedAt: s.Now()}, 10)
	}))
	must(t, <-ended)
	if n := count(t, st, "SELECT COUNT(*) FROM personal_tokens WHERE revoked_at IS NULL"); n != 0 {
		t.Errorf("%d tokens outlive the end of everything", n)
	}
}
