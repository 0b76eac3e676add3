package gormstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// ClusterByID finds a cluster.
func (s *Store) ClusterByID(ctx context.Context, id string) (identity.Cluster, error) {
	var r idClusterRow
	if err := s.q(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return identity.Cluster{}, mapErr(err)
	}
	return r.domain(), nil
}

// SetUnixLogin turns the login by unix identity on or off; off ends the sessions that it began.
func (s *Store) SetUnixLogin(ctx context.Context, clusterID string, on bool, now time.Time) error {
	return s.Tx(ctx, func(tx *gorm.DB) error {
		if err := wantRow(tx.Model(&idClusterRow{}).Where("id = ?", clusterID).Update("unix_login", on)); err != nil || on {
			return err
		}
		return tx.Model(&sessionRow{}).Where("cluster_id = ? AND method = ? AND revoked_at IS NULL", clusterID, string(principal.MethodUnix)).
			Update("revoked_at", At(now)).Error
	})
}

// LinkOfUID finds the link of a uid.
func (s *Store) LinkOfUID(ctx context.Context, clusterID string, uid int64) (identity.Link, error) {
	var r namedLink
	err := linksWithCluster(s.q(ctx)).Where("links.cluster_id = ? AND links.uid = ?", clusterID, uid).Take(&r).Error
	return r.domain(), mapErr(err)
}

// InsertUnixUser stores account and link, or gives the account of who was faster. A name that somebody else has by now (the uid
// changed, the name stayed) is an error.
func (s *Store) InsertUnixUser(ctx context.Context, u identity.User, l identity.Link) (identity.User, error) {
	err := mapErr(s.Tx(ctx, func(tx *gorm.DB) error {
		row := toUserRow(u)
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		link := newLinkRow(l)
		return tx.Create(&link).Error
	}))
	if !apperr.Is(err, apperr.AlreadyExists) {
		return u, err
	}
	standing, err := s.LinkOfUID(ctx, l.ClusterID, l.UID)
	if apperr.Is(err, apperr.NotFound) {
		return u, apperr.Newf(apperr.Conflict, "the account %s belongs to another uid", u.Username).WithHint("ask your administrators")
	}
	if err != nil {
		return u, err
	}
	return s.UserByID(ctx, standing.UserID)
}

// UnixSession shares one session among the exchanges of a user on a cluster, or stores a new one. Each exchange is a login.
func (s *Store) UnixSession(ctx context.Context, n identity.Session, since time.Time) (string, error) {
	var standing sessionRow
	err := s.q(ctx).Where("user_id = ? AND cluster_id = ? AND method = ? AND revoked_at IS NULL AND created_at > ?",
		n.UserID, n.ClusterID, string(n.Method), At(since)).Order("created_at DESC").Take(&standing).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		row := newSessionRow(n)
		return row.ID, mapErr(s.q(ctx).Create(&row).Error)
	}
	if err != nil {
		return "", mapErr(err)
	}
	return standing.ID, mapErr(s.q(ctx).Model(&sessionRow{}).Where("id = ?", standing.ID).
		Updates(map[string]any{"last_used_at": At(n.LastUsedAt), "auth_at": At(n.AuthAt)}).Error)
}

// joinUnix gives an account everything that the first use on a login node had made another account for, and disables that one.
func (s *Store) joinUnix(tx *gorm.DB, old linkRow, l identity.Link) error {
	from, to, now := old.UserID, l.UserID, l.CreatedAt
	if err := s.lockJobs(tx, l.ClusterID); err != nil {
		return err
	}
	if err := lockBooksOf(tx, from, to); err != nil {
		return err
	}
	for _, table := range []string{"jobs", "uploads", "objects"} {
		if err := tx.Exec("UPDATE "+table+" SET user_id = ? WHERE user_id = ?", to, from).Error; err != nil {
			return err
		}
	}
	if err := joinQuotas(tx, from, to); err != nil {
		return err
	}
	if _, err := revokeSessions(tx, identity.SessionFilter{UserID: from}, now); err != nil {
		return err
	}
	if err := revokePersonal(tx, from, "", now).Error; err != nil {
		return err
	}
	// The name is free again: when the new link goes, the uid gets another account.
	return tx.Model(&userRow{}).Where("id = ?", from).
		Updates(map[string]any{"disabled_at": At(now), "username": gorm.Expr("username || '/' || substr(id, 1, 8)")}).Error
}

// joinQuotas adds what one account stores to the other's book. The limit stays: who is above it stores nothing new.
func joinQuotas(tx *gorm.DB, from, to string) error {
	sum := tx.Exec(`UPDATE quotas SET
		used_bytes = quotas.used_bytes + f.used_bytes, used_objects = quotas.used_objects + f.used_objects,
		reserved_bytes = quotas.reserved_bytes + f.reserved_bytes, reserved_objects = quotas.reserved_objects + f.reserved_objects
		FROM (SELECT * FROM quotas WHERE user_id = ?) AS f WHERE quotas.user_id = ?`, from, to)
	if sum.Error != nil {
		return sum.Error
	}
	if sum.RowsAffected > 0 {
		return tx.Exec("DELETE FROM quotas WHERE user_id = ?", from).Error
	}
	var have int64
	if err := tx.Table("quotas").Where("user_id = ?", to).Count(&have).Error; err != nil || have > 0 {
		return err
	}
	return tx.Exec("UPDATE quotas SET user_id = ? WHERE user_id = ?", to, from).Error
}
