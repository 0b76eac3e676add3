package gormstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Accounts pages through the users that have books.
func (st Storage) Accounts(ctx context.Context, after string, limit int) ([]string, error) {
	var ids []string
	err := st.s.q(ctx).Model(&quotaRow{}).Where("user_id > ?", after).Order("user_id").Limit(limit).Pluck("user_id", &ids).Error
	return ids, mapErr(err)
}

// Recount holds the row of the user's quota while it reads: every change of the books writes that row in the same
// transaction, so what is read belongs to what the row says.
func (st Storage) Recount(ctx context.Context, userID string) (off storage.Tally, jobs int, err error) {
	err = st.s.Tx(ctx, func(tx *gorm.DB) error {
		held := tx.Exec("UPDATE quotas SET limit_bytes = limit_bytes WHERE user_id = ?", userID)
		if held.Error != nil {
			return fmt.Errorf("locking the quota of a user: %w", held.Error)
		}
		if held.RowsAffected == 0 { // no books, or deleted meanwhile; and what is read without the row may change in between
			return nil
		}
		r := recounting{tx: tx, userID: userID}
		off, jobs, err = r.run()
		return err
	})
	return off, jobs, err
}

// recounting is one transaction of Recount.
type recounting struct {
	tx     *gorm.DB
	userID string
}

// sumRow is the sum of rows of one job, or of none.
type sumRow struct {
	JobID       *string
	Bytes, Rows int64
}

func (r recounting) run() (off storage.Tally, jobs int, err error) {
	total, byJob, err := r.sums()
	if err != nil {
		return off, 0, err
	}
	var q quotaRow
	if err := r.tx.Take(&q, "user_id = ?", r.userID).Error; err != nil {
		return off, 0, fmt.Errorf("reading a quota: %w", err)
	}
	off = q.tally().Minus(total)
	if off != (storage.Tally{}) {
		if err := writeTally(r.tx.Table("quotas").Where("user_id = ?", r.userID), total); err != nil {
			return off, 0, err
		}
	}
	jobs, err = r.mendJobs(byJob)
	return off, jobs, err
}

// sums adds up the rows: objects are used, reserved uploads are reserved.
func (r recounting) sums() (total storage.Tally, byJob map[string]storage.Tally, err error) {
	var used, reserved []sumRow
	const sum = "job_id AS job_id, COALESCE(SUM(size_bytes), 0) AS bytes, COUNT(*) AS rows"
	err = r.tx.Model(&objectRow{}).Select(sum).Where("user_id = ?", r.userID).Group("job_id").Scan(&used).Error
	if err == nil {
		err = r.tx.Model(&uploadRow{}).Select(sum).Where("user_id = ? AND status = ?", r.userID, string(storage.Reserved)).
			Group("job_id").Scan(&reserved).Error
	}
	if err != nil {
		return total, nil, fmt.Errorf("adding up rows: %w", err)
	}
	byJob = map[string]storage.Tally{}
	add := func(jobID *string, t storage.Tally) {
		total = total.Plus(t)
		if jobID != nil {
			byJob[*jobID] = byJob[*jobID].Plus(t)
		}
	}
	for _, s := range used {
		add(s.JobID, storage.Tally{UsedBytes: s.Bytes, UsedObjects: s.Rows})
	}
	for _, s := range reserved {
		add(s.JobID, storage.Tally{ReservedBytes: s.Bytes, ReservedObjects: s.Rows})
	}
	return total, byJob, nil
}

// mendJobs writes the books of the user's jobs that differ from their rows.
func (r recounting) mendJobs(byJob map[string]storage.Tally) (mended int, err error) {
	var rows []jobQuotaRow
	err = r.tx.Raw(`SELECT q.* FROM job_quotas q JOIN jobs j ON j.id = q.job_id WHERE j.user_id = ?
		OR q.job_id IN (SELECT job_id FROM uploads WHERE user_id = ? AND job_id IS NOT NULL)`, r.userID, r.userID).Scan(&rows).Error
	if err != nil {
		return 0, fmt.Errorf("reading the books of jobs: %w", err)
	}
	known := map[string]bool{}
	for _, q := range rows {
		known[q.JobID] = true
		if q.tally() == byJob[q.JobID] {
			continue
		}
		mended++
		if err := writeTally(r.tx.Table("job_quotas").Where("job_id = ?", q.JobID), byJob[q.JobID]); err != nil {
			return mended, err
		}
	}
	for id, t := range byJob {
		if known[id] {
			continue
		}
		mended++
		row := jobQuotaRow{JobID: id, UsedBytes: t.UsedBytes, UsedObjects: t.UsedObjects, ReservedBytes: t.ReservedBytes, ReservedObjects: t.ReservedObjects}
		if err := r.tx.Create(&row).Error; err != nil {
			return mended, fmt.Errorf("making the books of a job: %w", err)
		}
	}
	return mended, nil
}

func writeTally(where *gorm.DB, t storage.Tally) error {
	err := where.Updates(map[string]any{
		"used_bytes": t.UsedBytes, "used_objects": t.UsedObjects, "reserved_bytes": t.ReservedBytes, "reserved_objects": t.ReservedObjects,
	}).Error
	if err != nil {
		return fmt.Errorf("writing books: %w", err)
	}
	return nil
}

// Reopen hands a closed upload without an object to the sweeper, due at once.
func (st Storage) Reopen(ctx context.Context, id uuid.UUID, now time.Time) (bool, error) {
	reopened := false
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec(`UPDATE uploads SET closed = ?, updated_at = ? WHERE id = ? AND closed = ? AND status <> ?
			AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.id = uploads.id)`, false, At(now), id.String(), true, string(storage.Reserved))
		reopened = res.RowsAffected == 1
		return res.Error
	})
	return reopened && err == nil, err
}
