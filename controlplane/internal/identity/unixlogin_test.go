package identity_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

var unixAlice = identity.UnixIdentity{UID: 1500, GID: 1500, UnixName: "alice"}

// unixSite is a cluster with the login by unix identity on, and the context of its system agent.
func unixSite(t testing.TB, s *identity.Service) context.Context {
	t.Helper()
	_, token := enrolled(t, s, principal.AgentSystem)
	must(t, s.SetUnixLogin(ctx(), "hpc", true))
	return as(t, s, token)
}

func TestAProvenUIDIsALogin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		agent := unixSite(t, s)
		first, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		if first.Username != "alice@hpc" || first.ExpiresIn > 10*time.Minute {
			t.Errorf("%+v", first)
		}
		p, err := s.Authenticate(ctx(), first.AccessToken)
		must(t, err)
		if p.Method != principal.MethodUnix || p.Role != principal.RoleUser || p.Cluster != "" || p.Scopes != nil {
			t.Errorf("the account is this unix identity and nothing else: %+v", p)
		}
		c.add(time.Hour)
		again, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		if again.UserID != first.UserID || again.SessionID != first.SessionID {
			t.Error("the second exchange is of another account or session")
		}
		sessions, err := s.Sessions(as(t, s, again.AccessToken))
		if err != nil || len(sessions) != 1 || sessions[0].Method != principal.MethodUnix {
			t.Errorf("%+v %v", sessions, err)
		}
		must(t, s.Logout(as(t, s, again.AccessToken), true))
		_, err = s.Authenticate(ctx(), again.AccessToken)
		wantCode(t, "after a logout", err, apperr.Unauthorized)
		third, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		if third.SessionID == first.SessionID {
			t.Error("a revoked session was used again")
		}
	})
}

func TestManyFirstUsesOfAUIDMakeOneAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		agent := unixSite(t, s)
		var wg sync.WaitGroup
		var mu sync.Mutex
		users := map[string]bool{}
		for range 16 {
			wg.Go(func() {
				tok, err := s.ExchangeUnix(agent, unixAlice)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				users[tok.UserID] = true
				mu.Unlock()
			})
		}
		wg.Wait()
		if len(users) != 1 {
			t.Errorf("%d accounts", len(users))
		}
	})
}

func TestThreat_T07_OnlyASystemAgentOfTheClusterVouchesForAUID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		agent := unixSite(t, s)
		_, own := enrolled(t, s, principal.AgentUser)
		login(t, s, "bob1")
		for name, caller := range map[string]context.Context{
			"a person":       as(t, s, login(t, s, "bob1").AccessToken),
			"a user's agent": as(t, s, own),
		} {
			_, err := s.ExchangeUnix(caller, unixAlice)
			wantCode(t, name, err, apperr.Forbidden)
		}
		_, err := s.ExchangeUnix(ctx(), unixAlice)
		wantCode(t, "nobody", err, apperr.Unauthorized)
		for name, id := range map[string]identity.UnixIdentity{
			"root":      {UID: 0, UnixName: "root"},
			"a service": {UID: 999, UnixName: "slurm"},
		} {
			_, err := s.ExchangeUnix(agent, id)
			wantCode(t, name, err, apperr.Forbidden)
		}
		_, err = s.ExchangeUnix(agent, identity.UnixIdentity{UID: 1600, UnixName: "a b"})
		wantCode(t, "no login name", err, apperr.InvalidRequest)

		must(t, s.SetUnixLogin(ctx(), "hpc", false))
		_, err = s.ExchangeUnix(agent, unixAlice)
		wantCode(t, "turned off", err, apperr.Forbidden)
	})
}

func TestTurningUnixLoginOffEndsItsSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		tok, err := s.ExchangeUnix(unixSite(t, s), unixAlice)
		must(t, err)
		must(t, s.SetUnixLogin(ctx(), "hpc", false))
		c.add(10 * time.Second)
		_, err = s.Authenticate(ctx(), tok.AccessToken)
		wantCode(t, "ten seconds later", err, apperr.Unauthorized)
	})
}

func TestAUnixLoginReachesNoAccountAboveUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		agent := unixSite(t, s)
		tok, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		must(t, s.SetRole(ctx(), "alice@hpc", principal.RoleOperator))
		_, err = s.ExchangeUnix(agent, unixAlice)
		wantCode(t, "an operator", err, apperr.Forbidden)
		c.add(10 * time.Second)
		_, err = s.Authenticate(ctx(), tok.AccessToken)
		wantCode(t, "a token from before", err, apperr.Unauthorized)
	})
}

func TestAUIDThatChangedHandsIsNotLoggedIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		agent := unixSite(t, s)
		_, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		other := unixAlice
		other.UnixName = "carol"
		_, err = s.ExchangeUnix(agent, other)
		wantCode(t, "another name", err, apperr.Forbidden)
		_, err = s.ExchangeUnix(agent, unixAlice)
		wantCode(t, "the old name, when the link is suspended", err, apperr.Forbidden)
		moved := unixAlice
		moved.UID = 1501
		_, err = s.ExchangeUnix(agent, moved)
		wantCode(t, "the old name with another uid", err, apperr.Conflict)
	})
}

func TestAUnixAccountIsJoinedByALink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		agent := unixSite(t, s)
		tok, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		seedOwned(t, st, tok.UserID)
		_, _, err = s.CreateChallenge(as(t, s, tok.AccessToken), "hpc")
		wantCode(t, "a unix login links nothing", err, apperr.Forbidden)

		pair := login(t, s, "alice")
		challenge, _, err := s.CreateChallenge(as(t, s, pair.AccessToken), "hpc")
		must(t, err)
		link, err := s.ConfirmLink(agent, identity.Confirmation{Challenge: challenge, UID: 1500, GID: 1500, UnixName: "alice", Nonce: uuid.NewString()})
		must(t, err)
		if link.UserID != pair.UserID {
			t.Errorf("linked to %s", link.UserID)
		}
		for _, table := range []string{"jobs", "quotas"} {
			if n := count(t, st, "SELECT COUNT(*) FROM "+table+" WHERE user_id = '"+pair.UserID+"'"); n != 1 {
				t.Errorf("%d %s came along", n, table)
			}
			if n := count(t, st, "SELECT COUNT(*) FROM "+table+" WHERE user_id = '"+tok.UserID+"'"); n != 0 {
				t.Errorf("%d %s stayed behind", n, table)
			}
		}
		if n := count(t, st, "SELECT used_bytes FROM quotas"); n != 70 {
			t.Errorf("%d bytes are in the book, 70 are stored", n)
		}
		c.add(10 * time.Second)
		_, err = s.Authenticate(ctx(), tok.AccessToken)
		wantCode(t, "the old account's token", err, apperr.Unauthorized)

		bound, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		p, err := s.Authenticate(ctx(), bound.AccessToken)
		must(t, err)
		if p.ID != pair.UserID || p.Cluster != "hpc" || !p.May(principal.ScopeJobsRead) || p.May(principal.ScopeFilesWrite) {
			t.Errorf("the uid now reads this cluster's jobs and nothing else: %+v", p)
		}
		_, _, err = s.CreateToken(principal.With(ctx(), p), tokenRequest())
		wantCode(t, "a token for programs", err, apperr.Forbidden)
	})
}

func TestAUnixAccountThatWasUnlinkedIsFoundAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		agent := unixSite(t, s)
		first, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err, s.UnlinkUID(agent, unixAlice.UID))
		moved := unixAlice
		moved.UID = 1501
		_, err = s.ExchangeUnix(agent, moved)
		wantCode(t, "another uid under the name", err, apperr.Conflict)
		again, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		if again.UserID != first.UserID {
			t.Error("the uid came back to another account")
		}
		links, _, err := s.AllLinks(ctx())
		must(t, err, s.SuspendLink(ctx(), links[0].ID), s.UnlinkUID(agent, unixAlice.UID))
		_, err = s.ExchangeUnix(agent, unixAlice)
		wantCode(t, "unlinking ends no suspension", err, apperr.Forbidden)
		links, _, err = s.AllLinks(ctx())
		must(t, err, s.ResumeLink(ctx(), links[0].ID, nil))
		_, err = s.ExchangeUnix(agent, unixAlice)
		must(t, err, s.RemoveLink(ctx(), links[0].ID))

		carol := unixAlice
		carol.UnixName = "carol"
		other, err := s.ExchangeUnix(agent, carol)
		must(t, err)
		if other.UserID == first.UserID || other.Username != "carol@hpc" {
			t.Errorf("the next holder of the uid got %+v", other)
		}
		_, err = s.ExchangeUnix(agent, unixAlice)
		wantCode(t, "the old name while the uid is another's", err, apperr.Forbidden)
	})
}

func TestAUnixAccountThatWasUnlinkedIsJoined(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		agent := unixSite(t, s)
		first, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		seedOwned(t, st, first.UserID)
		must(t, s.UnlinkUID(agent, unixAlice.UID))
		pair := login(t, s, "alice")
		challenge, _, err := s.CreateChallenge(as(t, s, pair.AccessToken), "hpc")
		must(t, err)
		_, err = s.ConfirmLink(agent, identity.Confirmation{Challenge: challenge, UID: 1500, GID: 1500, UnixName: "alice", Nonce: uuid.NewString()})
		must(t, err)
		if n := count(t, st, "SELECT COUNT(*) FROM jobs WHERE user_id = '"+pair.UserID+"'"); n != 1 {
			t.Errorf("%d jobs came along", n)
		}
		// The link that joined them goes: the uid begins anew, with nothing.
		must(t, s.UnlinkUID(agent, unixAlice.UID))
		anew, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		if anew.UserID == first.UserID || anew.UserID == pair.UserID || anew.Username != "alice@hpc" {
			t.Errorf("%+v", anew)
		}
	})
}

func TestAResumedLinkHasThePrimaryGroupOfToday(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		agent := unixSite(t, s)
		_, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		moved := unixAlice
		moved.GID = 1600
		_, err = s.ExchangeUnix(agent, moved)
		wantCode(t, "another group", err, apperr.Forbidden)
		links, _, err := s.AllLinks(ctx())
		must(t, err, s.ResumeLink(ctx(), links[0].ID, &moved.GID))
		_, err = s.ExchangeUnix(agent, moved)
		must(t, err)
		wantCode(t, "a link that counts", s.ResumeLink(ctx(), links[0].ID, nil), apperr.Conflict)
	})
}

func TestEachExchangeOfAUIDIsALogin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, nil)
		agent := unixSite(t, s)
		tok, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		c.add(6 * time.Minute)
		_, err = s.Recent(as(t, s, tok.AccessToken))
		wantCode(t, "six minutes later", err, apperr.Forbidden)
		tok, err = s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		_, err = s.Recent(as(t, s, tok.AccessToken))
		must(t, err)
	})
}

func TestThreat_T23_TheNextHolderOfAUIDJoinsNobodysAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		agent := unixSite(t, s)
		tok, err := s.ExchangeUnix(agent, unixAlice)
		must(t, err)
		seedOwned(t, st, tok.UserID)
		carol := login(t, s, "carol")
		confirm := func(name string, gid int64) error {
			challenge, _, err := s.CreateChallenge(as(t, s, carol.AccessToken), "hpc")
			must(t, err)
			_, err = s.ConfirmLink(agent, identity.Confirmation{Challenge: challenge, UID: 1500, GID: gid, UnixName: name, Nonce: uuid.NewString()})
			return err
		}
		wantCode(t, "another name", confirm("carol", 1500), apperr.Conflict)
		wantCode(t, "another group", confirm("alice", 1600), apperr.Conflict)
		links, _, err := s.AllLinks(ctx())
		must(t, err, s.SuspendLink(ctx(), links[0].ID))
		wantCode(t, "a suspended link", confirm("alice", 1500), apperr.Conflict)
		must(t, s.UnlinkUID(agent, 1500), confirm("carol", 1500))
		for _, table := range []string{"jobs", "quotas"} {
			if n := count(t, st, "SELECT COUNT(*) FROM "+table+" WHERE user_id = '"+tok.UserID+"'"); n != 1 {
				t.Errorf("%d %s of alice are left", n, table)
			}
		}
		if n := count(t, st, "SELECT COUNT(*) FROM users WHERE disabled_at IS NOT NULL"); n != 0 {
			t.Errorf("%d accounts were disabled", n)
		}
	})
}

// seedOwned gives an account a job and a book of 70 stored bytes.
func seedOwned(t testing.TB, st *gormstore.Store, userID string) {
	t.Helper()
	cluster, err := st.ClusterByName(ctx(), "hpc")
	must(t, err)
	exec := func(sql string) {
		t.Helper()
		_, err := st.SQL().ExecContext(context.Background(), sql)
		must(t, err)
	}
	at := "'2026-01-01T00:00:00Z'"
	exec("INSERT INTO jobs (id, cluster_id, user_id, slurm_job_id, job_id_raw, state, slurm_state, submit_at, created_at, updated_at) VALUES ('" +
		uuid.NewString() + "', '" + cluster.ID + "', '" + userID + "', '7', '7', 'completed', 'COMPLETED', " + at + ", " + at + ", " + at + ")")
	exec("INSERT INTO quotas (user_id, limit_bytes, limit_objects, used_bytes, used_objects) VALUES ('" + userID + "', 100, 10, 70, 1)")
}

// Each cluster decides by itself: the agent of one with the login off vouches for nobody, also while another has it on.
func TestUnixLoginIsOnOrOffForEachCluster(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), nil)
	_, err := s.CreateCluster(ctx(), "other")
	must(t, err)
	on := unixSite(t, s)
	k := newAgentKey(t)
	token, _, err := s.EnrolToken(ctx(), "other", principal.AgentSystem, "")
	must(t, err)
	a, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login2", PublicKey: k.public(), Version: "1"})
	must(t, err)
	access, _, err := s.AgentToken(ctx(), k.assertion(t, s, a.ID, nil))
	must(t, err)
	off := as(t, s, access)
	_, err = s.ExchangeUnix(on, unixAlice)
	must(t, err)
	_, err = s.ExchangeUnix(off, unixAlice)
	wantCode(t, "where it is off", err, apperr.Forbidden)
	must(t, s.SetUnixLogin(ctx(), "other", true), s.SetUnixLogin(ctx(), "hpc", false))
	_, err = s.ExchangeUnix(off, unixAlice)
	must(t, err)
	_, err = s.ExchangeUnix(on, unixAlice)
	wantCode(t, "where it was switched off", err, apperr.Forbidden)
}
