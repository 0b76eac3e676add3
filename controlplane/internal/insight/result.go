package insight

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// Footprint is what something took; nil is not known.
type Footprint struct {
	EnergyJ, Cost, CarbonG *float64
	CostUnit               string
}

// Output is a stored output of a job.
type Output struct {
	ID        uuid.UUID
	Name      string
	SizeBytes int64
	Footprint Footprint
}

// Results gives what a job took, and each of its stored outputs' part of it: by the share of the bytes of all of them (in
// equal parts where all are empty), so that the parts add up to the job. Failed attempts are part of what a result took.
func (s *Service) Results(ctx context.Context, id uuid.UUID) (Footprint, []Output, error) {
	job, outputs, err := s.archive.Outputs(ctx, id)
	if err != nil {
		return Footprint{}, nil, fmt.Errorf("reading the outputs of a job: %w", err)
	}
	var bytes float64
	for _, o := range outputs {
		bytes += float64(o.SizeBytes)
	}
	for i := range outputs {
		share := 1 / float64(len(outputs))
		if bytes > 0 {
			share = float64(outputs[i].SizeBytes) / bytes
		}
		outputs[i].Footprint = job.times(share)
	}
	return job, outputs, nil
}

func (f Footprint) times(share float64) Footprint {
	part := func(v *float64) *float64 {
		if v == nil {
			return nil
		}
		p := *v * share
		return &p
	}
	return Footprint{EnergyJ: part(f.EnergyJ), Cost: part(f.Cost), CarbonG: part(f.CarbonG), CostUnit: f.CostUnit}
}
