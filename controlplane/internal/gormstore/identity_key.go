package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type keyRow struct {
	KID              string `gorm:"column:kid;primaryKey"`
	State            string
	PublicKey        string
	PrivateKeySealed string
	ActiveAt         *Time
	RetiredAt        *Time
	RevokedAt        *Time
	CreatedAt        Time
}

func (keyRow) TableName() string { return "signing_keys" }

func (r keyRow) domain() identity.StoredKey {
	return identity.StoredKey{
		KID: r.KID, State: identity.KeyState(r.State), PublicKey: r.PublicKey, Sealed: r.PrivateKeySealed, ActiveAt: r.ActiveAt.Ptr(),
		RetiredAt: r.RetiredAt.Ptr(), RevokedAt: r.RevokedAt.Ptr(), CreatedAt: r.CreatedAt.Time(),
	}
}

// SigningKeys lists all keys, oldest first.
func (s *Store) SigningKeys(ctx context.Context) ([]identity.StoredKey, error) {
	var rows []keyRow
	if err := s.q(ctx).Order("created_at, kid").Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, keyRow.domain), nil
}

// InsertSigningKey stores a key; already_exists when one is in that state (an index says so).
func (s *Store) InsertSigningKey(ctx context.Context, k identity.StoredKey) error {
	return mapErr(s.q(ctx).Create(&keyRow{
		KID: k.KID, State: string(k.State), PublicKey: k.PublicKey, PrivateKeySealed: k.Sealed, ActiveAt: AtPtr(k.ActiveAt), CreatedAt: At(k.CreatedAt),
	}).Error)
}

// PromoteNextKey lets the next key sign and retires the one that signed. Of several replicas one does it.
func (s *Store) PromoteNextKey(ctx context.Context, madeBefore, now time.Time) (bool, error) {
	var due int64
	waiting := s.q(ctx).Model(&keyRow{}).Where("state = ? AND created_at <= ?", identity.KeyNext, At(madeBefore))
	if err := waiting.Count(&due).Error; err != nil || due == 0 {
		return false, mapErr(err)
	}
	promoted := false
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		var next []keyRow
		if err := tx.Where("state = ? AND created_at <= ?", identity.KeyNext, At(madeBefore)).Find(&next).Error; err != nil || len(next) == 0 {
			return err
		}
		retire := tx.Model(&keyRow{}).Where("state = ?", identity.KeyActive).
			Updates(map[string]any{"state": string(identity.KeyRetired), "retired_at": At(now)})
		if retire.Error != nil {
			return retire.Error
		}
		q := tx.Model(&keyRow{}).Where("kid = ? AND state = ?", next[0].KID, identity.KeyNext).
			Updates(map[string]any{"state": string(identity.KeyActive), "active_at": At(now)})
		promoted = q.RowsAffected == 1
		if q.Error == nil && !promoted {
			return gorm.ErrRecordNotFound // another replica was faster: undo the retiring
		}
		return q.Error
	})
	if !promoted {
		return false, ignoreNotFound(err)
	}
	return true, err
}

// RevokeSigningKey takes a key out of use at once, in whatever state it is.
func (s *Store) RevokeSigningKey(ctx context.Context, kid string, now time.Time) error {
	return wantRow(s.q(ctx).Model(&keyRow{}).Where("kid = ? AND revoked_at IS NULL", kid).
		Updates(map[string]any{"state": string(identity.KeyRetired), "retired_at": At(now), "revoked_at": At(now)}))
}

// DropSigningKeys deletes keys that retired before the time.
func (s *Store) DropSigningKeys(ctx context.Context, retiredBefore time.Time) error {
	return mapErr(s.q(ctx).Delete(&keyRow{}, "state = ? AND retired_at < ?", identity.KeyRetired, At(retiredBefore)).Error)
}
