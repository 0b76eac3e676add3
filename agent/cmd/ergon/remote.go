package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// remote is what the logged-in user may see at the server.
type remote struct {
	client *api.ClientWithResponses
	server string
}

// remote gives the server's view, or session.ErrNotLoggedIn.
func (a *app) remote(ctx context.Context) (*remote, error) {
	m, err := a.sessions()
	if err != nil {
		return nil, err
	}
	state, err := m.State(ctx)
	if err != nil {
		return nil, err
	}
	client, err := m.API(ctx)
	if err != nil {
		return nil, err
	}
	return &remote{client: client, server: state.Server}, nil
}

// localInstead says whether an error of the server's means that the local Slurm may answer in its place.
func localInstead(err error) bool {
	var problem *outbound.Problem
	return errors.Is(err, session.ErrNotLoggedIn) || errors.Is(err, outbound.ErrUnreachable) ||
		errors.As(err, &problem) && (problem.Temporary() || problem.Status == http.StatusUnauthorized)
}

// orLocal asks the local Slurm because the server's answer is empty or, by why, there is none. Where there is no Slurm either,
// what the server said stands; somebody who is not logged in is told of Slurm.
func orLocal[T any](said T, why error, ask func() (T, error)) (T, error) {
	found, err := ask()
	if !errors.Is(err, errNoSlurm) || errors.Is(why, session.ErrNotLoggedIn) {
		return found, err
	}
	return said, why
}

// errEmpty says that an answer had the right status and no content.
var errEmpty = errors.New("the server's answer was empty; is this an Ergon server?")

// answer turns the outcome of one call into its content.
func answer[T any](resp *http.Response, problem *api.Problem, body *T) (*T, error) {
	if err := outbound.Check(resp, problem, http.StatusOK); err != nil {
		return nil, err
	}
	if body == nil {
		return nil, errEmpty
	}
	return body, nil
}

// pageSize is how many rows one call asks for.
const pageSize = 500

// jobs lists jobs, at most limit, newest first.
func (r *remote) jobs(ctx context.Context, params api.ListJobsParams, limit int) ([]api.Job, error) {
	var all []api.Job
	size := min(limit, pageSize)
	params.Limit = &size
	for {
		resp, err := r.client.ListJobsWithResponse(ctx, &params)
		if err != nil {
			return nil, outbound.Explain(r.server, err)
		}
		page, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Jobs...)
		if page.NextCursor == nil || *page.NextCursor == "" || len(page.Jobs) == 0 || len(all) >= limit {
			return all[:min(len(all), limit)], nil
		}
		params.Cursor = page.NextCursor
	}
}

func (r *remote) job(ctx context.Context, id uuid.UUID) (*api.Job, error) {
	resp, err := r.client.GetJobWithResponse(ctx, id)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

// report gives a job's report with its series where there are any; nil without an error when the job is not analysed.
func (r *remote) report(ctx context.Context, id uuid.UUID) (*efficiency.Report, error) {
	report, err := r.efficiency(ctx, id, false)
	if err != nil || report == nil || report.Series != nil {
		return report, err
	}
	return report, r.addSeries(ctx, id, report)
}

// total is report for the whole of a heterogeneous job, with its components and without series.
func (r *remote) total(ctx context.Context, id uuid.UUID) (*efficiency.Report, error) {
	return r.efficiency(ctx, id, true)
}

func (r *remote) efficiency(ctx context.Context, id uuid.UUID, total bool) (*efficiency.Report, error) {
	params := api.GetJobEfficiencyParams{}
	if total {
		params.Total = &total
	}
	resp, err := r.client.GetJobEfficiencyWithResponse(ctx, id, &params)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	report, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	var problem *outbound.Problem
	if errors.As(err, &problem) && problem.Code == api.NotAnalysed {
		return nil, nil //nolint:nilnil // said above
	}
	return report, err
}

// addSeries adds the time series; a job without profiles has none.
func (r *remote) addSeries(ctx context.Context, id uuid.UUID, to *efficiency.Report) error {
	resp, err := r.client.GetJobSeriesWithResponse(ctx, id, &api.GetJobSeriesParams{})
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	series, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	var problem *outbound.Problem
	if errors.As(err, &problem) && (problem.Status == http.StatusNotFound || problem.Code == api.NotAnalysed) {
		return nil
	}
	to.Series = series
	return err
}

// array describes the analysed tasks of the array of a job; nil without an error when none is.
func (r *remote) array(ctx context.Context, id uuid.UUID) (*api.ArraySummary, error) {
	resp, err := r.client.GetJobArrayWithResponse(ctx, id)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	summary, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	var problem *outbound.Problem
	if errors.As(err, &problem) && (problem.Status == http.StatusNotFound || problem.Code == api.NotAnalysed) || err == nil && summary.Tasks == 0 {
		return nil, nil //nolint:nilnil // said above
	}
	return summary, err
}

func (r *remote) events(ctx context.Context, id uuid.UUID) ([]api.JobEvent, error) {
	var all []api.JobEvent
	size := pageSize
	params := api.ListJobEventsParams{Limit: &size}
	for {
		resp, err := r.client.ListJobEventsWithResponse(ctx, id, &params)
		if err != nil {
			return nil, outbound.Explain(r.server, err)
		}
		page, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Events...)
		if page.NextCursor == nil || *page.NextCursor == "" || len(page.Events) == 0 {
			return all, nil
		}
		params.Cursor = page.NextCursor
	}
}

// errEndless says that a server's list does not end.
var errEndless = errors.New("the server's list of files does not end; tell your administrators")

// files hands each stored object to each, page by page.
func (r *remote) files(ctx context.Context, params api.ListFilesParams, each func(api.FileObject) error) error {
	size := pageSize
	params.Limit = &size
	seen := map[string]bool{}
	for {
		resp, err := r.client.ListFilesWithResponse(ctx, &params)
		if err != nil {
			return outbound.Explain(r.server, err)
		}
		page, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
		if err != nil {
			return err
		}
		for _, f := range page.Files {
			if err := each(f); err != nil {
				return err
			}
		}
		next := deref(page.NextCursor)
		if next == "" || len(page.Files) == 0 {
			return nil
		}
		if seen[next] || len(seen) > maxPages {
			return errEndless
		}
		seen[next] = true
		params.Cursor = page.NextCursor
	}
}

// maxPages is how many pages of files one command reads: 5 million files.
const maxPages = 10_000

// summary is that of one cluster, or of all with "".
func (r *remote) summary(ctx context.Context, from, to time.Time, cluster string) (*api.JobsSummary, error) {
	params := api.GetJobsSummaryParams{From: &from, To: &to}
	if cluster != "" {
		params.Cluster = &cluster
	}
	resp, err := r.client.GetJobsSummaryWithResponse(ctx, &params)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

func (r *remote) byID(ctx context.Context, id uuid.UUID) (*api.FileObject, error) {
	resp, err := r.client.GetFileWithResponse(ctx, id)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

func (r *remote) remove(ctx context.Context, f api.FileObject) error {
	resp, err := r.client.DeleteFileWithResponse(ctx, f.Id)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent); err != nil {
		return fmt.Errorf("deleting %s: %w", f.Name, err)
	}
	return nil
}

func (r *remote) quota(ctx context.Context) (*api.Quota, error) {
	resp, err := r.client.GetMeWithResponse(ctx)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	me, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	if err != nil {
		return nil, err
	}
	return &me.Quota, nil
}
