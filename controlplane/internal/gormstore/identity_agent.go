package gormstore

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

type agentRow struct {
	ID          string
	ClusterID   string
	Kind        string
	OwnerUserID *string
	Name        string
	PublicKey   string
	Scopes      string
	UID         *int64 `gorm:"column:uid"`
	UnixName    string
	Version     string
	LastSeenAt  *Time
	ClockSkewMS *int64 `gorm:"column:clock_skew_ms"`
	RevokedAt   *Time
	CreatedAt   Time
}

func (agentRow) TableName() string { return "agents" }

// namedAgent is an agent with the name of its cluster. (gorm skips embedded structs of unexported names, so it has a field.)
type namedAgent struct {
	Row             agentRow `gorm:"embedded"`
	ClusterName     string
	OwnerDisabledAt *Time
}

func (n namedAgent) domain() identity.Agent {
	r := n.Row
	a := identity.Agent{
		ID: r.ID, ClusterID: r.ClusterID, ClusterName: n.ClusterName, Kind: principal.AgentKind(r.Kind), Name: r.Name, PublicKey: r.PublicKey,
		UID: r.UID, UnixName: r.UnixName, Version: r.Version, Scopes: scopesOf(r.Scopes), LastSeenAt: r.LastSeenAt.Ptr(), RevokedAt: r.RevokedAt.Ptr(), CreatedAt: r.CreatedAt.Time(),
		OwnerDisabled: n.OwnerDisabledAt != nil,
	}
	if r.OwnerUserID != nil {
		a.OwnerUserID = *r.OwnerUserID
	}
	if r.ClockSkewMS != nil {
		skew := time.Duration(*r.ClockSkewMS) * time.Millisecond
		a.ClockSkew = &skew
	}
	return a
}

func toAgentRow(a identity.Agent) agentRow {
	r := agentRow{
		ID: a.ID, ClusterID: a.ClusterID, Kind: string(a.Kind), Name: a.Name, PublicKey: a.PublicKey, UID: a.UID, UnixName: a.UnixName,
		Version: a.Version, LastSeenAt: AtPtr(a.LastSeenAt), RevokedAt: AtPtr(a.RevokedAt), CreatedAt: At(a.CreatedAt),
	}
	if a.OwnerUserID != "" {
		r.OwnerUserID = &a.OwnerUserID
	}
	r.Scopes = scopeWords(a.Scopes)
	return r
}

func scopeWords(scopes []principal.Scope) string {
	words := make([]string, len(scopes))
	for i, scope := range scopes {
		words[i] = string(scope)
	}
	return strings.Join(words, " ")
}

func agentsWithCluster(db *gorm.DB) *gorm.DB {
	return db.Table("agents").Select("agents.*, clusters.name AS cluster_name, users.disabled_at AS owner_disabled_at").
		Joins("JOIN clusters ON clusters.id = agents.cluster_id LEFT JOIN users ON users.id = agents.owner_user_id")
}

// AgentByID finds an agent, revoked or not.
func (s *Store) AgentByID(ctx context.Context, id string) (identity.Agent, error) {
	return agentByID(s.q(ctx), id)
}

func agentByID(db *gorm.DB, id string) (identity.Agent, error) {
	var r namedAgent
	if err := agentsWithCluster(db).Where("agents.id = ?", id).Take(&r).Error; err != nil {
		return identity.Agent{}, mapErr(err)
	}
	return r.domain(), nil
}

// ListAgents lists all agents, oldest first.
func (s *Store) ListAgents(ctx context.Context) ([]identity.Agent, error) {
	var rows []namedAgent
	if err := agentsWithCluster(s.q(ctx)).Order("agents.created_at, agents.id").Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, namedAgent.domain), nil
}

// TouchAgent notes that the agent was here.
func (s *Store) TouchAgent(ctx context.Context, id string, t identity.Touch) error {
	change := map[string]any{"last_seen_at": At(t.At)}
	if t.Skew != nil {
		change["clock_skew_ms"] = t.Skew.Milliseconds()
	}
	if t.Version != "" {
		change["version"] = t.Version
	}
	return wantRow(s.q(ctx).Model(&agentRow{}).Where("id = ?", id).Updates(change))
}

// ReplaceAgentKey stores another public key.
func (s *Store) ReplaceAgentKey(ctx context.Context, id, was, publicKey string, now time.Time) error {
	return wantRow(s.q(ctx).Model(&agentRow{}).Where("id = ? AND public_key = ? AND revoked_at IS NULL", id, was).
		Updates(map[string]any{"public_key": publicKey, "key_changed_at": At(now)}))
}

// SetAgentScopes changes what an agent may do.
func (s *Store) SetAgentScopes(ctx context.Context, id string, scopes []principal.Scope) error {
	return wantRow(s.q(ctx).Model(&agentRow{}).Where("id = ? AND revoked_at IS NULL", id).Update("scopes", scopeWords(scopes)))
}

// RevokeAgent ends an agent; with an owner, only that owner's. A second time is not_found.
func (s *Store) RevokeAgent(ctx context.Context, id, ownerUserID string, now time.Time) error {
	q := s.q(ctx).Model(&agentRow{}).Where("id = ? AND revoked_at IS NULL", id)
	if ownerUserID != "" {
		q = q.Where("owner_user_id = ?", ownerUserID)
	}
	return wantRow(q.Update("revoked_at", At(now)))
}

type assertionRow struct {
	JTI     string `gorm:"column:jti;primaryKey"`
	AgentID string
	Exp     Time
}

func (assertionRow) TableName() string { return "assertions" }

// UseAssertion remembers a jti; already_exists when it was used. Rows go when they expire.
func (s *Store) UseAssertion(ctx context.Context, jti, agentID string, exp, _ time.Time) error {
	return mapErr(s.q(ctx).Create(&assertionRow{JTI: jti, AgentID: agentID, Exp: At(exp)}).Error)
}

type enrolmentRow struct {
	TokenHash string `gorm:"primaryKey"`
	ClusterID string
	Kind      string
	CreatedBy *string
	Exp       Time
	UsedAt    *Time
	CreatedAt Time
}

func (enrolmentRow) TableName() string { return "enrolments" }

// InsertEnrolment stores a one-time token.
func (s *Store) InsertEnrolment(ctx context.Context, e identity.Enrolment) error {
	row := enrolmentRow{TokenHash: e.TokenHash, ClusterID: e.ClusterID, Kind: string(e.Kind), Exp: At(e.Exp), CreatedAt: At(e.CreatedAt)}
	if e.CreatedBy != "" {
		row.CreatedBy = &e.CreatedBy
	}
	return mapErr(s.q(ctx).Create(&row).Error)
}

// VoidEnrolments uses up the tokens that an account made.
func (s *Store) VoidEnrolments(ctx context.Context, userID string, now time.Time) error {
	return mapErr(voidEnrolments(s.q(ctx), userID, now))
}

func voidEnrolments(q *gorm.DB, userID string, now time.Time) error {
	return q.Model(&enrolmentRow{}).Where("created_by = ? AND used_at IS NULL", userID).Update("used_at", At(now)).Error
}

// RedeemEnrolment uses a token once and stores the agent; when that fails the token is as before.
func (s *Store) RedeemEnrolment(ctx context.Context, tokenHash string, now time.Time, build func(identity.Enrolment) (identity.Agent, error)) (identity.Agent, error) {
	var agent identity.Agent
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		var used []enrolmentRow
		err := tx.Raw(`UPDATE enrolments SET used_at = ? WHERE token_hash = ? AND used_at IS NULL AND exp > ?
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = enrolments.created_by AND u.disabled_at IS NOT NULL)
			RETURNING cluster_id, kind, created_by`, At(now), tokenHash, At(now)).Scan(&used).Error
		if err != nil {
			return err
		}
		if len(used) == 0 {
			return gorm.ErrRecordNotFound
		}
		e := identity.Enrolment{ClusterID: used[0].ClusterID, Kind: principal.AgentKind(used[0].Kind)}
		if used[0].CreatedBy != nil {
			e.CreatedBy = *used[0].CreatedBy
		}
		built, err := build(e)
		if err != nil {
			return err
		}
		row := toAgentRow(built)
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		agent, err = agentByID(tx, row.ID)
		return err
	})
	return agent, err
}

type invitationRow struct {
	TokenHash string `gorm:"primaryKey"`
	CreatedBy string
	Exp       Time
	UsedAt    *Time
	CreatedAt Time
}

func (invitationRow) TableName() string { return "invitations" }

// InsertInvitation stores an invitation.
func (s *Store) InsertInvitation(ctx context.Context, tokenHash, createdBy string, exp, now time.Time) error {
	return mapErr(s.q(ctx).Create(&invitationRow{TokenHash: tokenHash, CreatedBy: createdBy, Exp: At(exp), CreatedAt: At(now)}).Error)
}

// RedeemInvitation uses an invitation once and stores the account; when that fails the invitation is as before.
func (s *Store) RedeemInvitation(ctx context.Context, tokenHash string, now time.Time, u identity.User) error {
	return s.Tx(ctx, func(tx *gorm.DB) error {
		q := tx.Model(&invitationRow{}).Where("token_hash = ? AND used_at IS NULL AND exp > ?", tokenHash, At(now)).Update("used_at", At(now))
		if q.Error != nil {
			return q.Error
		}
		if q.RowsAffected == 0 {
			return apperr.New(apperr.NotFound, "no such invitation")
		}
		row := toUserRow(u)
		return tx.Create(&row).Error
	})
}
