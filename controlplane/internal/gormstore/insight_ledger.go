package gormstore

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// The resources of job_ledgers.
const (
	ledgerCore  = "core_s"
	ledgerByte  = "byte_s"
	ledgerGPU   = "gpu_s"
	ledgerJoule = "joule"
)

var ledgerBulk = bulk{table: "job_ledgers", columns: []string{
	"job_id", "resource", "allocated", "overuse", "used", "idle", "forced", "lost", "unmeasured",
	"lost_oom", "lost_timeout", "lost_node_failure", "lost_preemption", "lost_requeue", "lost_user_error",
}}

// saveLedgers replaces the ledgers of jobs: a resource that is not known any more has no row.
func saveLedgers(ctx context.Context, tx *gorm.DB, results []insight.Result) error {
	ids := make([]uuid.UUID, len(results))
	var rows [][]any
	for i, r := range results {
		ids[i] = r.ID
		rows = append(rows, ledgerArgs(r.ID.String(), r.Analysis.Sums.Ledger)...)
	}
	for part := range chunks(texts(ids)) {
		if err := tx.Exec("DELETE FROM job_ledgers WHERE job_id IN ?", part).Error; err != nil {
			return fmt.Errorf("replacing ledgers: %w", err)
		}
	}
	return ledgerBulk.exec(ctx, tx, rows)
}

func ledgerArgs(job string, l efficiency.Ledger) (rows [][]any) {
	for _, r := range []struct {
		resource string
		a        *efficiency.Account
	}{{ledgerCore, l.CoreS}, {ledgerByte, l.ByteS}, {ledgerGPU, l.GPUS}, {ledgerJoule, l.Joule}} {
		if r.a == nil {
			continue
		}
		by := r.a.LostBy
		rows = append(rows, []any{
			job, r.resource, r.a.Allocated, r.a.Overuse, r.a.Used, r.a.Idle, r.a.Forced, r.a.Lost, r.a.Unmeasured,
			by[efficiency.CauseOOM], by[efficiency.CauseTimeout], by[efficiency.CauseNodeFail], by[efficiency.CausePreemption],
			by[efficiency.CauseRequeue], by[efficiency.CauseUser],
		})
	}
	return rows
}
