package gormstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

// What a link of an account that the first use on a login node made knew stays when the link goes: the uid is the only way into
// that account, and without it nobody could tell its owner from the next holder of the name.

const linkColumns = "id, cluster_id, uid, gid, unix_name, user_id, agent_id, suspended_at, suspended_for, confirmed_at, created_at"

// leaveLinks keeps the links that are about to be removed.
func leaveLinks(tx *gorm.DB, where string, args ...any) error {
	return tx.Exec("INSERT INTO left_links ("+linkColumns+") SELECT "+linkColumns+" FROM links WHERE "+where+
		" AND EXISTS (SELECT 1 FROM users u WHERE u.id = links.user_id AND u.origin = 'unix')", args...).Error
}

// takeUpLink puts a link that was left back as it was, unless its uid or its account is linked otherwise by now; not found when
// there is none.
func takeUpLink(tx *gorm.DB, where string, args ...any) error {
	var left linkRow
	err := tx.Table("left_links").Where(where, args...).
		Where("NOT EXISTS (SELECT 1 FROM links l WHERE l.cluster_id = left_links.cluster_id AND (l.uid = left_links.uid OR l.user_id = left_links.user_id))").
		Order("created_at DESC").Take(&left).Error
	if err != nil {
		return err
	}
	if err := tx.Create(&left).Error; err != nil {
		return err
	}
	return tx.Exec("DELETE FROM left_links WHERE id = ?", left.ID).Error
}

// TakeUpLink is identity.UnixStore.TakeUpLink.
func (s *Store) TakeUpLink(ctx context.Context, clusterID string, uid int64, unixName string) (identity.Link, error) {
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		return takeUpLink(tx, "left_links.cluster_id = ? AND left_links.uid = ? AND left_links.unix_name = ?", clusterID, uid, unixName)
	})
	if err != nil {
		return identity.Link{}, mapErr(err)
	}
	return s.LinkOfUID(ctx, clusterID, uid)
}
