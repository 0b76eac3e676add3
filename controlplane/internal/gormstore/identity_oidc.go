package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type subjectRow struct {
	Issuer    string `gorm:"primaryKey"`
	Subject   string `gorm:"primaryKey"`
	UserID    string
	CreatedAt Time
}

func (subjectRow) TableName() string { return "oidc_subjects" }

// UserBySubject finds the account of an identity at the provider.
func (s *Store) UserBySubject(ctx context.Context, issuer, subject string) (identity.User, error) {
	return s.oneUser(s.q(ctx).Where("id = (SELECT user_id FROM oidc_subjects WHERE issuer = ? AND subject = ?)", issuer, subject))
}

// InsertSubject joins an identity to an account; already_exists when it is joined.
func (s *Store) InsertSubject(ctx context.Context, issuer, subject, userID string, now time.Time) error {
	return mapErr(s.q(ctx).Create(&subjectRow{Issuer: issuer, Subject: subject, UserID: userID, CreatedAt: At(now)}).Error)
}

// DeleteSubjects disconnects an account that has a password.
func (s *Store) DeleteSubjects(ctx context.Context, userID string) error {
	return wantRow(s.q(ctx).Delete(&subjectRow{}, "user_id = ? AND EXISTS (SELECT 1 FROM users u WHERE u.id = oidc_subjects.user_id AND u.pw_hash IS NOT NULL)", userID))
}

// InsertSubjectUser stores an account with its identity.
func (s *Store) InsertSubjectUser(ctx context.Context, u identity.User, issuer, subject string) error {
	return mapErr(s.Tx(ctx, func(tx *gorm.DB) error {
		row := toUserRow(u)
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		return tx.Create(&subjectRow{Issuer: issuer, Subject: subject, UserID: u.ID, CreatedAt: row.CreatedAt}).Error
	}))
}
