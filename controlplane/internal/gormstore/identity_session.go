package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

type sessionRow struct {
	ID         string
	UserID     string
	UserAgent  string
	Method     string
	ClusterID  *string
	AuthAt     Time
	LastUsedAt Time
	RevokedAt  *Time
	CreatedAt  Time
}

func (sessionRow) TableName() string { return "sessions" }

func (r sessionRow) domain() identity.Session {
	out := identity.Session{
		ID: r.ID, UserID: r.UserID, UserAgent: r.UserAgent, Method: principal.Method(r.Method),
		AuthAt: r.AuthAt.Time(), LastUsedAt: r.LastUsedAt.Time(), CreatedAt: r.CreatedAt.Time(),
	}
	if r.ClusterID != nil {
		out.ClusterID = *r.ClusterID
	}
	return out
}

func newSessionRow(n identity.Session) sessionRow {
	r := sessionRow{
		ID: n.ID, UserID: n.UserID, UserAgent: n.UserAgent, Method: string(n.Method),
		AuthAt: At(n.AuthAt), LastUsedAt: At(n.LastUsedAt), CreatedAt: At(n.CreatedAt),
	}
	if n.ClusterID != "" {
		r.ClusterID = &n.ClusterID
	}
	return r
}

// lockUser makes the transactions that end what an account acts by, and those that begin it (holdUser), wait for one another.
// SQLite has one writer anyway.
func lockUser(tx *gorm.DB, userID string) error {
	return tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Select("id").Find(&userRow{}, "id = ?", userID).Error
}

// holdUser keeps lockUser waiting until this transaction ends; not found when the account is disabled, or has another password
// than pwHash where that is not empty.
func holdUser(tx *gorm.DB, userID, pwHash string) error {
	q := tx.Clauses(clause.Locking{Strength: "SHARE"}).Select("id").Where("id = ? AND disabled_at IS NULL", userID)
	if pwHash != "" {
		q = q.Where("pw_hash = ?", pwHash)
	}
	return q.Take(&userRow{}).Error
}

// stillStands looks at what a login rests on once nobody can take it away any more, and uses up what works once.
func stillStands(tx *gorm.DB, n identity.Session, on identity.Ground) error {
	if err := holdUser(tx, n.UserID, on.PWHash); err != nil {
		return err
	}
	if on.Subject != "" {
		if err := tx.Take(&subjectRow{}, "issuer = ? AND subject = ? AND user_id = ?", on.Issuer, on.Subject, n.UserID).Error; err != nil {
			return err
		}
	}
	if on.Device == "" {
		return nil
	}
	return wantRow(tx.Model(&deviceRow{}).Where("device_hash = ? AND user_id = ? AND state = ? AND exp > ?",
		on.Device, n.UserID, string(identity.DeviceApproved), At(n.CreatedAt)).
		Updates(map[string]any{"state": string(identity.DeviceUsed), "polled_at": At(n.CreatedAt)}))
}

// StartSession stores a session with its first refresh token, if what it rests on still stands.
func (s *Store) StartSession(ctx context.Context, session identity.Session, first identity.RefreshToken, on identity.Ground) error {
	row := newSessionRow(session)
	return s.Tx(ctx, func(tx *gorm.DB) error {
		if err := stillStands(tx, session, on); err != nil {
			return err
		}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		return tx.Create(newRefreshRow(row.ID, row.UserID, first, session.CreatedAt)).Error
	})
}

// HoldSession keeps a session from being ended until the transaction of the context ends.
func (s *Store) HoldSession(ctx context.Context, sessionID string) error {
	return s.Tx(ctx, func(tx *gorm.DB) error {
		var r sessionRow
		if err := tx.Select("user_id").Take(&r, "id = ?", sessionID).Error; err != nil {
			return err
		}
		if err := holdUser(tx, r.UserID, ""); err != nil {
			return err
		}
		return tx.Select("id").Take(&sessionRow{}, "id = ? AND revoked_at IS NULL", sessionID).Error
	})
}

// SessionState reads what each request asks.
func (s *Store) SessionState(ctx context.Context, sessionID string) (identity.SessionState, error) {
	var r struct {
		UserID     string
		Role       string
		Origin     string
		Method     string
		Cluster    *string
		AuthAt     Time
		RevokedAt  *Time
		DisabledAt *Time
	}
	err := s.q(ctx).Table("sessions").Select("sessions.user_id, users.role, users.origin, sessions.method, clusters.name AS cluster, sessions.auth_at, sessions.revoked_at, users.disabled_at").
		Joins("JOIN users ON users.id = sessions.user_id").Joins("LEFT JOIN clusters ON clusters.id = sessions.cluster_id").Where("sessions.id = ?", sessionID).Take(&r).Error
	if err != nil {
		return identity.SessionState{}, mapErr(err)
	}
	out := identity.SessionState{
		UserID: r.UserID, Role: principal.Role(r.Role), AuthAt: r.AuthAt.Time(), Method: principal.Method(r.Method),
		Live: r.RevokedAt == nil && r.DisabledAt == nil,
	}
	if r.Cluster != nil && r.Origin != identity.OriginUnix {
		out.Cluster = *r.Cluster
	}
	return out, nil
}

// unixAlive is how long after an exchange a session of a unix identity is shown: its token lives no longer.
const unixAlive = 10 * time.Minute

// ListSessions lists a user's sessions that can still be used, newest first.
func (s *Store) ListSessions(ctx context.Context, userID string, now time.Time) ([]identity.Session, error) {
	var rows []sessionRow
	err := s.q(ctx).Where("user_id = ? AND revoked_at IS NULL", userID).
		Where("(EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = sessions.id AND t.used_at IS NULL AND t.revoked = ? AND t.exp > ?) OR method = ? AND last_used_at > ?)",
			false, At(now), string(principal.MethodUnix), At(now.Add(-unixAlive))).
		Order("created_at DESC, id").Find(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, sessionRow.domain), nil
}

// RevokeSessions ends sessions and their refresh tokens; it returns how many sessions ended now.
func (s *Store) RevokeSessions(ctx context.Context, f identity.SessionFilter, now time.Time) (int64, error) {
	var n int64
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		var err error
		n, err = revokeSessions(tx, f, now)
		return err
	})
	return n, err
}

func revokeSessions(tx *gorm.DB, f identity.SessionFilter, now time.Time) (int64, error) {
	if err := lockUser(tx, f.UserID); err != nil {
		return 0, err
	}
	restrict := func(q *gorm.DB, column string) *gorm.DB {
		q = q.Where("user_id = ?", f.UserID)
		if f.Only != "" {
			q = q.Where(column+" = ?", f.Only)
		}
		if f.Except != "" {
			q = q.Where(column+" <> ?", f.Except)
		}
		return q
	}
	// Tokens before sessions, in the order in which a refresh takes them. What a refresh adds meanwhile is of a session that ended.
	if err := restrict(tx.Model(&refreshRow{}), "session_id").Update("revoked", true).Error; err != nil {
		return 0, err
	}
	done := restrict(tx.Model(&sessionRow{}), "id").Where("revoked_at IS NULL").Update("revoked_at", At(now))
	if done.Error == nil && f.Only == "" {
		done.Error = denyApproved(tx, f.UserID)
	}
	return done.RowsAffected, done.Error
}
