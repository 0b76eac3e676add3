package httpapi

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/jobsapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/advice"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// JobHistory is package insight as the routes about many jobs need it.
type JobHistory interface {
	Findings(ctx context.Context, s insight.Selection) (insight.Findings, error)
	Advise(ctx context.Context, target advice.Target, s insight.Selection) (advice.Advice, error)
	AdviseJob(ctx context.Context, id uuid.UUID, s insight.Selection) (advice.Advice, error)
	Array(ctx context.Context, id uuid.UUID) (efficiency.ArraySummary, error)
	Total(ctx context.Context, id uuid.UUID) (efficiency.Report, error)
	Results(ctx context.Context, id uuid.UUID) (insight.Footprint, []insight.Output, error)
}

// GetFindings adds up findings by rule.
func (h jobHandlers) GetFindings(ctx context.Context, r jobsapi.GetFindingsRequestObject) (jobsapi.GetFindingsResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	sel, err := h.selection(v, window{r.Params.From, r.Params.To, summaryDays}, or(r.Params.Cluster, ""))
	if err != nil {
		return nil, err
	}
	if others := or(r.Params.UnixUser, ""); others != "" || or(r.Params.AllUsers, false) {
		if !v.All {
			return nil, apperr.New(apperr.Forbidden, "only operators and admins see the jobs of other users")
		}
		sel.UserID, sel.UnixUser = uuid.Nil, others
	}
	found, err := h.history.Findings(ctx, sel)
	if err != nil {
		return nil, err
	}
	return jobsapi.GetFindings200JSONResponse{
		From: sel.From, To: sel.To, Jobs: found.Jobs, Started: found.Started, Analysed: found.Analysed, Findings: found.Rules,
	}, nil
}

// window is a time as a call gives it, with the days that it covers when nobody says otherwise.
type window struct {
	from, to *time.Time
	days     int
}

// selection selects the viewer's own jobs.
func (h jobHandlers) selection(v jobs.Viewer, w window, cluster string) (insight.Selection, error) {
	cluster, err := onCluster(v, cluster)
	if err != nil {
		return insight.Selection{}, err
	}
	sel := insight.Selection{UserID: v.UserID, Cluster: cluster, To: or(w.to, h.now().UTC())}
	sel.From = or(w.from, sel.To.AddDate(0, 0, -w.days))
	if !sel.From.Before(sel.To) {
		return sel, apperr.New(apperr.InvalidRequest, "from must lie before to")
	}
	return sel, nil
}

// onCluster keeps a login that reaches one cluster to it.
func onCluster(v jobs.Viewer, asked string) (string, error) {
	if v.Cluster != "" && asked != "" && asked != v.Cluster {
		return "", apperr.New(apperr.Forbidden, "this login reaches only the cluster "+v.Cluster).WithHint("log in with `ergon login`")
	}
	if v.Cluster != "" {
		return v.Cluster, nil
	}
	return asked, nil
}

// AdviseScript compares what a script asks for with the caller's history.
func (h jobHandlers) AdviseScript(ctx context.Context, r jobsapi.AdviseScriptRequestObject) (jobsapi.AdviseScriptResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	sel, err := h.selection(v, window{r.Params.From, nil, insight.AdviceDays}, r.Body.Cluster)
	if err != nil {
		return nil, err
	}
	if !(workprint.Text{Digest: r.Body.Script}).Valid() {
		r.Body.Script, r.Body.Numbers = "", nil // of an older client: not known, rather than another script
	}
	out, err := h.history.Advise(ctx, *r.Body, sel)
	return jobsapi.AdviseScript200JSONResponse(out), err
}

// AdviseJob compares a job with the history of its user.
func (h jobHandlers) AdviseJob(ctx context.Context, r jobsapi.AdviseJobRequestObject) (jobsapi.AdviseJobResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	j, err := h.jobs.Visible(ctx, v, r.JobId)
	if err != nil {
		return nil, err
	}
	to := h.now().UTC()
	sel := insight.SelectionOf(j.UserID, j.UnixUser, j.Cluster, or(r.Params.From, to.AddDate(0, 0, -insight.AdviceDays)), to)
	if sel.UserID == uuid.Nil && sel.UnixUser == "" {
		return nil, apperr.New(apperr.NotAnalysed, "accounting does not say whose job this is, so it has no history")
	}
	out, err := h.history.AdviseJob(ctx, r.JobId, sel)
	return jobsapi.AdviseJob200JSONResponse(out), err
}

// GetJobArray describes an array.
func (h jobHandlers) GetJobArray(ctx context.Context, r jobsapi.GetJobArrayRequestObject) (jobsapi.GetJobArrayResponseObject, error) {
	if err := h.visible(ctx, r.JobId); err != nil {
		return nil, err
	}
	out, err := h.history.Array(ctx, r.JobId)
	return jobsapi.GetJobArray200JSONResponse(out), err
}

// ListJobResults says what the stored outputs took.
func (h jobHandlers) ListJobResults(ctx context.Context, r jobsapi.ListJobResultsRequestObject) (jobsapi.ListJobResultsResponseObject, error) {
	if err := h.visible(ctx, r.JobId); err != nil {
		return nil, err
	}
	job, outputs, err := h.history.Results(ctx, r.JobId)
	if err != nil {
		return nil, err
	}
	out := jobsapi.ListJobResults200JSONResponse{Job: wireFootprint(job)}
	out.Results = slices.Grow(out.Results, max(1, len(outputs))) // no result is an empty list, not null
	for _, o := range outputs {
		out.Results = append(out.Results, struct {
			Footprint api.Footprint `json:"footprint"`
			Id        uuid.UUID     `json:"id"`
			Name      string        `json:"name"`
			Size      int64         `json:"size"`
		}{wireFootprint(o.Footprint), o.ID, o.Name, o.SizeBytes})
	}
	return out, nil
}

func wireFootprint(f insight.Footprint) api.Footprint {
	return api.Footprint{EnergyJoule: f.EnergyJ, Cost: f.Cost, CostUnit: text(f.CostUnit), CarbonGram: f.CarbonG}
}

// defaultUsage is what usage tells when nobody says otherwise; the contract names the same.
const defaultUsage = "job_count,cpu_hours,gpu_hours,energy_kwh,cost,carbon_kg,cpu_ledger"

// GetUsage sums up jobs by one dimension.
func (h jobHandlers) GetUsage(ctx context.Context, r jobsapi.GetUsageRequestObject) (jobsapi.GetUsageResponseObject, error) {
	v, err := viewer(ctx)
	if err != nil {
		return nil, err
	}
	q, metrics, err := usageQuery(v, r.Params)
	if err != nil {
		return nil, err
	}
	u, err := usageOf(ctx, h.usage, q, metrics)
	return jobsapi.GetUsage200JSONResponse(u), err
}

func usageOf(ctx context.Context, src analytics.Source, q analytics.Query, metrics []analytics.Metric) (api.Usage, error) {
	groups, err := analytics.Usage(ctx, src, q)
	if err != nil {
		return api.Usage{}, err
	}
	out := api.Usage{By: string(q.By), Metrics: make([]string, len(metrics)), Notes: []string{}}
	for i, m := range metrics {
		out.Metrics[i] = m.Name
	}
	out.Notes = append(out.Notes, analytics.Missing(groups)...)
	out.Groups = []usageGroup{} // no group is an empty list, not null
	for _, g := range analytics.Shown(groups) {
		out.Groups = append(out.Groups, wireGroup(g, metrics))
	}
	return out, nil
}

func usageQuery(v jobs.Viewer, p api.GetUsageParams) (q analytics.Query, metrics []analytics.Metric, err error) {
	if q, metrics, err = askedUsage(or(p.By, "month"), p.Metrics); err != nil {
		return q, nil, err
	}
	if q.Location, err = time.LoadLocation(or(p.Timezone, "UTC")); err != nil {
		return q, nil, apperr.New(apperr.InvalidRequest, "there is no such time zone").WithHint("a name such as Europe/Berlin or UTC")
	}
	if q.Cluster, err = onCluster(v, or(p.Cluster, "")); err != nil {
		return q, nil, err
	}
	q.From, q.To, q.User = p.From, p.To, v.UserID.String()
	if or(p.AllUsers, false) {
		if !v.All {
			return q, nil, apperr.New(apperr.Forbidden, "only operators and admins see the usage of all users")
		}
		q.User = ""
	}
	return q, metrics, nil
}

// askedUsage reads what to sum up by what, and what has to be read for it.
func askedUsage(by string, names *string) (q analytics.Query, metrics []analytics.Metric, err error) {
	if q.By, err = analytics.ParseDimension(by); err != nil {
		return q, nil, err
	}
	if metrics, err = analytics.ParseMetrics(or(names, defaultUsage)); err != nil {
		return q, nil, err
	}
	q.Energy, q.Ledger = analytics.NeedsEnergy(metrics), analytics.NeedsLedger(metrics)
	return q, metrics, nil
}

type usageGroup = struct {
	Key    *string             `json:"key"`
	Values map[string]*float64 `json:"values"`
}

func wireGroup(g analytics.Group, metrics []analytics.Metric) usageGroup {
	out := usageGroup{Values: make(map[string]*float64, len(metrics))}
	if g.Key != nil {
		key := fmt.Sprint(g.Key)
		out.Key = &key
	}
	for _, m := range metrics {
		out.Values[m.Name] = number(m.Value(g.Sums))
	}
	return out
}

func number(v any) *float64 {
	var f float64
	switch n := v.(type) {
	case float64:
		f = n
	case int64:
		f = float64(n)
	default:
		return nil
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}
