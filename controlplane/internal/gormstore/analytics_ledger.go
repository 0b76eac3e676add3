package gormstore

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// A ledger is about a whole job: it counts with the job's last incarnation that started and ended.
const usageLedgers = `SELECT %s, l.resource, COUNT(*) AS jobs, SUM(l.allocated) AS allocated, SUM(l.overuse) AS overuse, SUM(l.used) AS used,
	SUM(l.idle) AS idle, SUM(l.forced) AS forced, SUM(l.lost) AS lost, SUM(l.unmeasured) AS unmeasured,
	SUM(l.lost_oom) AS oom, SUM(l.lost_timeout) AS timeout, SUM(l.lost_node_failure) AS node_failure, SUM(l.lost_preemption) AS preemption,
	SUM(l.lost_requeue) AS requeue, SUM(l.lost_user_error) AS user_error
	FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN clusters c ON c.id = j.cluster_id JOIN job_ledgers l ON l.job_id = a.job_id
	WHERE a.wall_s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts n WHERE n.job_id = a.job_id AND n.attempt > a.attempt AND n.wall_s IS NOT NULL)
	AND %s GROUP BY 1, 2`

type ledgerRow struct {
	KeyText     *string
	KeyNumber   *int64
	Resource    string
	Jobs        int64
	Allocated   float64
	Overuse     float64
	Used        float64
	Idle        float64
	Forced      float64
	Lost        float64
	Unmeasured  float64
	Oom         float64
	Timeout     float64
	NodeFailure float64
	Preemption  float64
	Requeue     float64
	UserError   float64
}

func (r ledgerRow) key() any { return usageRow{KeyText: r.KeyText, KeyNumber: r.KeyNumber}.key() }

// ledgers gives the sums of one resource of one group. Adding it to nothing settles it: sums of doubles may be off by a
// rounding, a ledger may not.
func (r ledgerRow) ledgers() (l analytics.Ledgers) {
	a := efficiency.Account{
		Allocated: r.Allocated, Overuse: r.Overuse, Used: r.Used, Idle: r.Idle, Forced: r.Forced, Lost: r.Lost, Unmeasured: r.Unmeasured,
		LostBy: map[efficiency.Cause]float64{
			efficiency.CauseOOM: r.Oom, efficiency.CauseTimeout: r.Timeout, efficiency.CauseNodeFail: r.NodeFailure,
			efficiency.CausePreemption: r.Preemption, efficiency.CauseRequeue: r.Requeue, efficiency.CauseUser: r.UserError,
		},
	}
	b := analytics.Balance{Jobs: r.Jobs, Account: *a.Plus(&efficiency.Account{})}
	switch r.Resource {
	case ledgerCore:
		l.Core = b
	case ledgerByte:
		l.Byte = b
	case ledgerGPU:
		l.GPU = b
	case ledgerJoule:
		l.Joule = b
	}
	return l
}

// ledgerGroups adds the ledgers to the groups, one raw group for each key and resource: analytics.Usage joins what has one key.
func (g *Jobs) ledgerGroups(ctx context.Context, query string, args []any) ([]analytics.Raw, error) {
	var rows []ledgerRow
	if err := g.s.q(ctx).Raw(query, args...).Scan(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	out := make([]analytics.Raw, 0, len(rows))
	for _, r := range rows {
		out = append(out, analytics.Raw{Key: r.key(), Sums: analytics.Sums{Ledgers: r.ledgers()}})
	}
	return out, nil
}
