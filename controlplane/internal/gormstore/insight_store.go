package gormstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// Insight is the store of package insight.
type Insight struct {
	s *Store

	mu      sync.Mutex
	longest map[string]longest // by id of the cluster
}

// NewInsight gives the store of package insight.
func NewInsight(s *Store) *Insight { return &Insight{s: s} }

// dueAhead is how far Due looks for jobs without a report behind those with one: beyond all that an upgrade makes due at once.
const dueAhead = 1000

// Due is insight.Store.Due.
func (g *Insight) Due(ctx context.Context, limit int) ([]uuid.UUID, error) {
	var ids []string
	err := g.s.q(ctx).Raw(`SELECT id FROM (SELECT id, updated_at FROM jobs WHERE analysis_due ORDER BY updated_at LIMIT ?) d
		ORDER BY EXISTS (SELECT 1 FROM reports r WHERE r.job_id = d.id), updated_at LIMIT ?`, limit+dueAhead, limit).Scan(&ids).Error
	if err != nil {
		return nil, mapErr(fmt.Errorf("looking for what is due: %w", err))
	}
	return parseIDs(ids)
}

func parseIDs(texts []string) ([]uuid.UUID, error) {
	out := make([]uuid.UUID, 0, len(texts))
	for _, t := range texts {
		id, err := uuid.Parse(t)
		if err != nil {
			return nil, fmt.Errorf("reading an id: %w", err)
		}
		out = append(out, id)
	}
	return out, nil
}

// MarkDue says that the analysis of a job has to run (again): a profile of it was stored.
func (g *Insight) MarkDue(ctx context.Context, id uuid.UUID, now time.Time) error {
	_, err := g.mark(ctx, now, "id = ?", id.String())
	return err
}

// mark makes the analysis of the jobs of a condition due and says how many they are.
func (g *Insight) mark(ctx context.Context, now time.Time, where string, args ...any) (n int64, err error) {
	err = g.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE jobs SET analysis_due = ?, updated_at = ? WHERE "+where, append([]any{true, At(now)}, args...)...)
		n = res.RowsAffected
		return res.Error
	})
	return n, err
}

// MarkMissed is insight.Store.MarkMissed.
func (g *Insight) MarkMissed(ctx context.Context, now time.Time) (int64, error) {
	return g.mark(ctx, now, `NOT analysis_due AND id IN (SELECT o.job_id FROM objects o
		JOIN jobs j ON j.id = o.job_id WHERE o.class = 'profile' AND (j.analysed_at IS NULL OR o.created_at > j.analysed_at))`)
}

// MarkAllDue makes all jobs with accounting due again, those of one cluster when cluster is not empty.
func (g *Insight) MarkAllDue(ctx context.Context, cluster string, now time.Time) (int64, error) {
	if cluster == "" {
		return g.mark(ctx, now, "accounting_at IS NOT NULL")
	}
	return g.mark(ctx, now, "accounting_at IS NOT NULL AND cluster_id IN (SELECT id FROM clusters WHERE name = ?)", cluster)
}

// MarkDueBetween makes the analysis of jobs due that ran in a time: what energy cost then is known better now.
func (g *Insight) MarkDueBetween(ctx context.Context, from, to, now time.Time) error {
	_, err := g.mark(ctx, now, "accounting_at IS NOT NULL AND start_at < ? AND end_at > ?", At(to), At(from))
	return err
}

// unreadable are jobs with profiles, for a server that reads none.
const unreadable = " AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.job_id = j.id AND o.user_id = j.user_id AND o.class = 'profile')"

// MarkStale is insight.Store.MarkStale. Counting is bounded by the limit too: right after an import very many are due.
func (g *Insight) MarkStale(ctx context.Context, s insight.Stale, now time.Time) (int64, error) {
	but := unreadable
	if s.Profiles {
		but = ""
	}
	var due int
	err := g.s.q(ctx).Raw("SELECT COUNT(*) FROM (SELECT 1 FROM jobs j WHERE analysis_due"+but+" LIMIT ?) d", s.Limit).Scan(&due).Error
	if err != nil {
		return 0, mapErr(fmt.Errorf("counting what is due: %w", err))
	}
	if due >= s.Limit {
		return 0, nil
	}
	return g.mark(ctx, now, `id IN (SELECT r.job_id FROM reports r JOIN jobs j ON j.id = r.job_id
		WHERE r.revision < ? AND NOT j.analysis_due`+but+` LIMIT ?)`, s.Revision, s.Limit-due)
}

type materialRow struct {
	SlurmJobID   string
	UserID       *string
	AccountingAt *Time
	AnalysisDue  bool
	UpdatedAt    Time
	ClusterID    string
	Name         string
	Facts        string
}

// Material is insight.Store.Material.
func (g *Insight) Material(ctx context.Context, id uuid.UUID) (insight.Material, error) {
	var row materialRow
	res := g.s.q(ctx).Raw(`SELECT j.slurm_job_id, j.user_id, j.accounting_at, j.analysis_due, j.updated_at, c.id AS cluster_id, c.name, c.facts
		FROM jobs j JOIN clusters c ON c.id = j.cluster_id WHERE j.id = ?`, id.String()).Scan(&row)
	if res.Error == nil && res.RowsAffected == 0 {
		return insight.Material{}, mapErr(gorm.ErrRecordNotFound)
	}
	if res.Error != nil {
		return insight.Material{}, mapErr(res.Error)
	}
	m := insight.Material{
		ID: id, SlurmJobID: row.SlurmJobID, Ended: row.AccountingAt != nil, Due: row.AnalysisDue, UpdatedAt: row.UpdatedAt.Time(),
		ClusterID: row.ClusterID, ClusterName: row.Name, Facts: []byte(row.Facts),
	}
	var err error
	if m.Rows, err = g.rows(ctx, id); err != nil {
		return m, err
	}
	if m.Samples, err = g.samples(ctx, id); err != nil {
		return m, err
	}
	if m.Script, m.InputBytes, err = g.told(ctx, id); err != nil {
		return m, err
	}
	m.Profiles, err = g.profiles(ctx, id, row.UserID)
	return m, err
}

// told is what the job's wrapper said of its script and inputs: all attempts are of one submission.
func (g *Insight) told(ctx context.Context, id uuid.UUID) (script *workprint.Text, inputBytes int64, err error) {
	var texts []string
	err = g.s.q(ctx).Raw("SELECT snapshot FROM job_snapshots WHERE job_id = ? ORDER BY attempt", id.String()).Scan(&texts).Error
	if err != nil {
		return nil, 0, mapErr(fmt.Errorf("reading what agents told: %w", err))
	}
	for _, text := range texts {
		var s struct {
			Script     *workprint.Text `json:"script"`
			InputBytes int64           `json:"input_bytes"`
		}
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return nil, 0, fmt.Errorf("reading what agents told: %w", err)
		}
		if s.Script != nil {
			script = s.Script
		}
		inputBytes = max(inputBytes, s.InputBytes)
	}
	return script, inputBytes, nil
}

func (g *Insight) rows(ctx context.Context, id uuid.UUID) ([]insight.Row, error) {
	var rows []accountingRow
	err := g.s.q(ctx).Raw("SELECT step, digest, fields FROM accounting_rows WHERE job_id = ? ORDER BY attempt, step", id.String()).Scan(&rows).Error
	if err != nil {
		return nil, mapErr(fmt.Errorf("reading accounting rows: %w", err))
	}
	return decodeRows(rows)
}

func decodeRows(rows []accountingRow) ([]insight.Row, error) {
	out := make([]insight.Row, 0, len(rows))
	for _, r := range rows {
		rec, err := jobs.Decode([]byte(r.Fields))
		if err != nil {
			return nil, err
		}
		out = append(out, insight.Row{Digest: r.Digest, Record: rec})
	}
	return out, nil
}

// profiles lists the profiles that the job's own user stored: an object of anybody else says nothing about the job.
func (g *Insight) profiles(ctx context.Context, id uuid.UUID, user *string) ([]insight.Profile, error) {
	if user == nil {
		return nil, nil
	}
	var rows []struct {
		ObjectKey string
		Name      string
		SHA256    string `gorm:"column:sha256"`
		SizeBytes int64
	}
	err := g.s.q(ctx).Raw(`SELECT object_key, name, sha256, size_bytes FROM objects WHERE job_id = ? AND user_id = ? AND class = 'profile'
		ORDER BY object_key`, id.String(), *user).Scan(&rows).Error
	if err != nil {
		return nil, mapErr(fmt.Errorf("listing profiles: %w", err))
	}
	out := make([]insight.Profile, 0, len(rows))
	for _, r := range rows {
		out = append(out, insight.Profile{Key: r.ObjectKey, Name: r.Name, SHA256: r.SHA256, SizeBytes: r.SizeBytes})
	}
	return out, nil
}

type reportRow struct {
	JobID        string
	Report       string
	Series       string
	InputsDigest string
	ComputedAt   Time
}

// Stored is insight.Store.Stored.
func (g *Insight) Stored(ctx context.Context, id uuid.UUID) (a insight.Analysis, ok bool, err error) {
	var row reportRow
	res := g.s.q(ctx).Raw("SELECT job_id, report, series, inputs_digest, computed_at FROM reports WHERE job_id = ?", id.String()).Scan(&row)
	if res.Error != nil || res.RowsAffected == 0 {
		return a, false, mapErr(res.Error)
	}
	a.Digest, a.ComputedAt = row.InputsDigest, row.ComputedAt.Time()
	if !decoded(row.Report, &a.Report) || row.Series != noSeries && !decoded(row.Series, &a.Series) {
		return insight.Analysis{}, false, nil // of another version, or damaged: an error would keep it from being made again
	}
	return a, true, nil
}

func decoded(text string, into any) bool { return json.Unmarshal([]byte(text), into) == nil }

// noSeries stands for a report without series, the default of the column.
const noSeries = "{}"

var reportColumns = []string{
	"job_id", "report", "series", "inputs_digest", "cpu_allocated_core_s", "cpu_used_core_s", "memory_allocated_byte_s", "memory_used_byte_s",
	"limit_s", "elapsed_s", "gpu_allocated_s", "gpu_used_s", "energy_j", "wasted_core_s", "wasted_memory_byte_s", "wasted_gpu_s", "computed_at",
	"cost", "cost_unit", "carbon_g", "energy_open", "revision",
}

var reportBulk = bulk{table: "reports", columns: reportColumns, conflict: updateAll("job_id", reportColumns)}

// Save is insight.Store.Save, in one transaction.
func (g *Insight) Save(ctx context.Context, results []insight.Result) error {
	rows := make(map[uuid.UUID][]any, len(results))
	for _, r := range results {
		if r.Nothing {
			continue
		}
		row, err := reportArgs(g.s.dialect, r)
		if err != nil {
			return err
		}
		rows[r.ID] = row
	}
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		same, err := unchanged(tx, results)
		if err != nil {
			return err
		}
		if err := saveReports(ctx, tx, same, rows); err != nil {
			return err
		}
		for _, r := range same {
			err := tx.Exec("UPDATE jobs SET analysed_at = ?, analysis_due = ? WHERE id = ?", At(r.Analysis.ComputedAt), false, r.ID.String()).Error
			if err != nil {
				return fmt.Errorf("noting an analysis: %w", err)
			}
		}
		return nil
	})
}

// unchanged locks the jobs and picks the results of those that are as the analysis saw them. Of another one the person may have
// been taken out meanwhile, whom the report names.
func unchanged(tx *gorm.DB, results []insight.Result) ([]insight.Result, error) {
	ids := make([]uuid.UUID, len(results))
	for i, r := range results {
		ids[i] = r.ID
	}
	sorted := texts(ids)
	slices.Sort(sorted) // two that lock do not wait for each other
	at := make(map[string]Time, len(ids))
	for part := range chunks(sorted) {
		var rows []struct {
			ID        string
			UpdatedAt Time
		}
		if err := tx.Raw("SELECT id, updated_at FROM jobs WHERE id IN ? ORDER BY id"+forUpdate(tx), part).Scan(&rows).Error; err != nil {
			return nil, fmt.Errorf("locking analysed jobs: %w", err)
		}
		for _, r := range rows {
			at[r.ID] = r.UpdatedAt
		}
	}
	var same []insight.Result
	for _, r := range results {
		if seen, ok := at[r.ID.String()]; ok && seen == At(r.Seen) {
			same = append(same, r)
		}
	}
	return same, nil
}

// saveReports writes the reports and ledgers of results; rows are those of the reports.
func saveReports(ctx context.Context, tx *gorm.DB, results []insight.Result, rows map[uuid.UUID][]any) error {
	var told []insight.Result
	var reports [][]any
	for _, r := range results {
		if !r.Nothing {
			told, reports = append(told, r), append(reports, rows[r.ID])
		}
	}
	if err := reportBulk.exec(ctx, tx, reports); err != nil {
		return err
	}
	return saveLedgers(ctx, tx, told)
}

func reportArgs(d Dialect, r insight.Result) ([]any, error) {
	report, err := json.Marshal(r.Analysis.Report)
	if err != nil {
		return nil, fmt.Errorf("writing a report: %w", err)
	}
	series := []byte(noSeries)
	if r.Analysis.Series != nil {
		if series, err = json.Marshal(r.Analysis.Series); err != nil {
			return nil, fmt.Errorf("writing series: %w", err)
		}
	}
	s := r.Analysis.Sums
	return []any{
		r.ID.String(), string(report), string(series), r.Analysis.Digest, s.CPUAllocated, s.CPUUsed, s.MemoryAllocated, s.MemoryUsed,
		s.LimitS, s.ElapsedS, s.GPUAllocated, s.GPUUsed, s.EnergyJ, s.WastedCore, s.WastedMemory, s.WastedGPU, bind(d, &r.Analysis.ComputedAt),
		s.Cost, nullable(s.CostUnit), s.CarbonG, s.EnergyOpen, insight.Revision,
	}, nil
}
