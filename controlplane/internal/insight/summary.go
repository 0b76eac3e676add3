package insight

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Summary is a user's jobs of a time in numbers.
type Summary struct {
	Counts
	// Analysed is how many jobs the aggregate covers: those with a report.
	Analysed  int64
	Aggregate map[efficiency.MetricName]efficiency.Metric
	Worst     []Worst
}

// Worst is a job that wasted much.
type Worst struct {
	ID          uuid.UUID
	WastedCoreS float64
	Verdict     string
	Actions     []string
}

const maxWorst = 5

// Summary sums up a selection. Efficiencies are ratios of sums over the jobs that have both numbers.
func (s *Service) Summary(ctx context.Context, sel Selection) (Summary, error) {
	counts, err := s.archive.Period(ctx, sel)
	if err != nil {
		return Summary{}, fmt.Errorf("counting jobs: %w", err)
	}
	out, sum := Summary{Counts: counts}, efficiency.NewAdder()
	err = s.archive.EachReport(ctx, sel, func(k Known) error {
		out.Analysed++
		sum.Add(&k.Report)
		out.Worst = withWorst(out.Worst, k)
		return nil
	})
	if err != nil {
		return Summary{}, fmt.Errorf("reading reports: %w", err)
	}
	out.Aggregate = sum.Totals().Metrics
	return out, nil
}

// withWorst keeps the worst few, the most wasteful first.
func withWorst(list []Worst, k Known) []Worst {
	wasted, ok := k.Report.Value(efficiency.WastedCPU)
	if !ok || wasted <= 0 || len(list) == maxWorst && wasted <= list[maxWorst-1].WastedCoreS {
		return list
	}
	w := Worst{ID: k.ID, WastedCoreS: wasted, Verdict: k.Report.Verdict}
	for _, a := range k.Report.Actions {
		w.Actions = append(w.Actions, a.Line)
	}
	list = append(list, w)
	slices.SortStableFunc(list, func(a, b Worst) int { return cmp.Compare(b.WastedCoreS, a.WastedCoreS) })
	return list[:min(len(list), maxWorst)]
}

// Headlines gives the metrics of jobs that are analysed, by job.
func (s *Service) Headlines(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]map[efficiency.MetricName]efficiency.Metric, error) {
	known, err := s.archive.ReportsOf(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading reports: %w", err)
	}
	out := make(map[uuid.UUID]map[efficiency.MetricName]efficiency.Metric, len(known))
	for _, k := range known {
		out[k.ID] = k.Report.Metrics
	}
	return out, nil
}
