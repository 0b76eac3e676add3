package gormstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// selected is the condition of a selection on jobs j and clusters c.
func selected(s insight.Selection) (where string, args []any) {
	where, args = " j.submit_at >= ? AND j.submit_at < ?", []any{At(s.From), At(s.To)}
	switch {
	case s.UserID != uuid.Nil:
		where, args = where+" AND j.user_id = ?", append(args, s.UserID.String())
	case s.UnixUser != "":
		where, args = where+" AND j.unix_user = ?", append(args, s.UnixUser)
	}
	if s.Cluster != "" {
		where, args = where+" AND c.name = ?", append(args, s.Cluster)
	}
	return where, args
}

// Period is insight.Archive.Period. Allocated time is wall time without suspension, over all attempts that have ended.
func (g *Insight) Period(ctx context.Context, s insight.Selection) (insight.Counts, error) {
	var row struct {
		Jobs      int64
		Started   int64
		Done      int64
		Failed    int64
		Allocated float64
	}
	where, args := selected(s)
	query := `SELECT COUNT(*) AS jobs, COALESCE(SUM(CASE WHEN p.started > 0 THEN 1 ELSE 0 END), 0) AS started,
		COALESCE(SUM(CASE WHEN p.state = ? THEN 1 ELSE 0 END), 0) AS done, COALESCE(SUM(CASE WHEN p.state = ? THEN 1 ELSE 0 END), 0) AS failed,
		COALESCE(SUM(p.allocated), 0) AS allocated
		FROM (SELECT j.id, j.state, SUM(CASE WHEN a.start_at IS NULL THEN 0 ELSE 1 END) AS started,
			SUM(CAST(COALESCE(a.elapsed_s, a.wall_s) AS DOUBLE PRECISION) * a.cpus) AS allocated
			FROM jobs j JOIN clusters c ON c.id = j.cluster_id LEFT JOIN attempts a ON a.job_id = j.id
			WHERE` + where + ` GROUP BY j.id, j.state) p`
	args = append([]any{string(slurmfmt.StateDone), string(slurmfmt.StateFailed)}, args...)
	if err := g.s.q(ctx).Raw(query, args...).Scan(&row).Error; err != nil {
		return insight.Counts{}, mapErr(err)
	}
	return insight.Counts{Jobs: row.Jobs, Started: row.Started, Done: row.Done, Failed: row.Failed, CPUAllocatedCoreS: row.Allocated}, nil
}

// EachReport is insight.Archive.EachReport.
func (g *Insight) EachReport(ctx context.Context, s insight.Selection, fn func(insight.Known) error) error {
	where, args := selected(s)
	return g.eachReport(ctx, fn, `SELECT r.job_id, r.report FROM reports r JOIN jobs j ON j.id = r.job_id JOIN clusters c ON c.id = j.cluster_id
		WHERE j.accounting_at IS NOT NULL AND`+where+" ORDER BY j.submit_at DESC, j.id DESC", args...)
}

// ReportsOf is insight.Archive.ReportsOf. Of each only what sums and lists need is kept: there may be thousands.
func (g *Insight) ReportsOf(ctx context.Context, ids []uuid.UUID) (out []insight.Known, err error) {
	for part := range chunks(texts(ids)) {
		err := g.eachReport(ctx, func(k insight.Known) error {
			k.Report.Findings, k.Report.Attempts, k.Report.Nodes = nil, nil, nil
			out = append(out, k)
			return nil
		}, "SELECT r.job_id, r.report FROM reports r JOIN jobs j ON j.id = r.job_id WHERE j.accounting_at IS NOT NULL AND r.job_id IN ?", part)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (g *Insight) eachReport(ctx context.Context, fn func(insight.Known) error, query string, args ...any) error {
	return g.s.eachRow(ctx, func(rows *sql.Rows) error {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return mapErr(err)
		}
		k, err := known(id, text)
		if err != nil {
			return err
		}
		return fn(k)
	}, query, args...)
}

// eachRow hands over the rows of an answer one by one: there may be very many. An error of fn ends it. fn must not use the
// store.
func (s *Store) eachRow(ctx context.Context, fn func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := s.q(ctx).Raw(query, args...).Rows()
	if err != nil {
		return mapErr(err)
	}
	defer func() {
		if closed := rows.Close(); err == nil {
			err = mapErr(closed)
		}
	}()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return mapErr(rows.Err())
}

func known(id, text string) (insight.Known, error) {
	job, err := uuid.Parse(id)
	if err != nil {
		return insight.Known{}, fmt.Errorf("reading an id: %w", err)
	}
	k := insight.Known{ID: job}
	if err := json.Unmarshal([]byte(text), &k.Report); err != nil {
		return k, fmt.Errorf("reading a stored report: %w", err)
	}
	return k, nil
}
