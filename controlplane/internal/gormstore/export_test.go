package gormstore

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// JobTally is what the outputs of a job take; nothing when it has none.
func (st Storage) JobTally(ctx context.Context, jobID string) (storage.Tally, error) {
	var q jobQuotaRow
	err := st.s.q(ctx).Limit(1).Find(&q, "job_id = ?", jobID).Error
	return q.tally(), mapErr(err)
}

// ExportedTables are the tables that an export of an account reads.
func ExportedTables() (names []string) {
	for _, e := range exports {
		names = append(names, e.table)
	}
	return names
}

// MapErr is what every error of the database goes through.
func MapErr(err error) error { return mapErr(err) }
