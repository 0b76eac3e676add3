package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
)

// Spans is analytics.SpanSource.Spans. It reads row by row: a window may hold millions.
func (g *Jobs) Spans(ctx context.Context, cluster string, from, to time.Time, fn func(analytics.Span) error) error {
	return g.s.eachRow(ctx, func(rows *sql.Rows) error {
		var s analytics.Span
		var start Time
		var end *Time
		var suspended *int64
		if err := rows.Scan(&s.Account, &s.User, &start, &end, &suspended, &s.CPUs); err != nil {
			return fmt.Errorf("reading a run: %w", err)
		}
		s.Start = start.Time()
		if end != nil {
			s.End = end.Time()
		}
		if suspended != nil {
			s.Suspended = time.Duration(*suspended) * time.Second
		}
		return fn(s)
	}, `SELECT a.account, j.unix_user, a.start_at, a.end_at, a.suspended_s, a.cpus
		FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN clusters c ON c.id = j.cluster_id
		WHERE c.name = ? AND a.start_at IS NOT NULL AND a.start_at < ? AND (a.end_at IS NULL OR a.end_at > ?)`, cluster, At(to), At(from))
}

// SummedSince is analytics.SpanSource.SummedSince. When a run that was summed began is not known any more.
func (g *Jobs) SummedSince(ctx context.Context, cluster string, from time.Time) (map[string]float64, time.Time, error) {
	var rows []struct {
		Account   string
		CPUS      float64 `gorm:"column:cpu_s"`
		ToQuarter int64
	}
	err := g.s.q(ctx).Raw(`SELECT s.account, SUM(s.cpu_s) AS cpu_s, MAX(s.to_quarter) AS to_quarter FROM usage_sums s JOIN clusters c ON c.id = s.cluster_id
		WHERE c.name = ? AND s.to_quarter > ? GROUP BY 1`, cluster, floorDiv(from.UnixMicro(), quarterMicro)).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, time.Time{}, mapErr(err)
	}
	cpus, until := map[string]float64{}, int64(0)
	for _, r := range rows {
		cpus[r.Account], until = r.CPUS, max(until, r.ToQuarter)
	}
	return cpus, Time(until * quarterMicro).Time(), nil
}
