package insight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/advice"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Findings are the findings of a selection added up by rule.
type Findings struct {
	Counts
	Analysed int64 // jobs with a report: Rules are of these
	Rules    []efficiency.RuleTotal
}

// Findings adds up the findings of all analysed jobs of a selection.
func (s *Service) Findings(ctx context.Context, sel Selection) (Findings, error) {
	counts, err := s.archive.Period(ctx, sel)
	if err != nil {
		return Findings{}, fmt.Errorf("counting jobs: %w", err)
	}
	out := Findings{Counts: counts}
	var sum efficiency.FindingAdder
	err = s.archive.EachReport(ctx, sel, func(k Known) error {
		out.Analysed++
		sum.Add(&k.Report)
		return nil
	})
	if err != nil {
		return Findings{}, fmt.Errorf("reading reports: %w", err)
	}
	out.Rules = sum.Rules()
	return out, nil
}

// maxRuns bounds the runs of one work that advice is made of: the newest. Advice from more would not differ.
const maxRuns = 5000

var errEnough = errors.New("enough runs were read")

// Advise compares a target with the runs of the same work in a selection. What the target leaves to the site, the cluster
// among it, is taken from the newest of them.
func (s *Service) Advise(ctx context.Context, target advice.Target, sel Selection) (advice.Advice, error) {
	runs, newest, err := s.runs(ctx, target, sel)
	if err != nil {
		return advice.Advice{}, err
	}
	var opt advice.Options
	if newest != nil {
		if target.Cluster == "" {
			target.Cluster = newest.Report.Job.Cluster
		}
		if opt, err = s.options(ctx, *newest, target.Partition); err != nil {
			return advice.Advice{}, err
		}
	}
	target.FillFrom(runs)
	return advice.Advise(target, runs, opt), nil
}

// AdviseJob is Advise for a job that is stored, with the runs of its selection.
func (s *Service) AdviseJob(ctx context.Context, id uuid.UUID, sel Selection) (advice.Advice, error) {
	r, err := s.Report(ctx, id)
	if err != nil {
		return advice.Advice{}, err
	}
	return s.Advise(ctx, advice.TargetOf(advice.Run{Report: r}), sel)
}

func (s *Service) runs(ctx context.Context, target advice.Target, sel Selection) (runs []advice.Run, newest *Known, err error) {
	err = s.archive.EachReport(ctx, sel, func(k Known) error {
		if !target.Matches(k.Report.Job) {
			return nil
		}
		if newest == nil {
			newest = &Known{ID: k.ID, Report: efficiency.Report{Job: k.Report.Job}}
		}
		if runs = append(runs, advice.Run{Report: advice.Slim(k.Report)}); len(runs) == maxRuns {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, nil, fmt.Errorf("reading reports: %w", err)
	}
	return runs, newest, nil
}

// options are what a job's cluster says: sampling interval, and what its nodes and the partition asked for allow.
func (s *Service) options(ctx context.Context, newest Known, partition string) (opt advice.Options, err error) {
	m, err := s.store.Material(ctx, newest.ID)
	if err != nil {
		return opt, fmt.Errorf("reading a cluster: %w", err)
	}
	return advice.OptionsOf(s.cluster(m), newest.Report.Job, partition), nil
}

// Array describes the tasks of the array that a job belongs to; of a job that is no task, it alone. Tasks without a report
// are left out.
func (s *Service) Array(ctx context.Context, id uuid.UUID) (efficiency.ArraySummary, error) {
	ids, err := s.archive.Siblings(ctx, id)
	if err != nil {
		return efficiency.ArraySummary{}, fmt.Errorf("reading an array: %w", err)
	}
	known, err := s.archive.ReportsOf(ctx, ids)
	if err != nil {
		return efficiency.ArraySummary{}, fmt.Errorf("reading reports: %w", err)
	}
	if len(known) == 0 {
		return efficiency.ArraySummary{}, apperr.New(apperr.NotAnalysed, "no task of this array is analysed yet").
			WithHint("a task is analysed when accounting has told its end")
	}
	reports := make([]efficiency.Report, len(known))
	for i, k := range known {
		reports[i] = k.Report
	}
	slices.SortFunc(reports, func(a, b efficiency.Report) int { return compareTasks(a.Job, b.Job) })
	return efficiency.Summarise(reports), nil
}

// Total gives the report of a whole heterogeneous job of which id is a component; any other job's is its own. A
// component without a report is an error: the total of a part would be too small.
func (s *Service) Total(ctx context.Context, id uuid.UUID) (efficiency.Report, error) {
	own, err := s.Report(ctx, id)
	if err != nil || own.Job.HetComponent == nil {
		return own, err
	}
	ids, err := s.archive.Siblings(ctx, id)
	if err != nil {
		return efficiency.Report{}, fmt.Errorf("reading the components of a job: %w", err)
	}
	components := make([]efficiency.Report, len(ids))
	for i, one := range ids {
		if components[i], err = s.Report(ctx, one); err != nil {
			return efficiency.Report{}, err
		}
	}
	slices.SortFunc(components, func(a, b efficiency.Report) int { return component(a) - component(b) })
	return efficiency.HetTotal(components), nil
}

func component(r efficiency.Report) int {
	if r.Job.HetComponent == nil {
		return 0
	}
	return *r.Job.HetComponent
}

func compareTasks(a, b efficiency.Job) int {
	if len(a.ArrayTask) != len(b.ArrayTask) {
		return len(a.ArrayTask) - len(b.ArrayTask)
	}
	return slices.Compare([]byte(a.JobID), []byte(b.JobID))
}

// AdviceDays is how far back advice looks when nobody says otherwise.
const AdviceDays = 90

// SelectionOf selects the jobs of the user that a job is of, submitted from from on, on the job's own cluster.
func SelectionOf(user *uuid.UUID, unixUser, cluster string, from, to time.Time) Selection {
	sel := Selection{Cluster: cluster, From: from, To: to}
	if user != nil {
		sel.UserID = *user
		return sel
	}
	sel.UnixUser = unixUser
	return sel
}
