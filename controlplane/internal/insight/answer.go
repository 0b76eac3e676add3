package insight

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// retryAnalysis is when it is worth asking again for a report that is on its way.
const retryAnalysis = 5 * time.Second

// Report gives a job's report: the stored one, or for a job that goes on (or whose accounting holds no measurement) what
// its accounting says now. apperr not_analysed says why there is none.
func (s *Service) Report(ctx context.Context, id uuid.UUID) (efficiency.Report, error) {
	stored, ok, err := s.store.Stored(ctx, id)
	if err != nil {
		return efficiency.Report{}, fmt.Errorf("reading a report: %w", err)
	}
	if ok && stored.Report.Job.State != string(slurmfmt.StateRunning) && stored.Report.Job.State != string(slurmfmt.StatePending) {
		return stored.Report, nil
	}
	m, err := s.material(ctx, id)
	if err != nil {
		return efficiency.Report{}, err
	}
	e, err := s.energy(ctx, m)
	if err != nil {
		return efficiency.Report{}, fmt.Errorf("reading tariffs: %w", err)
	}
	a, err := s.compute(ctx, m, e)
	if err != nil {
		return efficiency.Report{}, err
	}
	return a.Report, nil
}

// material gives what can be analysed at once, or says why nothing can.
func (s *Service) material(ctx context.Context, id uuid.UUID) (Material, error) {
	m, err := s.store.Material(ctx, id)
	if err != nil {
		return m, fmt.Errorf("reading a job: %w", err)
	}
	switch {
	case len(m.Rows) == 0:
		return m, apperr.New(apperr.NotAnalysed, "Slurm's accounting has not told of this job yet, so there is nothing to analyse").
			WithHint("the agent sends accounting within a minute or two; `ergon status` says whether it runs")
	case m.Due:
		e := apperr.New(apperr.NotAnalysed, "the analysis of this job is under way").WithHint("ask again in a few seconds")
		e.RetryAfter = retryAnalysis
		return m, e
	}
	if !m.Ended {
		m.Profiles = nil // they are still being written
	}
	return m, nil
}

// Series gives a job's time series with at most points points a line.
func (s *Service) Series(ctx context.Context, id uuid.UUID, points int) (efficiency.SeriesSet, error) {
	stored, ok, err := s.store.Stored(ctx, id)
	if err != nil {
		return efficiency.SeriesSet{}, fmt.Errorf("reading series: %w", err)
	}
	if !ok {
		if _, err := s.material(ctx, id); err != nil {
			return efficiency.SeriesSet{}, err
		}
	}
	if stored.Series == nil {
		return efficiency.SeriesSet{}, apperr.New(apperr.NotAnalysed, "no profile of this job is stored, so there are no series").
			WithHint("submit with `ergon sbatch` on a cluster with Slurm's HDF5 profiling (--profile=task,energy); the agent uploads the files")
	}
	return thin(*stored.Series, points), nil
}

// thin combines neighbouring buckets until there are at most points; each line in its own way, mean or maximum.
func thin(set efficiency.SeriesSet, points int) efficiency.SeriesSet {
	if points < 1 || set.Points <= points {
		return set
	}
	factor := (set.Points + points - 1) / points
	out := set
	out.Step, out.Points, out.Lines = set.Step*float64(factor), (set.Points+factor-1)/factor, make([]efficiency.Line, len(set.Lines))
	for i, l := range set.Lines {
		out.Lines[i] = l
		out.Lines[i].Values = make([]*float64, 0, out.Points)
		for at := 0; at < len(l.Values); at += factor {
			out.Lines[i].Values = append(out.Lines[i].Values, combine(l.Values[at:min(at+factor, len(l.Values))], l.Reduced == "max"))
		}
	}
	return out
}

func combine(values []*float64, largest bool) *float64 {
	var sum, top float64
	n := 0
	for _, v := range values {
		if v == nil {
			continue
		}
		if n == 0 || *v > top {
			top = *v
		}
		sum += *v
		n++
	}
	if n == 0 {
		return nil
	}
	if largest {
		return &top
	}
	mean := sum / float64(n)
	return &mean
}
