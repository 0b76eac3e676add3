package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/jobsapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// JobReports is package insight as the routes of jobs need it.
type JobReports interface {
	Report(ctx context.Context, id uuid.UUID) (efficiency.Report, error)
	Series(ctx context.Context, id uuid.UUID, points int) (efficiency.SeriesSet, error)
	Summary(ctx context.Context, s insight.Selection) (insight.Summary, error)
	Headlines(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]map[efficiency.MetricName]efficiency.Metric, error)
}

type jobHandlers struct {
	jobs    *jobs.Service
	reports JobReports
	history JobHistory
	usage   analytics.Source
	now     func() time.Time
}

// NewJobs serves the routes of jobs.
func NewJobs(service *jobs.Service, reports interface {
	JobReports
	JobHistory
}, usage analytics.Source, now func() time.Time,
) jobsapi.StrictServerInterface {
	return jobHandlers{service, reports, reports, usage, now}
}

func viewer(ctx context.Context) (jobs.Viewer, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return jobs.Viewer{}, err
	}
	return jobs.ViewerOf(p)
}

const (
	defaultLimit  = 100
	defaultPoints = 500
)

// ListJobs lists the caller's jobs, newest first.
func (h jobHandlers) ListJobs(ctx context.Context, r jobsapi.ListJobsRequestObject) (jobsapi.ListJobsResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	page := jobs.Page{Limit: or(r.Params.Limit, defaultLimit)}
	if page.Before, err = parseJobCursor(r.Params.Cursor); err != nil {
		return nil, err
	}
	filter := jobs.Filter{
		Cluster: or(r.Params.Cluster, ""), State: slurmfmt.APIState(or(r.Params.State, "")), SlurmJobID: or(r.Params.SlurmJobId, ""),
		From: r.Params.From, To: r.Params.To,
	}
	list, next, err := h.jobs.List(ctx, v, filter, or(r.Params.AllUsers, false), page)
	if err != nil {
		return nil, err
	}
	out := jobsapi.ListJobs200JSONResponse{NextCursor: formatJobCursor(next)}
	out.Jobs, err = h.wire(ctx, list)
	return out, err
}

// GetJob shows one job.
func (h jobHandlers) GetJob(ctx context.Context, r jobsapi.GetJobRequestObject) (jobsapi.GetJobResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	j, attempts, err := h.jobs.Get(ctx, v, r.JobId)
	if err != nil {
		return nil, err
	}
	wired, err := h.wire(ctx, []jobs.Listed{{Job: j, Attempts: attempts}})
	if err != nil {
		return nil, err
	}
	return jobsapi.GetJob200JSONResponse(wired[0]), nil
}

// ListJobEvents shows what happened to a job.
func (h jobHandlers) ListJobEvents(ctx context.Context, r jobsapi.ListJobEventsRequestObject) (jobsapi.ListJobEventsResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	after, err := parseEventCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	list, next, err := h.jobs.EventsOf(ctx, v, r.JobId, after, or(r.Params.Limit, defaultLimit))
	if err != nil {
		return nil, err
	}
	out := jobsapi.ListJobEvents200JSONResponse{Events: make([]api.JobEvent, 0, len(list)), NextCursor: formatEventCursor(next)}
	for _, e := range list {
		wired, err := wireEvent(e)
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, wired)
	}
	return out, nil
}

// GetJobEfficiency shows a job's report.
func (h jobHandlers) GetJobEfficiency(ctx context.Context, r jobsapi.GetJobEfficiencyRequestObject) (jobsapi.GetJobEfficiencyResponseObject, error) {
	if err := h.visible(ctx, r.JobId); err != nil {
		return nil, err
	}
	read := h.reports.Report
	if or(r.Params.Total, false) {
		read = h.history.Total
	}
	report, err := read(ctx, r.JobId)
	return jobsapi.GetJobEfficiency200JSONResponse(report), err
}

// GetJobSeries shows a job's series.
func (h jobHandlers) GetJobSeries(ctx context.Context, r jobsapi.GetJobSeriesRequestObject) (jobsapi.GetJobSeriesResponseObject, error) {
	if err := h.visible(ctx, r.JobId); err != nil {
		return nil, err
	}
	set, err := h.reports.Series(ctx, r.JobId, or(r.Params.Points, defaultPoints))
	return jobsapi.GetJobSeries200JSONResponse(set), err
}

func (h jobHandlers) visible(ctx context.Context, id uuid.UUID) error {
	v, err := viewer(ctx)
	if err != nil {
		return err
	}
	_, err = h.jobs.Visible(ctx, v, id)
	return err
}

// summaryDays is the time that a summary covers when nobody says otherwise.
const summaryDays = 30

// GetJobsSummary sums up the caller's jobs.
func (h jobHandlers) GetJobsSummary(ctx context.Context, r jobsapi.GetJobsSummaryRequestObject) (jobsapi.GetJobsSummaryResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	sel, err := h.selection(v, window{r.Params.From, r.Params.To, summaryDays}, or(r.Params.Cluster, ""))
	if err != nil {
		return nil, err
	}
	sum, err := h.reports.Summary(ctx, sel)
	if err != nil {
		return nil, err
	}
	out := jobsapi.GetJobsSummary200JSONResponse{
		From: sel.From, To: sel.To, Jobs: sum.Jobs, Started: sum.Started, Done: &sum.Done, Failed: &sum.Failed, Analysed: &sum.Analysed,
		CpuAllocatedCoreS: sum.CPUAllocatedCoreS, Aggregate: make(map[string]api.Metric, len(sum.Aggregate)),
	}
	for name, m := range sum.Aggregate {
		out.Aggregate[string(name)] = m
	}
	return out, h.worst(ctx, v, sum.Worst, &out)
}

func (h jobHandlers) worst(ctx context.Context, v jobs.Viewer, list []insight.Worst, out *jobsapi.GetJobsSummary200JSONResponse) error {
	out.Worst = out.Worst[:0:0]
	for _, w := range list {
		j, attempts, err := h.jobs.Get(ctx, v, w.ID)
		if apperr.Is(err, apperr.NotFound) { // gone meanwhile
			continue
		}
		if err != nil {
			return err
		}
		wired, err := h.wire(ctx, []jobs.Listed{{Job: j, Attempts: attempts}})
		if err != nil {
			return err
		}
		out.Worst = append(out.Worst, struct {
			Actions     *[]string `json:"actions,omitempty"`
			Job         api.Job   `json:"job"`
			Verdict     string    `json:"verdict"`
			WastedCoreS float64   `json:"wasted_core_s"`
		}{&w.Actions, wired[0], w.Verdict, w.WastedCoreS})
	}
	if out.Worst == nil {
		out.Worst = make([]struct {
			Actions     *[]string `json:"actions,omitempty"`
			Job         api.Job   `json:"job"`
			Verdict     string    `json:"verdict"`
			WastedCoreS float64   `json:"wasted_core_s"`
		}, 0)
	}
	return nil
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
