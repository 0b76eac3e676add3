package identity

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// What stands here serves the deletion of accounts and the commands of other features.

// RecordAct audits an act of the server's own command line that another feature carried out.
func (s *Service) RecordAct(ctx context.Context, action, subject string, detail map[string]string) error {
	return s.record(ctx, action, subject, detail)
}

// Recent gives the calling user when the login is recent enough for a sensitive act.
func (s *Service) Recent(ctx context.Context) (principal.Principal, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return p, err
	}
	return p, s.recent(ctx, p)
}

// UserNamed finds an account by its name.
func (s *Service) UserNamed(ctx context.Context, name string) (User, error) {
	return s.userNamed(ctx, name)
}

// UserWithID finds an account by its id.
func (s *Service) UserWithID(ctx context.Context, id string) (User, error) {
	return s.st.Users.UserByID(ctx, id)
}

// Shut ends everything by which an account acts: its sessions, with their refresh tokens, and its own agents. The account
// must be disabled before, or it logs in again. Safe to repeat.
func (s *Service) Shut(ctx context.Context, userID string) error {
	if _, err := s.st.Sessions.RevokeSessions(ctx, SessionFilter{UserID: userID}, s.now()); err != nil {
		return err
	}
	err := s.endAgents(ctx, userID)
	s.forgetAll()
	return err
}

// endAgents revokes an account's own agents.
func (s *Service) endAgents(ctx context.Context, userID string) error {
	agents, err := s.ownAgents(ctx, userID)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if a.RevokedAt != nil {
			continue
		}
		if err := s.st.Agents.RevokeAgent(ctx, a.ID, userID, s.now()); err != nil {
			return err
		}
	}
	return nil
}
