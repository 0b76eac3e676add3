package gormstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type challengeRow struct {
	ChallengeHash string `gorm:"primaryKey"`
	UserID        string
	ClusterID     string
	Exp           Time
	UsedAt        *Time
	CreatedAt     Time
}

func (challengeRow) TableName() string { return "link_challenges" }

type linkRow struct {
	ID           string
	ClusterID    string
	UID          int64 `gorm:"column:uid"`
	GID          int64 `gorm:"column:gid"`
	UnixName     string
	UserID       string
	AgentID      *string
	SuspendedAt  *Time
	SuspendedFor string
	ConfirmedAt  *Time
	CreatedAt    Time
}

func (linkRow) TableName() string { return "links" }

// namedLink is a link with the name of its cluster.
type namedLink struct {
	Row         linkRow `gorm:"embedded"`
	ClusterName string
}

func (n namedLink) domain() identity.Link {
	r := n.Row
	l := identity.Link{
		ID: r.ID, ClusterID: r.ClusterID, ClusterName: n.ClusterName, UID: r.UID, GID: r.GID, UnixName: r.UnixName, UserID: r.UserID,
		Suspended: r.SuspendedAt != nil, SuspendedFor: r.SuspendedFor, CreatedAt: r.CreatedAt.Time(), ConfirmedAt: r.CreatedAt.Time(),
	}
	if r.ConfirmedAt != nil {
		l.ConfirmedAt = r.ConfirmedAt.Time()
	}
	if r.AgentID != nil {
		l.AgentID = *r.AgentID
	}
	return l
}

func linksWithCluster(db *gorm.DB) *gorm.DB {
	return db.Table("links").Select("links.*, clusters.name AS cluster_name").Joins("JOIN clusters ON clusters.id = links.cluster_id")
}

// InsertChallenge stores a challenge.
func (s *Store) InsertChallenge(ctx context.Context, hash, userID, clusterID string, exp, now time.Time) error {
	return mapErr(s.q(ctx).Create(&challengeRow{ChallengeHash: hash, UserID: userID, ClusterID: clusterID, Exp: At(exp), CreatedAt: At(now)}).Error)
}

var errChallenge = apperr.New(apperr.ChallengeExpired, "this challenge is not valid here: it works once, for two minutes, on the cluster it was made for").
	WithHint("run `ergon link` again")

// ConfirmChallenge uses the challenge and stores the link. See identity.LinkStore.
func (s *Store) ConfirmChallenge(ctx context.Context, hash string, l identity.Link, now time.Time) (identity.Link, error) {
	var out identity.Link
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		var used []challengeRow
		err := tx.Raw(`UPDATE link_challenges SET used_at = ? WHERE challenge_hash = ? AND cluster_id = ? AND used_at IS NULL AND exp > ?
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = link_challenges.user_id AND u.disabled_at IS NULL AND u.role = 'user')
			RETURNING user_id`, At(now), hash, l.ClusterID, At(now)).Scan(&used).Error
		if err != nil {
			return err
		}
		if len(used) == 0 {
			out, err = repeatedLink(tx, hash, l)
			return err
		}
		l.UserID = used[0].UserID
		out, err = s.placeLink(tx, l)
		return err
	})
	return out, err
}

// repeatedLink: an agent that lost the answer asks again and gets the link it made.
func repeatedLink(tx *gorm.DB, hash string, l identity.Link) (identity.Link, error) {
	var c challengeRow
	err := tx.Take(&c, "challenge_hash = ? AND cluster_id = ? AND used_at IS NOT NULL", hash, l.ClusterID).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return identity.Link{}, errChallenge
	}
	if err != nil {
		return identity.Link{}, err
	}
	var r namedLink
	err = linksWithCluster(tx).Where("links.cluster_id = ? AND links.uid = ? AND links.user_id = ? AND links.agent_id = ?",
		l.ClusterID, l.UID, c.UserID, l.AgentID).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return identity.Link{}, errChallenge
	}
	return r.domain(), err
}

// placeLink inserts the link, or confirms the one that stands between the same two anew, which also ends a suspension.
func (s *Store) placeLink(tx *gorm.DB, l identity.Link) (identity.Link, error) {
	// An account that the first use made and that was unlinked is joined as if it were linked.
	err := takeUpLink(tx, "left_links.cluster_id = ? AND left_links.uid = ? AND left_links.unix_name = ? AND left_links.gid = ? AND left_links.suspended_for IN ('', ?)",
		l.ClusterID, l.UID, l.UnixName, l.GID, identity.SuspendedExpired)
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return identity.Link{}, err
	}
	var standing []linkRow
	if err := tx.Where("cluster_id = ? AND (uid = ? OR user_id = ?)", l.ClusterID, l.UID, l.UserID).Find(&standing).Error; err != nil {
		return identity.Link{}, err
	}
	row := newLinkRow(l)
	joined, err := joinsUnix(tx, standing, l)
	switch {
	case err != nil:
	case joined:
		row.ID, row.CreatedAt = standing[0].ID, standing[0].CreatedAt
		err = errors.Join(s.joinUnix(tx, standing[0], l), tx.Save(&row).Error)
	case len(standing) == 0:
		err = tx.Create(&row).Error
	case len(standing) == 1 && standing[0].UID == l.UID && standing[0].UserID == l.UserID:
		row.ID, row.CreatedAt = standing[0].ID, standing[0].CreatedAt
		err = tx.Save(&row).Error
	default:
		err = linkConflict(standing, l)
	}
	if err != nil {
		return identity.Link{}, err
	}
	var named namedLink
	err = linksWithCluster(tx).Where("links.id = ?", row.ID).Take(&named).Error
	return named.domain(), err
}

// newLinkRow is a link that was confirmed just now.
func newLinkRow(l identity.Link) linkRow {
	confirmed := At(l.CreatedAt)
	return linkRow{
		ConfirmedAt: &confirmed,
		ID:          l.ID, ClusterID: l.ClusterID, UID: l.UID, GID: l.GID, UnixName: l.UnixName, UserID: l.UserID, AgentID: &l.AgentID, CreatedAt: At(l.CreatedAt),
	}
}

// joinsUnix: the uid has an account that the first use on a login node made, and its owner links it to a real one. Whoever has
// the uid under another name or group is not that owner. A link that only expired is what the ceremony renews.
func joinsUnix(tx *gorm.DB, standing []linkRow, l identity.Link) (bool, error) {
	if len(standing) != 1 || standing[0].UID != l.UID || standing[0].UserID == l.UserID {
		return false, nil
	}
	old := standing[0]
	if old.UnixName != l.UnixName || old.GID != l.GID || old.SuspendedAt != nil && old.SuspendedFor != identity.SuspendedExpired {
		return false, nil
	}
	var n int64
	err := tx.Model(&userRow{}).Where("id = ? AND origin = ?", standing[0].UserID, identity.OriginUnix).Count(&n).Error
	return n == 1, err
}

// linkConflict says which side is taken, and by nobody's name.
func linkConflict(standing []linkRow, l identity.Link) error {
	for _, r := range standing {
		if r.UID == l.UID {
			return apperr.New(apperr.Conflict, "this unix user is linked to another account").WithHint("`ergon unlink` on the login node removes that link")
		}
	}
	return apperr.New(apperr.Conflict, "this account is linked to another unix user of the cluster").WithHint("remove that link first: `ergon unlink` as that user, or DELETE /links/{id}")
}

// LinksOfUser lists the proven links of an account.
func (s *Store) LinksOfUser(ctx context.Context, userID string) ([]identity.Link, error) {
	return findLinks(linksWithCluster(s.q(ctx)).Where("links.user_id = ?", userID))
}

// LinksOfCluster lists the proven links of a cluster, suspended ones too.
func (s *Store) LinksOfCluster(ctx context.Context, clusterID string) ([]identity.Link, error) {
	return findLinks(linksWithCluster(s.q(ctx)).Where("links.cluster_id = ?", clusterID))
}

func findLinks(q *gorm.DB) ([]identity.Link, error) {
	var rows []namedLink
	if err := q.Order("links.created_at, links.id").Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, namedLink.domain), nil
}

// DeleteLink removes one link; not_found when there is none.
func (s *Store) DeleteLink(ctx context.Context, f identity.LinkFilter) error {
	where, args := "cluster_id = ? AND uid = ?", []any{f.ClusterID, f.UID}
	if f.ID != "" {
		where, args = "id = ? AND user_id = ?", []any{f.ID, f.UserID}
	}
	return s.Tx(ctx, func(tx *gorm.DB) error {
		if err := leaveLinks(tx, where, args...); err != nil {
			return err
		}
		return wantRow(tx.Delete(&linkRow{}, append([]any{where}, args...)...))
	})
}

// ListLinks lists the proven links of all clusters, suspended ones too.
func (s *Store) ListLinks(ctx context.Context) ([]identity.Link, error) {
	return findLinks(linksWithCluster(s.q(ctx)))
}

// LinkByID finds a link.
func (s *Store) LinkByID(ctx context.Context, id string) (identity.Link, error) {
	list, err := findLinks(linksWithCluster(s.q(ctx)).Where("links.id = ?", id))
	if err == nil && len(list) == 0 {
		err = apperr.New(apperr.NotFound, "there is no such link")
	}
	if err != nil {
		return identity.Link{}, err
	}
	return list[0], nil
}

// SuspendLink keeps a link from counting until it is confirmed again.
func (s *Store) SuspendLink(ctx context.Context, id, why string, now time.Time) error {
	return mapErr(s.suspendLink(ctx, id, why, now).Error)
}

// ResumeLink confirms a link by hand.
func (s *Store) ResumeLink(ctx context.Context, id string, gid *int64, now time.Time) error {
	set := map[string]any{"suspended_at": nil, "suspended_for": "", "confirmed_at": At(now)}
	if gid != nil {
		set["gid"] = *gid
	}
	return wantRow(s.q(ctx).Model(&linkRow{}).Where("id = ?", id).Updates(set))
}

func (s *Store) suspendLink(ctx context.Context, id, why string, now time.Time) *gorm.DB {
	return s.q(ctx).Model(&linkRow{}).Where("id = ? AND suspended_at IS NULL", id).
		Updates(map[string]any{"suspended_at": At(now), "suspended_for": why})
}

// SuspendLinksBefore suspends each by an UPDATE of its own, so that of several replicas one tells of it.
func (s *Store) SuspendLinksBefore(ctx context.Context, before, now time.Time) ([]identity.Link, error) {
	due, err := findLinks(linksWithCluster(s.q(ctx)).Where("links.suspended_at IS NULL AND COALESCE(links.confirmed_at, links.created_at) < ?", At(before)))
	if err != nil {
		return nil, err
	}
	var done []identity.Link
	for _, l := range due {
		q := s.suspendLink(ctx, l.ID, identity.SuspendedExpired, now)
		if q.Error != nil {
			return done, mapErr(q.Error)
		}
		if q.RowsAffected == 1 {
			done = append(done, l)
		}
	}
	return done, nil
}
