package gormstore

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

var sampleBulk = bulk{
	table: "job_samples", columns: []string{"job_id", "attempt", "step", "digest", "fields", "sampled_at"},
	conflict: `ON CONFLICT (job_id, attempt, step) DO UPDATE SET digest = excluded.digest, fields = excluded.fields, sampled_at = excluded.sampled_at
		WHERE excluded.sampled_at > job_samples.sampled_at`,
}

// writeSamples keeps the newest sample of each step.
func writeSamples(ctx context.Context, tx *gorm.DB, samples []jobs.Sample) error {
	d := Dialect(tx.Name())
	rows := make([][]any, 0, len(samples))
	for _, s := range samples {
		rows = append(rows, []any{s.Place.JobID.String(), s.Place.Attempt, s.Place.Step, s.Digest, string(s.Fields), bind(d, &s.At)})
	}
	return sampleBulk.exec(ctx, tx, rows)
}

// samples reads what sstat said last of the steps of a job's last incarnation.
func (g *Insight) samples(ctx context.Context, id uuid.UUID) ([]insight.Row, error) {
	var rows []accountingRow
	err := g.s.q(ctx).Raw(`SELECT step, digest, fields FROM job_samples WHERE job_id = ? AND attempt = (SELECT MAX(attempt) FROM accounting_rows WHERE job_id = ?)
		ORDER BY step`, id.String(), id.String()).Scan(&rows).Error
	if err != nil {
		return nil, mapErr(fmt.Errorf("reading samples: %w", err))
	}
	return decodeRows(rows)
}
