package identity

import (
	"context"
	"fmt"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// What stands here is for operators, by the server's own command line, as in admin.go.

// AllLinks lists the links of all clusters, and the names of their accounts by id.
func (s *Service) AllLinks(ctx context.Context) ([]Link, map[string]string, error) {
	links, err := s.st.Links.ListLinks(ctx)
	if err != nil {
		return nil, nil, err
	}
	users, err := s.st.Users.ListUsers(ctx)
	if err != nil {
		return nil, nil, err
	}
	names := make(map[string]string, len(users))
	for _, u := range users {
		names[u.ID] = u.Username
	}
	return links, names, nil
}

// SuspendLink keeps a link from counting until its owner confirms it again.
func (s *Service) SuspendLink(ctx context.Context, id string) error {
	l, err := s.st.Links.LinkByID(ctx, id)
	if err != nil {
		return noLink(err)
	}
	if l.Suspended {
		return apperr.New(apperr.Conflict, "this link is suspended already").WithHint("its owner runs `ergon link` to make it count again")
	}
	return s.suspend(ctx, l, SuspendedOperator, nil)
}

// ResumeLink makes a suspended link count again: the operator has seen to it that the uid is still the same person's. gid is the
// primary group, where it is another one since.
func (s *Service) ResumeLink(ctx context.Context, id string, gid *int64) error {
	l, err := s.st.Links.LinkByID(ctx, id)
	if err != nil {
		return noLink(err)
	}
	if !l.Suspended {
		return apperr.New(apperr.Conflict, "this link is not suspended")
	}
	e := audit.Event{
		Action: "link.resume", Subject: l.ID, Person: l.UserID,
		Detail: map[string]string{"was": l.SuspendedFor, "uid": fmt.Sprint(l.UID), "cluster": l.ClusterID},
	}
	return s.act(ctx, e, func(ctx context.Context) error { return s.st.Links.ResumeLink(ctx, id, gid, s.now()) })
}

// RemoveLink deletes a link.
func (s *Service) RemoveLink(ctx context.Context, id string) error {
	l, err := s.st.Links.LinkByID(ctx, id)
	if err != nil {
		return noLink(err)
	}
	e := audit.Event{
		Action: "link.delete", Subject: id, Detail: uidDetail(l.UID), Person: l.UserID, Private: map[string]string{"unix_name": l.UnixName},
	}
	return noLink(s.act(ctx, e, func(ctx context.Context) error {
		return s.st.Links.DeleteLink(ctx, LinkFilter{ID: id, UserID: l.UserID})
	}))
}

// SessionsOf lists an account's live sessions.
func (s *Service) SessionsOf(ctx context.Context, name string) ([]Session, error) {
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.st.Sessions.ListSessions(ctx, u.ID, s.now())
}

// EndSessions ends one session of an account, or all when id is empty, and says how many.
func (s *Service) EndSessions(ctx context.Context, name, id string) (n int64, err error) {
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return 0, err
	}
	e := audit.Event{Action: "session.revoke", Subject: u.ID, Detail: map[string]string{"session": id}}
	err = s.act(ctx, e, func(ctx context.Context) error {
		n, err = s.st.Sessions.RevokeSessions(ctx, SessionFilter{UserID: u.ID, Only: id}, s.now())
		if err == nil && n == 0 && id != "" {
			return apperr.New(apperr.NotFound, "the account has no such live session").WithHint("`ergon-server admin session list NAME` shows them")
		}
		return err
	})
	s.sessions.forget(id)
	return n, err
}

// AgentScopes are what an agent of a kind may have, and has when it enrols.
func AgentScopes(kind principal.AgentKind) []principal.Scope { return scopesOf(kind) }

// SetAgentScopes says what an agent may do: some of what its kind may have.
func (s *Service) SetAgentScopes(ctx context.Context, id string, scopes []principal.Scope) error {
	a, err := s.st.Agents.AgentByID(ctx, id)
	if apperr.Is(err, apperr.NotFound) {
		return apperr.New(apperr.NotFound, "there is no such agent").WithHint("`ergon-server admin agent list` shows all")
	}
	if err != nil {
		return err
	}
	if err := checkScopes(scopes, scopesOf(a.Kind)); err != nil {
		return err
	}
	e := audit.Event{Action: "agent.scopes", Subject: id, Detail: map[string]string{"from": scopesText(a.Scopes), "to": scopesText(scopes)}}
	err = s.act(ctx, e, func(ctx context.Context) error { return s.st.Agents.SetAgentScopes(ctx, id, scopes) })
	s.agents.forget(id)
	return err
}
