package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

type userRow struct {
	ID         string
	Username   string
	PwHash     *string
	Role       string
	Origin     string
	DisabledAt *Time
	CreatedAt  Time
}

func (userRow) TableName() string { return "users" }

func (r userRow) domain() identity.User {
	u := identity.User{
		ID: r.ID, Username: r.Username, Role: principal.Role(r.Role), Origin: r.Origin, DisabledAt: r.DisabledAt.Ptr(), CreatedAt: r.CreatedAt.Time(),
	}
	if r.PwHash != nil {
		u.PWHash = *r.PwHash
	}
	return u
}

func toUserRow(u identity.User) userRow {
	r := userRow{ID: u.ID, Username: u.Username, Role: string(u.Role), Origin: u.Origin, DisabledAt: AtPtr(u.DisabledAt), CreatedAt: At(u.CreatedAt)}
	if u.PWHash != "" {
		r.PwHash = &u.PWHash
	}
	return r
}

// InsertUser stores an account; already_exists when the name is taken.
func (s *Store) InsertUser(ctx context.Context, u identity.User) error {
	row := toUserRow(u)
	return mapErr(s.q(ctx).Create(&row).Error)
}

// UserByName finds an account.
func (s *Store) UserByName(ctx context.Context, name string) (identity.User, error) {
	return s.oneUser(s.q(ctx).Where("username = ?", name))
}

// UserByID finds an account.
func (s *Store) UserByID(ctx context.Context, id string) (identity.User, error) {
	return s.oneUser(s.q(ctx).Where("id = ?", id))
}

func (s *Store) oneUser(q *gorm.DB) (identity.User, error) {
	var r userRow
	if err := q.Take(&r).Error; err != nil {
		return identity.User{}, mapErr(err)
	}
	return r.domain(), nil
}

// ListUsers lists all accounts by name.
func (s *Store) ListUsers(ctx context.Context) ([]identity.User, error) {
	var rows []userRow
	if err := s.q(ctx).Order("username").Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, userRow.domain), nil
}

// UpdateUser changes what is set.
func (s *Store) UpdateUser(ctx context.Context, id string, change identity.UserChange) error {
	set := map[string]any{}
	if change.PWHash != nil {
		set["pw_hash"] = *change.PWHash
	}
	if change.Role != nil {
		set["role"] = string(*change.Role)
	}
	if change.Disabled != nil {
		set["disabled_at"] = nullTime(*change.Disabled)
	}
	if len(set) == 0 {
		return nil
	}
	q := s.q(ctx).Model(&userRow{}).Where("id = ?", id)
	if change.WasPWHash != "" {
		q = q.Where("pw_hash = ?", change.WasPWHash)
	}
	return wantRow(q.Updates(set))
}

// ReplacePassword stores a hash and ends the sessions and enrolments of before.
func (s *Store) ReplacePassword(ctx context.Context, c identity.PasswordChange) error {
	return s.Tx(ctx, func(tx *gorm.DB) error {
		q := tx.Model(&userRow{}).Where("id = ?", c.UserID)
		if c.Was != "" {
			q = q.Where("pw_hash = ?", c.Was)
		}
		if err := wantRow(q.Update("pw_hash", c.Hash)); err != nil {
			return err
		}
		if err := voidEnrolments(tx, c.UserID, c.Now); err != nil {
			return err
		}
		_, err := revokeSessions(tx, identity.SessionFilter{UserID: c.UserID, Except: c.Except}, c.Now)
		return err
	})
}

// nullTime is NULL for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return At(t)
}

// wantRow turns "nothing was changed" into not_found.
func wantRow(q *gorm.DB) error {
	if q.Error != nil {
		return mapErr(q.Error)
	}
	if q.RowsAffected == 0 {
		return apperr.New(apperr.NotFound, "no such thing")
	}
	return nil
}

// mapRows converts rows to the domain.
func mapRows[R, D any](rows []R, fn func(R) D) []D {
	out := make([]D, 0, len(rows))
	for _, r := range rows {
		out = append(out, fn(r))
	}
	return out
}
