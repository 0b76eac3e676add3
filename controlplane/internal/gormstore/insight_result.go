package gormstore

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
)

// Siblings is insight.Archive.Siblings. A number may be given to another array years later: tasks of one array are submitted
// at once.
func (g *Insight) Siblings(ctx context.Context, id uuid.UUID) ([]uuid.UUID, error) {
	var ids []string
	err := g.s.q(ctx).Raw(`SELECT o.id FROM jobs j JOIN jobs o ON o.cluster_id = j.cluster_id AND o.array_job_id = j.array_job_id
		AND o.submit_at = j.submit_at AND o.unix_user = j.unix_user WHERE j.id = ? AND j.array_job_id <> '' AND o.array_job_id <> ''`, id.String()).Scan(&ids).Error
	if err != nil {
		return nil, mapErr(fmt.Errorf("reading the tasks of an array: %w", err))
	}
	if len(ids) == 0 {
		return []uuid.UUID{id}, nil
	}
	return parseIDs(ids)
}

// Outputs is insight.Archive.Outputs: objects of the job's own user, as with profiles.
func (g *Insight) Outputs(ctx context.Context, id uuid.UUID) (f insight.Footprint, out []insight.Output, err error) {
	var took struct {
		EnergyJ  *float64
		Cost     *float64
		CostUnit string
		CarbonG  *float64
	}
	err = g.s.q(ctx).Raw("SELECT energy_j, cost, COALESCE(cost_unit, '') AS cost_unit, carbon_g FROM reports WHERE job_id = ?", id.String()).Scan(&took).Error
	if err != nil {
		return f, nil, mapErr(fmt.Errorf("reading what a job took: %w", err))
	}
	f = insight.Footprint{EnergyJ: took.EnergyJ, Cost: took.Cost, CarbonG: took.CarbonG, CostUnit: took.CostUnit}
	var rows []struct {
		ID        string
		Name      string
		SizeBytes int64
	}
	err = g.s.q(ctx).Raw(`SELECT o.id, o.name, o.size_bytes FROM objects o JOIN jobs j ON j.id = o.job_id AND j.user_id = o.user_id
		WHERE o.job_id = ? AND o.class = 'output' ORDER BY o.object_key`, id.String()).Scan(&rows).Error
	if err != nil {
		return f, nil, mapErr(fmt.Errorf("listing outputs: %w", err))
	}
	for _, r := range rows {
		object, err := uuid.Parse(r.ID)
		if err != nil {
			return f, nil, fmt.Errorf("reading an id: %w", err)
		}
		out = append(out, insight.Output{ID: object, Name: r.Name, SizeBytes: r.SizeBytes})
	}
	return f, out, nil
}
