package gormstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Erasures implements the ports of the feature erasure. Site is the quota of accounts for which no rule holds.
type Erasures struct {
	s    *Store
	site storage.Limit
}

var (
	_ erasure.Store       = Erasures{}
	_ erasure.ExportStore = Erasures{}
)

// Erasures gives the ports of the feature erasure.
func (s *Store) Erasures(site storage.Limit) Erasures { return Erasures{s: s, site: site} }

type erasureRow struct {
	ID             string `gorm:"primaryKey"`
	UserID         string
	RequestedBy    string
	Step           string
	RemovedObjects int64
	RemovedJobs    int64
	LastError      string
	QuietAt        Time
	RequestedAt    Time
	UpdatedAt      Time `gorm:"autoUpdateTime:false"`
	FinishedAt     *Time
}

// TableName of erasures.
func (erasureRow) TableName() string { return "erasures" }

func erasureRowOf(e erasure.Erasure) erasureRow {
	return erasureRow{
		ID: e.ID, UserID: e.UserID, RequestedBy: e.RequestedBy, Step: string(e.Step), RemovedObjects: e.Objects, RemovedJobs: e.Jobs,
		LastError: e.LastError, QuietAt: At(e.QuietAt), RequestedAt: At(e.RequestedAt), UpdatedAt: At(e.UpdatedAt), FinishedAt: AtPtr(e.FinishedAt),
	}
}

func (r erasureRow) domain() erasure.Erasure {
	return erasure.Erasure{
		ID: r.ID, UserID: r.UserID, RequestedBy: r.RequestedBy, Step: erasure.Step(r.Step), Objects: r.RemovedObjects, Jobs: r.RemovedJobs,
		LastError: r.LastError, QuietAt: r.QuietAt.Time(), RequestedAt: r.RequestedAt.Time(), UpdatedAt: r.UpdatedAt.Time(), FinishedAt: r.FinishedAt.Ptr(),
	}
}

// Begin takes the lock that every reservation takes: either a reservation is seen here, or it finds the account disabled.
func (st Erasures) Begin(ctx context.Context, e erasure.Erasure, quiet time.Time) (erasure.Erasure, error) {
	var found erasureRow
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		var user struct{ ID string }
		err := tx.Table("users").Select("id").Where("id = ?", e.UserID).Take(&user).Error
		if errors.Is(err, gorm.ErrRecordNotFound) { // deleted already? its receipt stays
			return tx.Take(&found, "user_id = ?", e.UserID).Error
		}
		if err != nil {
			return fmt.Errorf("looking for an account: %w", err)
		}
		if err := lockQuota(tx, e.UserID, st.site); err != nil {
			return err
		}
		err = tx.Table("users").Where("id = ? AND disabled_at IS NULL", e.UserID).Updates(map[string]any{"disabled_at": At(e.RequestedAt)}).Error
		if err != nil {
			return fmt.Errorf("freezing an account: %w", err)
		}
		open, err := underWay(tx, e.UserID)
		if err != nil {
			return err
		}
		row := erasureRowOf(e)
		if open {
			row.QuietAt = At(quiet)
		}
		if err := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "user_id"}}, DoNothing: true}).Create(&row).Error; err != nil {
			return fmt.Errorf("writing a saga: %w", err)
		}
		return tx.Take(&found, "user_id = ?", e.UserID).Error
	})
	return found.domain(), err
}

// underWay says whether bytes of an account may still come: by URLs of its uploads, or from whoever makes an archive of it now.
func underWay(tx *gorm.DB, userID string) (bool, error) {
	var uploads, archives int64
	if err := tx.Model(&uploadRow{}).Where("user_id = ? AND closed = ?", userID, false).Count(&uploads).Error; err != nil {
		return false, fmt.Errorf("counting uploads: %w", err)
	}
	if err := tx.Model(&exportRow{}).Where("user_id = ? AND status = ?", userID, string(erasure.Due)).Count(&archives).Error; err != nil {
		return false, fmt.Errorf("counting exports: %w", err)
	}
	return uploads+archives > 0, nil
}

// Erasure finds a receipt.
func (st Erasures) Erasure(ctx context.Context, id string) (erasure.Erasure, error) {
	var row erasureRow
	err := st.s.q(ctx).Take(&row, "id = ?", id).Error
	return row.domain(), mapErr(err)
}

// OpenErasures gives sagas that are not done.
func (st Erasures) OpenErasures(ctx context.Context, limit int) ([]erasure.Erasure, error) {
	var rows []erasureRow
	err := st.s.q(ctx).Where("finished_at IS NULL").Order("requested_at, id").Limit(limit).Find(&rows).Error
	return mapRows(rows, erasureRow.domain), mapErr(err)
}

// SaveErasure writes what changes.
func (st Erasures) SaveErasure(ctx context.Context, e erasure.Erasure) error {
	r := erasureRowOf(e)
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Model(&erasureRow{}).Where("id = ?", r.ID).Updates(map[string]any{
			"step": r.Step, "removed_objects": r.RemovedObjects, "removed_jobs": r.RemovedJobs, "last_error": r.LastError,
			"updated_at": r.UpdatedAt, "finished_at": r.FinishedAt,
		}).Error
	})
}

// detailsOfJobs are tables with what a job's owner did, by job_id. What stays of a job is what a cluster's sums are made of.
var detailsOfJobs = []string{"accounting_rows", "job_snapshots", "job_samples", "job_events", "reports", "job_quotas"}

// DetachJobs removes jobs that only the user's own agent asserted, and takes the person out of the others.
func (st Erasures) DetachJobs(ctx context.Context, userID string, limit int) (int, error) {
	var ids []string
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		// Locked, so that no report of them is stored in between.
		if err := tx.Raw("SELECT id FROM jobs WHERE user_id = ? ORDER BY id LIMIT ?"+forUpdate(tx), userID, limit).Scan(&ids).Error; err != nil {
			return fmt.Errorf("looking for jobs: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		for _, table := range detailsOfJobs {
			if err := tx.Exec("DELETE FROM "+table+" WHERE job_id IN ?", ids).Error; err != nil {
				return fmt.Errorf("removing details of jobs: %w", err)
			}
		}
		for _, statement := range []string{
			"DELETE FROM job_reporters WHERE job_id IN (SELECT id FROM jobs WHERE id IN ? AND self_asserted = ?)", // refers to no row
			"DELETE FROM jobs WHERE id IN ? AND self_asserted = ?",
		} {
			if err := tx.Exec(statement, ids, true).Error; err != nil {
				return fmt.Errorf("removing jobs: %w", err)
			}
		}
		return tx.Table("jobs").Where("id IN ?", ids).Updates(map[string]any{
			"user_id": nil, "uid": nil, "unix_user": "", "name": "", "submission_id": nil, "inputs_key": "", "outputs_prefix": "", "analysis_due": false,
			"updated_at": At(tx.NowFunc()), // an analysis that read the job before is not stored any more
		}).Error
	})
	return len(ids), err
}

// DeleteAccount removes what does not go with the row of the account by itself, and then that row.
func (st Erasures) DeleteAccount(ctx context.Context, userID string) error {
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		for _, statement := range []string{
			"DELETE FROM enrolments WHERE created_by = ?",
			"DELETE FROM invitations WHERE created_by = ?",
			"DELETE FROM quota_rules WHERE scope = 'user' AND subject = ?",
			"DELETE FROM idempotency WHERE caller = 'user:' || ?",
			"UPDATE looks SET viewer_id = '' WHERE viewer_id = ?", // who was looked at still sees that somebody did
			"DELETE FROM users WHERE id = ?",                      // sessions, tokens, links, agents, quotas, uploads, objects, exports go with it
		} {
			if err := tx.Exec(statement, userID).Error; err != nil {
				return fmt.Errorf("removing an account: %w", err)
			}
		}
		return nil
	})
}
