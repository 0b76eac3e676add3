package identity_test

import (
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// change is what an agent sends that goes from one key to another.
func (k agentKey) change(agentID string, next agentKey) identity.KeyChange {
	return identity.KeyChange{
		PublicKey: next.public(), Proof: next.keyProof(agentID, next.public()), Consent: k.keyProof(agentID, next.public()),
	}
}

func TestARotatedKeyOfAnAgentCountsAndTheOldOneNoMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s, there := replica(t, st, c, nil), replica(t, st, c, nil)
		_, err := s.CreateCluster(ctx(), "hpc")
		must(t, err)
		enrol := func(k agentKey) identity.Agent {
			token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
			must(t, err)
			a, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login1", PublicKey: k.public(), Version: "1"})
			must(t, err)
			return a
		}
		old, next, others := newAgentKey(t), newAgentKey(t), newAgentKey(t)
		a := enrol(old)
		enrol(others)
		token := func(s *identity.Service, k agentKey) (string, error) {
			text, _, err := s.AgentToken(ctx(), k.assertion(t, s, a.ID, nil))
			return text, err
		}
		before, err := token(s, old)
		must(t, err)
		err = s.RotateAgentKey(as(t, s, before), old.change(a.ID, others))
		wantCode(t, "the key of another agent", err, apperr.AlreadyExists)
		must(t, s.RotateAgentKey(as(t, s, before), old.change(a.ID, next)))
		for name, s := range map[string]*identity.Service{"here": s, "on the other replica": there} {
			_, err = token(s, old)
			wantCode(t, "the old key "+name, err, apperr.Unauthorized)
			after, err := token(s, next)
			must(t, err)
			as(t, s, after)
			as(t, s, before) // what the old key got lives on, for ten minutes at most
		}
		c.add(10*time.Minute + 31*time.Second)
		_, err = there.Authenticate(ctx(), before)
		wantCode(t, "the old key's last token after ten minutes", err, apperr.TokenExpired)
		if n := count(t, st, "SELECT count(*) FROM audit WHERE action = 'agent.key' AND outcome = 'ok' AND subject = ?", a.ID); n != 1 {
			t.Errorf("%d audit rows", n)
		}
	})
}

// Each row of the audit log must say which of an agent's keys acted, also when another counts by now.
func TestRowsOfAnAgentSayWhichOfItsKeysActed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		first, second := newAgentKey(t), newAgentKey(t)
		a, access := enrolledWith(t, s, principal.AgentSystem, first)
		must(t, s.RotateAgentKey(as(t, s, access), first.change(a.ID, second)))
		next, _, err := s.AgentToken(ctx(), second.assertion(t, s, a.ID, nil))
		must(t, err)
		for uid, token := range map[int64]string{1001: access, 1002: next} { // the first token is valid until it expires
			challenge, _, err := s.CreateChallenge(as(t, s, login(t, s, "alice").AccessToken), "hpc")
			must(t, err)
			link, err := s.ConfirmLink(as(t, s, token), confirmation(challenge, uid, "alice"))
			must(t, err, s.DeleteLink(as(t, s, login(t, s, "alice").AccessToken), link.ID))
		}
		for action, keys := range map[string][]agentKey{"agent.key": {first}, "link.create": {first, second}} {
			for _, k := range keys {
				credential := `%"credential":"key:` + identity.Thumbprint(k.public()) + `"%`
				if n := count(t, st, "SELECT COUNT(*) FROM audit WHERE action = ? AND actor_id = ? AND detail LIKE ?", action, a.ID, credential); n != 1 {
					t.Errorf("%s: %d rows of %s", action, n, credential)
				}
			}
		}
	})
}

func TestTheListOfAgentsSaysWhenTheyWereSeenAndHowWrongTheirClocksAre(t *testing.T) {
	c := newClock()
	s := replica(t, openSQLite(t), c, nil)
	_, err := s.CreateCluster(ctx(), "hpc")
	must(t, err)
	token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
	must(t, err)
	k := newAgentKey(t)
	a, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login1", PublicKey: k.public(), Version: "1"})
	must(t, err)
	for _, skew := range []time.Duration{20 * time.Second, -20 * time.Second} {
		c.add(time.Hour)
		_, _, err = s.AgentToken(ctx(), k.assertion(t, s, a.ID, map[string]any{"iat": s.Now().Add(skew).Unix()}))
		must(t, err)
		list, err := s.Agents(ctx())
		must(t, err)
		if len(list) != 1 || list[0].ClockSkew == nil || *list[0].ClockSkew != skew || list[0].LastSeenAt == nil || !list[0].LastSeenAt.Equal(c.now()) {
			t.Errorf("%s ahead: %+v", skew, list)
		}
	}
}
