package gormstore

import (
	"cmp"
	"fmt"
	"math"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// jobQuotaRow is what the outputs of one job take.
type jobQuotaRow struct {
	JobID                          string `gorm:"primaryKey"`
	UsedBytes, UsedObjects         int64
	ReservedBytes, ReservedObjects int64
}

// TableName of job_quotas.
func (jobQuotaRow) TableName() string { return "job_quotas" }

func (q jobQuotaRow) tally() storage.Tally {
	return storage.Tally{UsedBytes: q.UsedBytes, UsedObjects: q.UsedObjects, ReservedBytes: q.ReservedBytes, ReservedObjects: q.ReservedObjects}
}

// jobID is the job of the drafts, empty for a user's own files. All drafts of a call belong to the same job or to none.
func (r *reserving) jobID() string {
	if job := r.drafts[0].Upload.Job; job != nil {
		return job.ID.String()
	}
	return ""
}

// charge reserves from the user's quota and from the job's, each by one conditional UPDATE; false when either is too small,
// and then nothing is reserved.
func (r *reserving) charge(bytes, objects int64) (bool, error) {
	if objects == 0 {
		return true, nil
	}
	ok, err := chargeRow(r.tx, `UPDATE quotas SET reserved_bytes = reserved_bytes + ?, reserved_objects = reserved_objects + ?
		WHERE user_id = ? AND used_bytes + reserved_bytes + ? <= limit_bytes AND used_objects + reserved_objects + ? <= limit_objects`,
		bytes, objects, r.userID, bytes, objects)
	if err != nil || !ok || r.jobID() == "" {
		return ok, err
	}
	if ok, err = r.chargeJob(bytes, objects); err == nil && !ok {
		err = move(r.tx, r.userID, nil, quotaMove{reservedBytes: -bytes, reservedObjects: -objects})
	}
	return ok, err
}

func (r *reserving) chargeJob(bytes, objects int64) (bool, error) {
	if err := r.tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&jobQuotaRow{JobID: r.jobID()}).Error; err != nil {
		return false, fmt.Errorf("making the books of a job: %w", err)
	}
	limit := r.jobLimits()
	return chargeRow(r.tx, `UPDATE job_quotas SET reserved_bytes = reserved_bytes + ?, reserved_objects = reserved_objects + ?
		WHERE job_id = ? AND used_bytes + reserved_bytes + ? <= ? AND used_objects + reserved_objects + ? <= ?`,
		bytes, objects, r.jobID(), bytes, limit.Bytes, objects, limit.Objects)
}

// jobLimits are those of the site; what is not restricted is as large as a number gets.
func (r *reserving) jobLimits() storage.Limit {
	return storage.Limit{
		Bytes: cmp.Or(r.jobLimit.Bytes, math.MaxInt64), Objects: cmp.Or(r.jobLimit.Objects, math.MaxInt64),
	}
}

func chargeRow(tx *gorm.DB, statement string, args ...any) (bool, error) {
	res := tx.Exec(statement, args...)
	if res.Error != nil {
		return false, fmt.Errorf("reserving quota: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// refuse tells which quota is too small: the user's when it is, else the job's.
func (r *reserving) refuse(i int, needed int64) error {
	var q quotaRow
	if err := r.tx.Take(&q, "user_id = ?", r.userID).Error; err != nil {
		return fmt.Errorf("reading a quota: %w", err)
	}
	r.out[i].Refused = refusal(q.tally(), storage.Limit{Bytes: q.LimitBytes, Objects: q.LimitObjects}, needed)
	fits := q.UsedBytes+q.ReservedBytes+needed <= q.LimitBytes && q.UsedObjects+q.ReservedObjects+1 <= q.LimitObjects
	if !fits || r.jobID() == "" {
		return nil
	}
	var j jobQuotaRow
	if err := r.tx.Take(&j, "job_id = ?", r.jobID()).Error; err != nil {
		return fmt.Errorf("reading the books of a job: %w", err)
	}
	r.out[i].ByJob, r.out[i].Refused = true, refusal(j.tally(), r.jobLimits(), needed)
	return nil
}

type quotaMove struct{ reservedBytes, reservedObjects, usedBytes, usedObjects int64 }

// move changes the books of a user, and of a job unless it is nil or was deleted since.
func move(tx *gorm.DB, userID string, jobID *string, m quotaMove) error {
	const set = `SET reserved_bytes = reserved_bytes + ?, reserved_objects = reserved_objects + ?,
		used_bytes = used_bytes + ?, used_objects = used_objects + ?`
	values := []any{m.reservedBytes, m.reservedObjects, m.usedBytes, m.usedObjects}
	res := tx.Exec("UPDATE quotas "+set+" WHERE user_id = ?", append(values[:4:4], userID)...)
	if res.Error == nil && res.RowsAffected != 1 {
		return fmt.Errorf("moving quota: user %s has none", userID)
	}
	if res.Error == nil && jobID != nil {
		res = tx.Exec("UPDATE job_quotas "+set+" WHERE job_id = ?", append(values[:4:4], *jobID)...)
	}
	if res.Error != nil {
		return fmt.Errorf("moving quota: %w", res.Error)
	}
	return nil
}
