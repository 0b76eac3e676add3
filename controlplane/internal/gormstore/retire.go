package gormstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
)

var _ analytics.Retired = (*Jobs)(nil)

// retiredJobs selects jobs that ended, and were first stored, before a moment: history that was imported is kept as long as what
// agents told. A job of which no end ever came, and nothing else for as long, is one of them; it is in no number.
const retiredJobs = `SELECT id FROM jobs WHERE cluster_id = ? AND summed_at IS NULL AND created_at < ? AND
	(end_at < ? OR end_at IS NULL AND submit_at < ? AND updated_at < ?) ORDER BY end_at, id LIMIT ?`

// hasFiles: a key in use is never forgotten.
const hasFiles = `(id IN (SELECT o.job_id FROM objects o WHERE o.job_id IN ?)
	OR id IN (SELECT u.job_id FROM uploads u WHERE u.job_id IN ? AND NOT u.closed))`

// detailsOfRuns are tables with what is summed up, by job_id; beside them job_reporters, which refers to no row.
var detailsOfRuns = []string{"accounting_rows", "attempts", "job_snapshots", "job_samples", "job_events", "reports", "job_ledgers", "job_reporters"}

// SumUp is analytics.Retired.SumUp: a page of one cluster. It takes the lock of reports about that cluster, so that no row of a
// job arrives in between.
func (g *Jobs) SumUp(ctx context.Context, before time.Time, limit int) (n int, err error) {
	var clusters []string
	if err := g.s.q(ctx).Raw("SELECT id FROM clusters ORDER BY id").Scan(&clusters).Error; err != nil {
		return 0, mapErr(err)
	}
	for _, cluster := range clusters {
		err := g.s.Tx(ctx, func(tx *gorm.DB) error {
			if err := g.s.lockJobs(tx, cluster); err != nil {
				return err
			}
			n, err = sumPageUp(ctx, tx, cluster, At(before), limit)
			return err
		})
		if err != nil || n > 0 {
			return n, err
		}
	}
	return 0, nil
}

func sumPageUp(ctx context.Context, tx *gorm.DB, cluster string, before Time, limit int) (int, error) {
	var ids []string
	if err := tx.Raw(retiredJobs+forUpdate(tx), cluster, before, before, before, before, limit).Scan(&ids).Error; err != nil {
		return 0, fmt.Errorf("looking for jobs that are kept no longer: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	for _, step := range []func(context.Context, *gorm.DB, string, []string) error{addUsageSums, addLedgerSums, closeMonths, removeDetails} {
		if err := step(ctx, tx, cluster, ids); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// forUpdate keeps an upload from being reserved for a job that is about to go.
func forUpdate(tx *gorm.DB) string {
	if Dialect(tx.Name()) == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// quarterOf is the end of a run in quarters of an hour since 1970.
func quarterOf(d Dialect) string {
	if d == Postgres {
		return fmt.Sprintf("CAST(FLOOR(EXTRACT(EPOCH FROM a.end_at) / %d) AS BIGINT)", analytics.QuarterS)
	}
	return fmt.Sprintf("a.end_at / %d", quarterMicro)
}

// addUsageSums asks what usage would say of the page.
func addUsageSums(ctx context.Context, tx *gorm.DB, cluster string, ids []string) error {
	where, _ := usageWhere(analytics.Query{})
	query := "SELECT account, quarter, third, " + strings.Join(append(usageSumCounts[:len(usageSumCounts):len(usageSumCounts)], usageSumAmounts...), ", ") +
		" FROM (SELECT a.account, " + quarterOf(Dialect(tx.Name())) + " AS quarter, COALESCE(r.cost_unit, '') AS third, " + usageSums + "," + usageEnergy +
		" FROM attempts a JOIN jobs j ON j.id = a.job_id" + energyJoin + " WHERE " + where + " AND j.id IN ? GROUP BY 1, 2, 3) p"
	return addSums(ctx, tx, sumTable{"usage_sums", "cost_unit", usageSumCounts, usageSumAmounts}, cluster, query, ids)
}

func addLedgerSums(ctx context.Context, tx *gorm.DB, cluster string, ids []string) error {
	where, _ := usageWhere(analytics.Query{})
	query := "SELECT account, quarter, resource, " + strings.Join(append(ledgerSumCounts[:len(ledgerSumCounts):len(ledgerSumCounts)], ledgerSumAmounts...), ", ") +
		" FROM (" + fmt.Sprintf(usageLedgers, "a.account, "+quarterOf(Dialect(tx.Name()))+" AS quarter", where+" AND j.id IN ?") + ", 3) p"
	return addSums(ctx, tx, sumTable{"ledger_sums", "resource", ledgerSumCounts, ledgerSumAmounts}, cluster, query, ids)
}

// sumTable is a table of sums; third is the column of its key beside account and bucket.
type sumTable struct {
	name, third     string
	counts, amounts []string
}

type sumKey struct {
	account, third string
	from, to       int64
}

// addSums adds what a query gives (account, quarter, third, counts, amounts) to the rows of a table.
func addSums(ctx context.Context, tx *gorm.DB, t sumTable, cluster, query string, ids []string) error {
	sums, err := bucketSums(tx, len(t.counts)+len(t.amounts), query, ids)
	if err != nil {
		return err
	}
	columns := append([]string{"cluster_id", "account", "from_quarter", "to_quarter", t.third}, append(t.counts[:len(t.counts):len(t.counts)], t.amounts...)...)
	rows := make([][]any, 0, len(sums))
	for k, values := range sums {
		row := []any{cluster, k.account, k.from, k.to, k.third}
		for i, v := range values {
			if i < len(t.counts) {
				row = append(row, int64(v))
			} else {
				row = append(row, v)
			}
		}
		rows = append(rows, row)
	}
	set := make([]string, 0, len(columns))
	for _, c := range columns[5:] {
		set = append(set, c+" = "+t.name+"."+c+" + excluded."+c)
	}
	to := bulk{table: t.name, columns: columns, conflict: "ON CONFLICT (cluster_id, account, from_quarter, " + t.third + ") DO UPDATE SET " + strings.Join(set, ", ")}
	return to.exec(ctx, tx, rows)
}

func bucketSums(tx *gorm.DB, values int, query string, ids []string) (map[sumKey][]float64, error) {
	rows, err := tx.Raw(query, ids).Rows()
	if err != nil {
		return nil, fmt.Errorf("summing up jobs: %w", err)
	}
	defer rows.Close()
	out := map[sumKey][]float64{}
	for rows.Next() {
		var k sumKey
		var quarter int64
		read := make([]float64, values)
		targets := []any{&k.account, &quarter, &k.third}
		for i := range read {
			targets = append(targets, &read[i])
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, fmt.Errorf("summing up jobs: %w", err)
		}
		k.from, k.to = analytics.Bucket(quarter)
		if out[k] == nil {
			out[k] = make([]float64, values)
		}
		for i, v := range read {
			out[k][i] += v
		}
	}
	return out, rows.Err()
}

// closeMonths notes up to which end runs of each month are summed, so that none is counted again (jobs.Book).
func closeMonths(ctx context.Context, tx *gorm.DB, cluster string, ids []string) error {
	var ends []Time
	if err := tx.Raw("SELECT DISTINCT end_at FROM attempts WHERE job_id IN ? AND end_at IS NOT NULL", ids).Scan(&ends).Error; err != nil {
		return fmt.Errorf("reading the ends of jobs: %w", err)
	}
	until := map[int64]int64{}
	for _, e := range ends {
		month := analytics.MonthStart(e.Time()).Unix()
		until[month] = max(until[month], e.Time().Unix())
	}
	var rows [][]any
	for month, end := range until {
		rows = append(rows, []any{cluster, month, end})
	}
	return bulk{
		table: "summed_months", columns: []string{"cluster_id", "month_start", "until"},
		conflict: "ON CONFLICT (cluster_id, month_start) DO UPDATE SET until = excluded.until WHERE excluded.until > summed_months.until",
	}.exec(ctx, tx, rows)
}

// removeDetails leaves a job's row where stored files refer to it: whose it is, its number, account, state and times.
func removeDetails(_ context.Context, tx *gorm.DB, _ string, ids []string) error {
	for _, table := range detailsOfRuns {
		if err := tx.Exec("DELETE FROM "+table+" WHERE job_id IN ?", ids).Error; err != nil {
			return fmt.Errorf("removing %s: %w", table, err)
		}
	}
	if err := tx.Exec("DELETE FROM jobs WHERE id IN ? AND NOT "+hasFiles, ids, ids, ids).Error; err != nil {
		return fmt.Errorf("removing jobs: %w", err)
	}
	now := At(tx.NowFunc())
	err := tx.Table("jobs").Where("id IN ?", ids).Updates(map[string]any{
		"summed_at": now, "updated_at": now, "analysis_due": false, "accounting_at": nil, "analysed_at": gorm.Expr("COALESCE(analysed_at, ?)", now),
		"name": "", "node_list": "", "reason": "", "submission_id": nil,
	}).Error
	if err != nil {
		return fmt.Errorf("keeping jobs with files: %w", err)
	}
	return nil
}

// DropSummed is analytics.Retired.DropSummed.
func (g *Jobs) DropSummed(ctx context.Context, limit int) (n int, err error) {
	err = g.s.Tx(ctx, func(tx *gorm.DB) error {
		var ids []string
		err := tx.Raw(`SELECT id FROM jobs j WHERE summed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.job_id = j.id)
			AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.job_id = j.id AND NOT u.closed) LIMIT ?`+forUpdate(tx), limit).Scan(&ids).Error
		if err != nil || len(ids) == 0 {
			return err
		}
		n = len(ids)
		return tx.Exec("DELETE FROM jobs WHERE id IN ?", ids).Error
	})
	return n, err
}
