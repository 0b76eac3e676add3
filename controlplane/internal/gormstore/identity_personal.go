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

type personalRow struct {
	ID         string
	UserID     string
	Name       string
	TokenHash  string
	Scopes     string
	Exp        Time
	LastUsedAt *Time
	RevokedAt  *Time
	CreatedAt  Time
}

func (personalRow) TableName() string { return "personal_tokens" }

func (r personalRow) domain() identity.PersonalToken {
	return identity.PersonalToken{
		ID: r.ID, UserID: r.UserID, Name: r.Name, TokenHash: r.TokenHash, Scopes: scopesOf(r.Scopes), Exp: r.Exp.Time(),
		LastUsedAt: r.LastUsedAt.Ptr(), CreatedAt: r.CreatedAt.Time(),
	}
}

func scopesOf(words string) []principal.Scope {
	scopes := []principal.Scope{}
	for _, word := range strings.Fields(words) {
		scopes = append(scopes, principal.Scope(word))
	}
	return scopes
}

// InsertPersonal stores a token below the account's limit: the row is counted in the INSERT.
func (s *Store) InsertPersonal(ctx context.Context, t identity.PersonalToken, limit int) error {
	q := s.q(ctx).Exec(`INSERT INTO personal_tokens (id, user_id, name, token_hash, scopes, exp, created_at)
		SELECT CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?
		WHERE (SELECT COUNT(*) FROM personal_tokens WHERE user_id = ? AND revoked_at IS NULL AND exp > ?) < ?`,
		t.ID, t.UserID, t.Name, t.TokenHash, scopeWords(t.Scopes), At(t.Exp), At(t.CreatedAt), t.UserID, At(t.CreatedAt), limit)
	if q.Error == nil && q.RowsAffected == 0 {
		return apperr.Newf(apperr.Conflict, "you have %d tokens, and no more are allowed", limit).WithHint("`ergon token revoke` ends one")
	}
	return mapErr(q.Error)
}

// ListPersonal lists an account's living tokens, newest first.
func (s *Store) ListPersonal(ctx context.Context, userID string, now time.Time) ([]identity.PersonalToken, error) {
	var rows []personalRow
	err := s.q(ctx).Where("user_id = ? AND revoked_at IS NULL AND exp > ?", userID, At(now)).Order("created_at DESC, id").Find(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, personalRow.domain), nil
}

// PersonalState reads what each request asks of a token.
func (s *Store) PersonalState(ctx context.Context, hash string) (identity.PersonalState, error) {
	var r struct {
		Row        personalRow `gorm:"embedded"`
		Role       string
		DisabledAt *Time
	}
	err := s.q(ctx).Table("personal_tokens").Select("personal_tokens.*, users.role, users.disabled_at").
		Joins("JOIN users ON users.id = personal_tokens.user_id").Where("token_hash = ?", hash).Take(&r).Error
	if err != nil {
		return identity.PersonalState{}, mapErr(err)
	}
	return identity.PersonalState{
		ID: r.Row.ID, UserID: r.Row.UserID, Role: principal.Role(r.Role), Scopes: scopesOf(r.Row.Scopes), Exp: r.Row.Exp.Time(),
		Live: r.Row.RevokedAt == nil && r.DisabledAt == nil,
	}, nil
}

// TouchPersonal notes a use, at most once in the time between before and now.
func (s *Store) TouchPersonal(ctx context.Context, id string, now, before time.Time) error {
	return mapErr(s.q(ctx).Model(&personalRow{}).Where("id = ? AND (last_used_at IS NULL OR last_used_at < ?)", id, At(before)).
		UpdateColumn("last_used_at", At(now)).Error)
}

// RevokePersonal ends one token of an account, or all.
func (s *Store) RevokePersonal(ctx context.Context, userID, id string, now time.Time) error {
	return wantRow(revokePersonal(s.q(ctx), userID, id, now))
}

func revokePersonal(db *gorm.DB, userID, id string, now time.Time) *gorm.DB {
	q := db.Model(&personalRow{}).Where("user_id = ? AND revoked_at IS NULL", userID)
	if id != "" {
		q = q.Where("id = ?", id)
	}
	return q.Update("revoked_at", At(now))
}
