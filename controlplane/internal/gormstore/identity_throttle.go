package gormstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

type throttleRow struct {
	Account      string `gorm:"primaryKey"`
	Failures     int64
	BlockedUntil Time
	UpdatedAt    Time `gorm:"autoUpdateTime:false"`
}

func (throttleRow) TableName() string { return "login_throttle" }

// throttleTries bounds how often an attempt that lost the race for a count tries for the next one.
const throttleTries = 8

// ReserveAttempt takes one count by an UPDATE that names the count it saw; who loses looks again.
func (s *Store) ReserveAttempt(ctx context.Context, account string, now time.Time, delay func(int64) time.Duration) (time.Time, error) {
	for range throttleTries {
		until, done, err := s.tryReserve(ctx, account, now, delay)
		if err != nil || done {
			return until, mapErr(err)
		}
	}
	return now.Add(time.Second), nil // a crowd at one name: let it wait a second
}

func (s *Store) tryReserve(ctx context.Context, account string, now time.Time, delay func(int64) time.Duration) (time.Time, bool, error) {
	var row throttleRow
	err := s.q(ctx).Take(&row, "account = ?", account).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		fresh := throttleRow{Account: account, Failures: 1, BlockedUntil: At(now.Add(delay(1))), UpdatedAt: At(now)}
		q := s.q(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh)
		return time.Time{}, q.RowsAffected == 1, q.Error
	}
	if err != nil {
		return time.Time{}, false, err
	}
	if row.BlockedUntil > At(now) {
		return row.BlockedUntil.Time(), true, nil
	}
	n := row.Failures + 1
	q := s.q(ctx).Model(&throttleRow{}).Where("account = ? AND failures = ?", account, row.Failures).
		UpdateColumns(map[string]any{"failures": n, "blocked_until": At(now.Add(delay(n))), "updated_at": At(now)})
	return time.Time{}, q.RowsAffected == 1, q.Error
}

// ForgetAttempts clears the count after a success.
func (s *Store) ForgetAttempts(ctx context.Context, account string) error {
	return mapErr(s.q(ctx).Delete(&throttleRow{}, "account = ?", account).Error)
}

// SweepAttempts removes what nobody tried since, and expired one-time rows with it.
func (s *Store) SweepAttempts(ctx context.Context, before time.Time) error {
	err := s.q(ctx).Delete(&throttleRow{}, "updated_at < ? AND blocked_until < ?", At(before), At(before)).Error
	for _, table := range []string{"assertions", "link_challenges", "device_grants", "idempotency"} {
		err = errors.Join(err, s.q(ctx).Exec("DELETE FROM "+table+" WHERE exp < ?", At(before)).Error)
	}
	err = errors.Join(err, s.q(ctx).Exec("DELETE FROM rate_windows WHERE began_at < ?", At(before)).Error)
	return mapErr(err)
}
