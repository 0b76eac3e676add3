package identity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// What stands here is for the server's own command line, which holds the database and the secret; no HTTP route leads here.

// CreateUser makes an account of any role.
func (s *Service) CreateUser(ctx context.Context, name, password string, role principal.Role) (User, error) {
	if err := checkRole(role); err != nil {
		return User{}, err
	}
	u, err := s.newUser(ctx, name, password, role)
	if err != nil {
		return User{}, err
	}
	e := audit.Event{Action: "user.create", Subject: u.ID, Detail: map[string]string{"role": string(role)}}
	if err := s.act(ctx, e, func(ctx context.Context) error { return s.st.Users.InsertUser(ctx, u) }); err != nil {
		return User{}, taken(err)
	}
	return u, nil
}

func checkRole(role principal.Role) error {
	if slices.Contains([]principal.Role{principal.RoleUser, principal.RoleAccountManager, principal.RoleOperator, principal.RoleAdmin}, role) {
		return nil
	}
	return invalid("role", "user, account_manager, operator or admin")
}

// Users lists every account.
func (s *Service) Users(ctx context.Context) ([]User, error) { return s.st.Users.ListUsers(ctx) }

// SetDisabled disables an account, or enables it again. Its sessions end; its tokens, its own agents and what enrols them do
// nothing until it is enabled.
func (s *Service) SetDisabled(ctx context.Context, name string, disabled bool) error {
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return err
	}
	at, action := time.Time{}, "user.enable"
	if disabled {
		at, action = s.now(), "user.disable"
	}
	err = s.act(ctx, audit.Event{Action: action, Subject: u.ID}, func(ctx context.Context) error {
		if err := s.st.Users.UpdateUser(ctx, u.ID, UserChange{Disabled: &at}); err != nil || !disabled {
			return err
		}
		_, err := s.st.Sessions.RevokeSessions(ctx, SessionFilter{UserID: u.ID}, s.now())
		return err
	})
	s.forgetAll()
	return err
}

// SetRole changes a role; running sessions have it after ten seconds.
func (s *Service) SetRole(ctx context.Context, name string, role principal.Role) error {
	if err := checkRole(role); err != nil {
		return err
	}
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return err
	}
	e := audit.Event{Action: "user.role", Subject: u.ID, Detail: map[string]string{"from": string(u.Role), "to": string(role)}}
	return s.act(ctx, e, func(ctx context.Context) error { return s.st.Users.UpdateUser(ctx, u.ID, UserChange{Role: &role}) })
}

// ResetPassword sets a password without the old one, and ends everything by which somebody who had the old one may still act:
// sessions, personal access tokens and the account's own agents.
func (s *Service) ResetPassword(ctx context.Context, name, password string) error {
	if err := s.checkPassword("password", password); err != nil {
		return err
	}
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.act(ctx, audit.Event{Action: "user.reset", Subject: u.ID}, func(ctx context.Context) error {
		if err := s.st.Users.ReplacePassword(ctx, PasswordChange{UserID: u.ID, Hash: hash, Now: s.now()}); err != nil {
			return err
		}
		return s.endPrograms(ctx, u.ID)
	})
	s.forgetAll()
	return err
}

func (s *Service) userNamed(ctx context.Context, name string) (User, error) {
	u, err := s.st.Users.UserByName(ctx, name)
	if apperr.Is(err, apperr.NotFound) {
		return u, apperr.Newf(apperr.NotFound, "there is no account %q", name).WithHint("`ergon-server admin user list` shows all")
	}
	return u, err
}

const (
	invitePrefix = "ergi_"
	inviteLife   = 7 * 24 * time.Hour
)

// Invite makes an invitation for one registration, good for a week.
func (s *Service) Invite(ctx context.Context) (token string, exp time.Time, err error) {
	token, err = s.randomToken(invitePrefix, secretBytes)
	if err != nil {
		return "", time.Time{}, err
	}
	now := s.now()
	exp = now.Add(inviteLife)
	err = s.act(ctx, audit.Event{Action: "user.invite"}, func(ctx context.Context) error {
		return s.st.Enrolments.InsertInvitation(ctx, digest(token), "command line", exp, now)
	})
	return token, exp, err
}

// CreateCluster adds a cluster.
func (s *Service) CreateCluster(ctx context.Context, name string) (Cluster, error) {
	if err := checkCluster(name); err != nil {
		return Cluster{}, err
	}
	c := Cluster{ID: uuid.NewString(), Name: name, CreatedAt: s.now()}
	e := audit.Event{Action: "cluster.create", Subject: c.ID, Detail: map[string]string{"name": name}}
	err := s.act(ctx, e, func(ctx context.Context) error { return s.st.Clusters.InsertCluster(ctx, c) })
	if apperr.Is(err, apperr.AlreadyExists) {
		err = apperr.Newf(apperr.AlreadyExists, "the cluster %q exists already", name)
	}
	if err != nil {
		return Cluster{}, err
	}
	return c, nil
}

// Clusters lists every cluster.
func (s *Service) Clusters(ctx context.Context) ([]Cluster, error) {
	return s.st.Clusters.ListClusters(ctx)
}

// EnrolToken makes an enrolment token for a system agent, or for a user agent of the named owner.
func (s *Service) EnrolToken(ctx context.Context, cluster string, kind principal.AgentKind, owner string) (string, time.Time, error) {
	by := ""
	if kind == principal.AgentUser {
		if owner == "" {
			return "", time.Time{}, invalid("owner", "a user agent needs its owner's name")
		}
		u, err := s.userNamed(ctx, owner)
		if err != nil {
			return "", time.Time{}, err
		}
		by = u.ID
	}
	return s.enrolment(ctx, cluster, kind, by)
}

// Agents lists every agent.
func (s *Service) Agents(ctx context.Context) ([]Agent, error) { return s.st.Agents.ListAgents(ctx) }

// RevokeAgent ends an agent; its tokens are refused within ten seconds.
func (s *Service) RevokeAgent(ctx context.Context, id string) error {
	err := s.act(ctx, audit.Event{Action: "agent.revoke", Subject: id}, func(ctx context.Context) error {
		return s.st.Agents.RevokeAgent(ctx, id, "", s.now())
	})
	s.agents.forget(id)
	return err
}

// SigningKeys lists the signing keys.
func (s *Service) SigningKeys(ctx context.Context) ([]StoredKey, error) {
	return s.st.Keys.SigningKeys(ctx)
}

// RotateKey makes the next signing key. Servers take it into use once all of them know it, after 20 s.
func (s *Service) RotateKey(ctx context.Context) error {
	err := s.act(ctx, audit.Event{Action: "key.rotate"}, func(ctx context.Context) error { return s.ring.insert(ctx, KeyNext) })
	if apperr.Is(err, apperr.AlreadyExists) {
		return apperr.New(apperr.Conflict, "a rotation is under way already").WithHint("it is done after 20 seconds of a running server")
	}
	return err
}

// rotateByAge begins a rotation when the active key is old. Of several replicas one makes the key.
func (s *Service) rotateByAge(ctx context.Context) error {
	if s.cfg.KeyRotation <= 0 {
		return nil
	}
	keys, err := s.st.Keys.SigningKeys(ctx)
	if err != nil {
		return err
	}
	due := false
	for _, k := range keys {
		if k.State == KeyNext {
			return nil
		}
		due = due || (k.State == KeyActive && k.ActiveAt != nil && s.now().Sub(*k.ActiveAt) > s.cfg.KeyRotation)
	}
	if !due {
		return nil
	}
	if err := s.RotateKey(ctx); err != nil && !apperr.Is(err, apperr.Conflict) {
		return err
	}
	return nil
}

// RevokeKey refuses every token of a key, on every replica within ten seconds. People log in again; their sessions stay.
func (s *Service) RevokeKey(ctx context.Context, kid string) error {
	err := s.act(ctx, audit.Event{Action: "key.revoke", Subject: kid}, func(ctx context.Context) error {
		return s.st.Keys.RevokeSigningKey(ctx, kid, s.now())
	})
	if err != nil {
		return err
	}
	return s.ring.Reload(ctx)
}
