package gormstore

import (
	"context"
	"fmt"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
)

// usageKeys are the dimensions as SQL; those of time are filled in for the dialect.
var usageKeys = map[analytics.Dimension]string{
	"cluster": "c.name", "user": "NULLIF(j.unix_user, '')", "account": "NULLIF(a.account, '')", "partition": "NULLIF(a.partition_name, '')",
	"qos": "NULLIF(a.qos, '')", "name": "NULLIF(j.name, '')", "state": "NULLIF(a.slurm_state, '')",
	"nodes": "a.nodes", "cores": "a.cpus", "gpus": "a.gpus", "none": "NULL",
}

// Sums are doubles: exact up to 2^53 core-seconds, and no hostile row can make them overflow.
const usageSums = `
	SUM(CASE WHEN a.wall_s IS NOT NULL THEN 1 ELSE 0 END) AS started,
	SUM(CASE WHEN a.start_at IS NULL THEN 1 ELSE 0 END) AS never_started,
	SUM(CASE WHEN a.wall_s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts l WHERE l.job_id = a.job_id AND l.attempt > a.attempt
		AND l.wall_s IS NOT NULL) THEN 1 ELSE 0 END) AS jobs,
	COALESCE(SUM(CAST(a.wall_s AS DOUBLE PRECISION)), 0) AS wall_s,
	COALESCE(SUM(CASE WHEN a.wall_s IS NOT NULL THEN CAST(a.wait_s AS DOUBLE PRECISION) END), 0) AS wait_s,
	SUM(CASE WHEN a.wall_s IS NOT NULL AND a.wait_s IS NOT NULL THEN 1 ELSE 0 END) AS wait_known,
	COALESCE(SUM(CASE WHEN a.wall_s IS NOT NULL THEN CAST(a.suspended_s AS DOUBLE PRECISION) END), 0) AS suspended_s,
	COALESCE(SUM(CAST(a.wall_s AS DOUBLE PRECISION) * a.cpus), 0) AS cpu_s,
	COALESCE(SUM(CAST(a.wall_s AS DOUBLE PRECISION) * a.nodes), 0) AS node_s,
	COALESCE(SUM(CAST(a.wall_s AS DOUBLE PRECISION) * a.gpus), 0) AS gpu_s,
	SUM(CASE WHEN a.wall_s IS NOT NULL AND a.cpus IS NULL THEN 1 ELSE 0 END) AS no_cpus,
	SUM(CASE WHEN a.wall_s IS NOT NULL AND a.nodes IS NULL THEN 1 ELSE 0 END) AS no_nodes,
	SUM(CASE WHEN a.wall_s IS NOT NULL AND a.gpus IS NULL THEN 1 ELSE 0 END) AS no_gpus`

type usageRow struct {
	KeyText      *string
	KeyNumber    *int64
	Started      int64
	NeverStarted int64
	Jobs         int64
	WallS        float64
	WaitS        float64
	WaitKnown    int64
	SuspendedS   float64
	CPUS         float64 `gorm:"column:cpu_s"`
	NodeS        float64
	GPUS         float64 `gorm:"column:gpu_s"`
	NoCPUs       int64   `gorm:"column:no_cpus"`
	NoNodes      int64
	NoGPUs       int64      `gorm:"column:no_gpus"`
	Energy       energySums `gorm:"embedded"`
}

// UsageGroups is analytics.Source.UsageGroups: one pass over the attempts that have ended, another over ledgers where they are
// asked for, and what is known of older ones by sums, all of one moment. A key may come several times.
func (g *Jobs) UsageGroups(ctx context.Context, q analytics.Query) (out []analytics.Raw, err error) {
	err = g.s.snapshot(ctx, func(s *Store) error {
		out, err = (&Jobs{s}).usageGroups(ctx, q)
		return err
	})
	return out, err
}

func (g *Jobs) usageGroups(ctx context.Context, q analytics.Query) ([]analytics.Raw, error) {
	key, err := g.usageKey(q.By)
	if err != nil {
		return nil, err
	}
	where, args := usageWhere(q)
	sums, join := usageSums, ""
	if q.Energy {
		sums, join = sums+","+usageEnergy, energyJoin
	}
	query := "SELECT " + key + "," + sums + `
		FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN clusters c ON c.id = j.cluster_id` + join + " WHERE " + where + " GROUP BY 1"
	var rows []usageRow
	if err := g.s.q(ctx).Raw(query, args...).Scan(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	out := make([]analytics.Raw, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.raw(q.Energy))
	}
	if q.Ledger {
		ledgers, err := g.ledgerGroups(ctx, fmt.Sprintf(usageLedgers, key, where), args)
		if err != nil {
			return nil, err
		}
		out = append(out, ledgers...)
	}
	older, err := g.summedGroups(ctx, q)
	return append(out, older...), err
}

// usageKey is the dimension as a column, key_text or key_number.
func (g *Jobs) usageKey(by analytics.Dimension) (string, error) {
	key, name := usageKeys[by], " AS key_text"
	if by == "nodes" || by == "cores" || by == "gpus" {
		name = " AS key_number"
	}
	if by.TimeLike() {
		name, key = " AS key_number", quarterOf(g.s.dialect)
	}
	if key == "" {
		return "", fmt.Errorf("usage by %q is not known", by)
	}
	return key + name, nil
}

// usageWhere selects the attempts that count.
func usageWhere(q analytics.Query) (where string, args []any) {
	where = "a.end_at IS NOT NULL AND (a.wall_s IS NOT NULL OR a.start_at IS NULL)"
	for _, c := range []struct {
		on  bool
		sql string
		arg func() any
	}{
		{q.Cluster != "", " AND c.name = ?", func() any { return q.Cluster }},
		{q.User != "", " AND j.user_id = ?", func() any { return q.User }},
		{q.Account != "", " AND a.account = ?", func() any { return q.Account }},
		{q.From != nil, " AND a.end_at >= ?", func() any { return At(*q.From) }},
		{q.To != nil, " AND a.end_at < ?", func() any { return At(*q.To) }},
	} {
		if c.on {
			where, args = where+c.sql, append(args, c.arg())
		}
	}
	return where, args
}

func (r usageRow) raw(withEnergy bool) analytics.Raw {
	out := analytics.Raw{Key: r.key(), Sums: analytics.Sums{
		Started: r.Started, NeverStarted: r.NeverStarted, Jobs: r.Jobs, WallS: r.WallS, WaitS: r.WaitS, WaitKnown: r.WaitKnown,
		SuspendedS: r.SuspendedS, CPUS: r.CPUS, NodeS: r.NodeS, GPUS: r.GPUS, NoCPUs: r.NoCPUs, NoNodes: r.NoNodes, NoGPUs: r.NoGPUs,
	}}
	if withEnergy {
		out.Sums.Energy = r.Energy.energy(r.Jobs)
	}
	return out
}

func (r usageRow) key() any {
	switch {
	case r.KeyNumber != nil:
		return *r.KeyNumber
	case r.KeyText != nil:
		return *r.KeyText
	}
	return nil
}
