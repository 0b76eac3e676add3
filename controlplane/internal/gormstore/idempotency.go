package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/repeat"
)

type callRow struct {
	Caller      string `gorm:"primaryKey"`
	Route       string `gorm:"primaryKey"`
	KeyHash     string `gorm:"primaryKey"`
	Fingerprint string
	ResourceID  string
	Status      int
	Lease       Time
	Exp         Time
}

func (callRow) TableName() string { return "idempotency" }

func whichCall(q *gorm.DB, c repeat.Call) *gorm.DB {
	return q.Model(&callRow{}).Where("caller = ? AND route = ? AND key_hash = ?", c.Caller, c.Route, c.KeyHash)
}

// BeginCall takes the key by an INSERT, or a lost one by an UPDATE that names the lease it saw.
func (s *Store) BeginCall(ctx context.Context, c repeat.Call, now time.Time, lease, life time.Duration) (repeat.Record, error) {
	if err := whichCall(s.q(ctx), c).Where("exp <= ?", At(now)).Delete(&callRow{}).Error; err != nil {
		return repeat.Record{}, mapErr(err)
	}
	fresh := callRow{
		Caller: c.Caller, Route: c.Route, KeyHash: c.KeyHash, Fingerprint: c.Fingerprint, Lease: At(now.Add(lease)), Exp: At(now.Add(life)),
	}
	q := s.q(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh)
	if q.Error != nil || q.RowsAffected == 1 {
		return repeat.Record{State: repeat.New}, mapErr(q.Error)
	}
	var row callRow
	if err := whichCall(s.q(ctx), c).Take(&row).Error; err != nil {
		return repeat.Record{State: repeat.InFlight}, ignoreNotFound(mapErr(err)) // dropped just now: the next try gets it
	}
	switch {
	case row.Fingerprint != c.Fingerprint:
		return repeat.Record{State: repeat.Other}, nil
	case row.Status != 0:
		return repeat.Record{State: repeat.Done, Status: row.Status, ResourceID: row.ResourceID}, nil
	case row.Lease > At(now):
		return repeat.Record{State: repeat.InFlight}, nil
	}
	q = whichCall(s.q(ctx), c).Where("lease = ? AND status = 0", row.Lease).Update("lease", fresh.Lease)
	if q.RowsAffected == 1 {
		return repeat.Record{State: repeat.Lost}, mapErr(q.Error)
	}
	return repeat.Record{State: repeat.InFlight}, mapErr(q.Error)
}

// EndCall notes the outcome.
func (s *Store) EndCall(ctx context.Context, c repeat.Call, r repeat.Record) error {
	return mapErr(whichCall(s.q(ctx), c).Updates(map[string]any{"status": r.Status, "resource_id": r.ResourceID}).Error)
}

// DropCall forgets it.
func (s *Store) DropCall(ctx context.Context, c repeat.Call) error {
	return mapErr(whichCall(s.q(ctx), c).Where("status = 0").Delete(&callRow{}).Error)
}

// ReleaseCall ends the lease.
func (s *Store) ReleaseCall(ctx context.Context, c repeat.Call, now time.Time) error {
	return mapErr(whichCall(s.q(ctx), c).Where("status = 0").Update("lease", At(now)).Error)
}
