package gormstore

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// JobOwner reads who owns a job now. A job that nobody owned when it came belongs to whom its uid is linked to since, under the
// name that it had then; a job whose uid was linked to somebody else afterwards stays with its owner, and is not linked.
func (st Storage) JobOwner(ctx context.Context, jobID uuid.UUID) (storage.JobOwner, error) {
	var row struct {
		ClusterID    string
		JobUserID    *string
		LinkedUserID *string
	}
	res := st.s.q(ctx).Table("jobs").
		Select("jobs.cluster_id AS cluster_id, jobs.user_id AS job_user_id, links.user_id AS linked_user_id").
		Joins(`LEFT JOIN links ON links.cluster_id = jobs.cluster_id AND links.uid = jobs.uid AND links.suspended_at IS NULL
			AND (jobs.user_id IS NOT NULL OR links.unix_name = jobs.unix_user)`).
		Where("jobs.id = ?", jobID.String()).Limit(1).Scan(&row)
	if res.Error != nil {
		return storage.JobOwner{}, mapErr(res.Error)
	}
	if res.RowsAffected == 0 {
		return storage.JobOwner{}, mapErr(gorm.ErrRecordNotFound)
	}
	o := storage.JobOwner{ClusterID: row.ClusterID}
	switch {
	case row.JobUserID == nil && row.LinkedUserID != nil:
		o.UserID, o.Linked = *row.LinkedUserID, true
	case row.JobUserID != nil:
		o.UserID = *row.JobUserID
		o.Linked = row.LinkedUserID != nil && *row.LinkedUserID == o.UserID
	}
	return o, nil
}
