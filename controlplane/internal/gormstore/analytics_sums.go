package gormstore

import (
	"context"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
)

// usageSumColumns and ledgerSumColumns are what a sum holds, by the names that the queries give the same sums over jobs.
var (
	usageSumCounts = []string{
		"started", "never_started", "jobs", "wait_known", "no_cpus", "no_nodes", "no_gpus",
		"energy_known", "energy_open", "costed", "carbon_known", "core_known", "byte_known", "gpus_known",
	}
	usageSumAmounts  = []string{"wall_s", "wait_s", "suspended_s", "cpu_s", "node_s", "gpu_s", "joules", "cost", "grams", "core_s", "byte_s", "gpus_s"}
	ledgerSumCounts  = []string{"jobs"}
	ledgerSumAmounts = []string{
		"allocated", "overuse", "used", "idle", "forced", "lost", "unmeasured", "oom", "timeout", "node_failure", "preemption", "requeue", "user_error",
	}
)

// sumsOf adds columns up under their own names. PostgreSQL's sum of whole numbers is no whole number by type.
func sumsOf(counts, amounts []string) string {
	var out []string
	for _, c := range counts {
		out = append(out, "CAST(COALESCE(SUM(s."+c+"), 0) AS BIGINT) AS "+c)
	}
	for _, c := range amounts {
		out = append(out, "COALESCE(SUM(s."+c+"), 0) AS "+c)
	}
	return strings.Join(out, ", ")
}

// sumKeys are the dimensions that sums can answer.
var sumKeys = map[analytics.Dimension]string{
	"cluster": "c.name AS key_text", "account": "NULLIF(s.account, '') AS key_text", "none": "NULL AS key_text",
	"month": "s.from_quarter AS key_number", "year": "s.from_quarter AS key_number",
}

// sumWindow selects the buckets that overlap a query's window, and those that lie inside of it.
func sumWindow(q analytics.Query) (overlap, inside string, args, insideArgs []any) {
	overlap, inside = "1 = 1", "1 = 1"
	add := func(sql string, arg any) { overlap, args = overlap+sql, append(args, arg) }
	if q.Cluster != "" {
		add(" AND c.name = ?", q.Cluster)
	}
	if q.Account != "" {
		add(" AND s.account = ?", q.Account)
	}
	if q.From != nil {
		from := q.From.UnixMicro()
		add(" AND s.to_quarter > ?", floorDiv(from, quarterMicro))
		inside, insideArgs = inside+" AND s.from_quarter >= ?", append(insideArgs, -floorDiv(-from, quarterMicro))
	}
	if q.To != nil {
		to := q.To.UnixMicro()
		add(" AND s.from_quarter < ?", -floorDiv(-to, quarterMicro))
		inside, insideArgs = inside+" AND s.to_quarter <= ?", append(insideArgs, floorDiv(to, quarterMicro))
	}
	return overlap, inside, args, insideArgs
}

const quarterMicro = analytics.QuarterS * 1_000_000

func floorDiv(a, b int64) int64 {
	if a%b != 0 && a < 0 {
		return a/b - 1
	}
	return a / b
}

// summedGroups are what a query's window holds of runs that are kept as sums only.
func (g *Jobs) summedGroups(ctx context.Context, q analytics.Query) ([]analytics.Raw, error) {
	cover, runs, err := g.coverage(ctx, q)
	if err != nil || runs == 0 {
		return nil, err
	}
	note := analytics.Raw{Key: analytics.Summed, Sums: analytics.Sums{Coverage: cover}}
	if q.User != "" {
		return []analytics.Raw{note}, nil
	}
	overlap, inside, args, insideArgs := sumWindow(q)
	where, args := overlap+" AND "+inside, append(args, insideArgs...)
	key, answers := sumKeys[q.By]
	if !answers {
		key = "NULL AS key_text"
	}
	var rows []usageRow
	err = g.s.q(ctx).Raw("SELECT "+key+", s.cost_unit AS unit_first, s.cost_unit AS unit_last, "+sumsOf(usageSumCounts, usageSumAmounts)+
		" FROM usage_sums s JOIN clusters c ON c.id = s.cluster_id WHERE "+where+" GROUP BY 1, 2", args...).Scan(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	out := []analytics.Raw{}
	for _, r := range rows {
		out = append(out, r.raw(q.Energy))
	}
	if q.Ledger {
		ledgers, err := g.ledgerGroups(ctx, "SELECT "+key+", s.resource, "+sumsOf(ledgerSumCounts, ledgerSumAmounts)+
			" FROM ledger_sums s JOIN clusters c ON c.id = s.cluster_id WHERE "+where+" GROUP BY 1, 2", args)
		if err != nil {
			return nil, err
		}
		out = append(out, ledgers...)
	}
	if !answers {
		for i := range out {
			out[i].Key = analytics.Summed
		}
	}
	if cover.Outside > 0 || cover.Summed > 0 {
		out = append(out, note)
	}
	return out, nil
}

// coverage says what sums cannot answer of a query; runs is how many runs its window touches that are kept as sums only.
func (g *Jobs) coverage(ctx context.Context, q analytics.Query) (c analytics.Coverage, runs int64, err error) {
	overlap, inside, args, insideArgs := sumWindow(q)
	var row struct{ Runs, Inside, ToQuarter int64 }
	err = g.s.q(ctx).Raw(`SELECT CAST(COALESCE(SUM(s.started + s.never_started), 0) AS BIGINT) AS runs,
		CAST(COALESCE(SUM(CASE WHEN `+inside+` THEN s.started + s.never_started ELSE 0 END), 0) AS BIGINT) AS inside, COALESCE(MAX(s.to_quarter), 0) AS to_quarter
		FROM usage_sums s JOIN clusters c ON c.id = s.cluster_id WHERE `+overlap, append(insideArgs, args...)...).Scan(&row).Error
	if err != nil || row.Runs == 0 {
		return c, 0, mapErr(err)
	}
	c.Until = Time(row.ToQuarter * quarterMicro).Time()
	if q.User != "" {
		c.Persons = true
		return c, row.Runs, nil
	}
	c.Outside = row.Runs - row.Inside
	if !q.By.OfSums() {
		c.Summed = row.Inside
	}
	return c, row.Runs, nil
}
