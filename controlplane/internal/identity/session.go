package identity

import (
	"context"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Authenticate verifies an access token and that its session or agent still stands; what it knows of that is at most ten
// seconds old. The role comes from the database, so that a change of role does not wait for the token to expire.
func (s *Service) Authenticate(ctx context.Context, token string) (principal.Principal, error) {
	if strings.HasPrefix(token, personalPrefix) {
		return s.authenticatePersonal(ctx, token)
	}
	c, err := s.tokens.verify(ctx, token)
	if err != nil {
		return principal.Principal{}, err
	}
	if c.Audience[0] == audienceAgent {
		return s.agentPrincipal(ctx, c)
	}
	state, err := s.sessions.get(ctx, c.SID)
	if apperr.Is(err, apperr.NotFound) || (err == nil && (!state.Live || state.UserID != c.Subject || state.pageMethod() || state.tooMuch())) {
		return principal.Principal{}, errEnded
	}
	if err != nil {
		return principal.Principal{}, err
	}
	p := principal.Principal{
		Kind: principal.User, ID: c.Subject, SessionID: c.SID, Role: state.Role, AuthAt: state.AuthAt, Method: state.Method, Cluster: state.Cluster,
	}
	if state.Cluster != "" {
		p.Scopes = []principal.Scope{principal.ScopeJobsRead, principal.ScopeAccountRead}
	}
	return p, nil
}

// tooMuch: an agent vouches for accounts of the role user alone, also when the role was raised since.
func (st SessionState) tooMuch() bool {
	return st.Method == principal.MethodUnix && st.Role != principal.RoleUser
}

// agentPrincipal: the scopes are those of the token as far as the agent still has them.
func (s *Service) agentPrincipal(ctx context.Context, c claims) (principal.Principal, error) {
	a, err := s.agents.get(ctx, c.Subject)
	if apperr.Is(err, apperr.NotFound) || (err == nil && !a.live()) {
		return principal.Principal{}, apperr.New(apperr.Unauthorized, "this agent is not enrolled any more").WithHint("enrol it again")
	}
	if err != nil {
		return principal.Principal{}, err
	}
	p := principal.Principal{
		Kind: principal.Agent, ID: a.ID, ClusterID: a.ClusterID, AgentKind: a.Kind, OwnerUserID: a.OwnerUserID, UID: a.UID, KeyID: c.Key,
	}
	for _, scope := range parseScopes(c.Scope) {
		for _, own := range a.Scopes {
			if scope == own {
				p.Scopes = append(p.Scopes, scope)
			}
		}
	}
	return p, nil
}

var errEnded = apperr.New(apperr.Unauthorized, "this session has ended").WithHint("log in again with `ergon login`")

// recent holds that the person has logged in a moment ago, by a session that stands now: what a request knows of its session may be
// ten seconds old, and what is made here outlives the session.
func (s *Service) recent(ctx context.Context, p principal.Principal) error {
	if s.now().Sub(p.AuthAt) > s.cfg.RecentLogin {
		return apperr.Newf(apperr.Forbidden, "this needs a login of the last %s", s.cfg.RecentLogin).WithHint("log in again with `ergon login`, then repeat it")
	}
	if p.SessionID == "" {
		return nil
	}
	state, err := s.st.Sessions.SessionState(ctx, p.SessionID)
	if apperr.Is(err, apperr.NotFound) || err == nil && !state.Live {
		return errEnded
	}
	return err
}

// hold keeps the caller's session from ending while the transaction of the context makes something that outlives it. Other
// callers have none.
func (s *Service) hold(ctx context.Context) error {
	p, ok := principal.From(ctx)
	if !ok || p.SessionID == "" {
		return nil
	}
	err := s.st.Sessions.HoldSession(ctx, p.SessionID)
	if apperr.Is(err, apperr.NotFound) {
		return errEnded
	}
	return err
}

// Logout ends this session, or all of the account.
func (s *Service) Logout(ctx context.Context, everywhere bool) error {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return err
	}
	filter := SessionFilter{UserID: p.ID, Only: p.SessionID}
	if everywhere {
		filter.Only = ""
	} else if p.SessionID == "" {
		return apperr.New(apperr.Forbidden, "a personal access token has no session").WithHint("`ergon token revoke` ends it")
	}
	return s.revoke(ctx, filter, "session.logout")
}

// EndEverything ends all by which the caller's account acts: every session, its tokens for programs, its own agents, and what
// would enrol more of them: all or nothing. Unix identities stay linked. It needs a fresh login, like removing a single agent:
// who copied an access token shall not stop its owner's programs.
func (s *Service) EndEverything(ctx context.Context) error {
	p, err := s.Recent(ctx)
	if err != nil {
		return err
	}
	e := audit.Event{Action: "session.logout", Subject: p.ID, Detail: map[string]string{"everything": "true"}}
	err = s.act(ctx, e, func(ctx context.Context) error {
		if _, err := s.st.Sessions.RevokeSessions(ctx, SessionFilter{UserID: p.ID}, s.now()); err != nil {
			return err
		}
		return s.endPrograms(ctx, p.ID)
	})
	s.forgetAll()
	return err
}

// forgetAll makes what this replica has just ended count at once. It comes after the commit: before, another request would
// remember what was.
func (s *Service) forgetAll() {
	s.sessions.forget("")
	s.personal.forget("")
	s.agents.forget("")
}

// endPrograms ends an account's personal access tokens, its own agents and what would enrol them.
func (s *Service) endPrograms(ctx context.Context, userID string) error {
	if err := s.st.Enrolments.VoidEnrolments(ctx, userID, s.now()); err != nil {
		return err
	}
	if err := s.st.Personal.RevokePersonal(ctx, userID, "", s.now()); err != nil && !apperr.Is(err, apperr.NotFound) {
		return err
	}
	return s.endAgents(ctx, userID)
}

// Sessions lists the caller's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context) ([]Session, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	return s.st.Sessions.ListSessions(ctx, p.ID, s.now())
}

// RevokeSession ends one session of the caller; of anybody else it is not found.
func (s *Service) RevokeSession(ctx context.Context, id string) error {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return err
	}
	state, err := s.st.Sessions.SessionState(ctx, id)
	if apperr.Is(err, apperr.NotFound) || (err == nil && state.UserID != p.ID) {
		return apperr.New(apperr.NotFound, "you have no such session")
	}
	if err != nil {
		return err
	}
	return s.revoke(ctx, SessionFilter{UserID: p.ID, Only: id}, "session.revoke")
}

func (s *Service) revoke(ctx context.Context, f SessionFilter, action string) error {
	subject := f.Only
	if subject == "" {
		subject = f.UserID
	}
	err := s.act(ctx, audit.Event{Action: action, Subject: subject}, func(ctx context.Context) error {
		_, err := s.st.Sessions.RevokeSessions(ctx, f, s.now())
		return err
	})
	s.sessions.forget(f.Only)
	return err
}

// Me is the caller's account, its links and what it stores.
func (s *Service) Me(ctx context.Context) (User, []Link, Quota, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return User{}, nil, Quota{}, err
	}
	u, err := s.st.Users.UserByID(ctx, p.ID)
	if err != nil {
		return User{}, nil, Quota{}, err
	}
	links, err := s.Links(ctx)
	if err != nil {
		return User{}, nil, Quota{}, err
	}
	q, err := s.st.Quotas.QuotaOf(ctx, p.ID)
	if apperr.Is(err, apperr.NotFound) {
		q, err = s.cfg.DefaultQuota, nil
	}
	return u, links, q, err
}

// JWKS lists the public keys that verify access tokens.
func (s *Service) JWKS() []JWK { return s.ring.JWKS() }
