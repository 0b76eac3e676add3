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

// means are what an account acts by when nobody is logged in.
type means struct {
	s        *identity.Service
	key      agentKey
	agent    identity.Agent
	access   string // of the agent
	personal string
	enrol    string // token of another agent
}

// newMeans gives alice an agent, a token for programs and an enrolment that is not used yet.
func newMeans(t *testing.T, s *identity.Service) means {
	t.Helper()
	_, err := s.CreateCluster(ctx(), "hpc")
	must(t, err)
	who := as(t, s, login(t, s, "alice").AccessToken)
	m := means{s: s, key: newAgentKey(t)}
	token, _, err := s.CreateEnrolment(who, "hpc", principal.AgentUser)
	must(t, err)
	m.agent, err = s.Enrol(ctx(), m.request(token, m.key))
	must(t, err)
	m.access, _, err = s.AgentToken(ctx(), m.key.assertion(t, s, m.agent.ID, nil))
	must(t, err)
	_, m.personal, err = s.CreateToken(who, tokenRequest())
	must(t, err)
	m.enrol, _, err = s.CreateEnrolment(who, "hpc", principal.AgentUser)
	must(t, err)
	return m
}

func (m means) request(token string, k agentKey) identity.EnrolRequest {
	uid := int64(1000)
	return identity.EnrolRequest{Token: token, Name: "login1", PublicKey: k.public(), Version: "1", UID: &uid, UnixName: "alice"}
}

// hold says which of them still work.
func (m means) hold(t *testing.T) map[string]error {
	t.Helper()
	_, _, agent := m.s.AgentToken(ctx(), m.key.assertion(t, m.s, m.agent.ID, nil))
	_, access := m.s.Authenticate(ctx(), m.access)
	_, personal := m.s.Authenticate(ctx(), m.personal)
	return map[string]error{"a new token of the agent": agent, "the agent's token": access, "the token of a program": personal}
}

func (m means) wantAll(t *testing.T, when string, refused bool) {
	t.Helper()
	for name, err := range m.hold(t) {
		if refused {
			wantCode(t, name+" "+when, err, apperr.Unauthorized)
		} else if err != nil {
			t.Errorf("%s %s: %v", name, when, err)
		}
	}
}

func (m means) wantNoEnrolment(t *testing.T, when string) {
	t.Helper()
	_, err := m.s.Enrol(ctx(), m.request(m.enrol, newAgentKey(t)))
	wantCode(t, "an enrolment "+when, err, apperr.Forbidden)
}

func TestADisabledAccountActsByNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, withTokens)
		m := newMeans(t, s)
		must(t, s.SetDisabled(ctx(), "alice", true))
		c.add(10 * time.Second)
		m.wantAll(t, "of a disabled account", true)
		m.wantNoEnrolment(t, "of a disabled account")
		must(t, s.SetDisabled(ctx(), "alice", false))
		c.add(10 * time.Second)
		m.wantAll(t, "of an account that was enabled again", false)
	})
}

func TestAPasswordResetEndsEverythingAndAChangeTheSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, withTokens)
		m := newMeans(t, s)
		must(t, s.ChangePassword(as(t, s, login(t, s, "alice").AccessToken), testPassword, "another good password"))
		c.add(10 * time.Second)
		m.wantAll(t, "after a change", false)
		m.wantNoEnrolment(t, "after a change")
		must(t, s.ResetPassword(ctx(), "alice", "a third good password"))
		m.wantAll(t, "after a reset", true)
	})
}
