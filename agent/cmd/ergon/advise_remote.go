package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/advice"
	"github.com/ergon-hpc/ergon/shared/api"
)

// compare asks the server, and the local accounting where the server cannot be asked or knows no runs of this work.
func (a *app) compare(ctx context.Context, name string, script *batchScript, f adviseFlags) (advised, error) {
	out, why := a.remoteAdvice(ctx, name, script, f)
	if why == nil && out.Runs > 0 {
		return out, nil
	}
	if why != nil && !localInstead(why) && !errors.Is(why, errElsewhere) {
		return advised{}, why
	}
	out, err := orLocal(out, why, func() (advised, error) { return a.localAdvice(ctx, name, script, f) })
	if errors.Is(err, errElsewhere) {
		err = unknownJobs([]string{name})
	}
	return out, err
}

// errElsewhere says that the server does not know the job, or has not analysed it: the local Slurm may.
var errElsewhere = errors.New("the server cannot say anything about this job")

func (a *app) remoteAdvice(ctx context.Context, name string, script *batchScript, f adviseFlags) (advised, error) {
	from, err := parseSince(f.since, a.Now())
	if err != nil {
		return advised{}, err
	}
	r, err := a.remote(ctx)
	if err != nil {
		return advised{}, err
	}
	out := advised{Source: r.server}
	var found *advice.Advice
	if script != nil {
		target := script.target(name)
		target.Cluster = f.cluster
		found, err = r.adviseScript(ctx, target, from)
	} else {
		found, err = r.adviseNamed(ctx, name, f.cluster, from)
	}
	if err != nil {
		return advised{}, err
	}
	out.Advice = *found
	return out, nil
}

// adviseNamed is the advice about a job of that name. A task stands for its array.
func (r *remote) adviseNamed(ctx context.Context, text, cluster string, from time.Time) (*advice.Advice, error) {
	name, err := parseJobName(text)
	if err != nil {
		return nil, usageError{errors.New(text + " is neither a job id nor a file that exists")}
	}
	jobs, err := r.resolve(ctx, name, cluster)
	if err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, errElsewhere
	}
	found, err := r.adviseJob(ctx, jobs[0].Id, from)
	var problem *outbound.Problem
	if errors.As(err, &problem) && problem.Code == api.NotAnalysed {
		return nil, errElsewhere
	}
	return found, err
}

func (r *remote) adviseJob(ctx context.Context, id uuid.UUID, from time.Time) (*advice.Advice, error) {
	resp, err := r.client.AdviseJobWithResponse(ctx, id, &api.AdviseJobParams{From: &from})
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

func (r *remote) adviseScript(ctx context.Context, target advice.Target, from time.Time) (*advice.Advice, error) {
	resp, err := r.client.AdviseScriptWithResponse(ctx, &api.AdviseScriptParams{From: &from}, target)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

// findings are those of one cluster, or of all with "".
func (r *remote) findings(ctx context.Context, from, to time.Time, cluster string) (*api.JobFindings, error) {
	params := api.GetFindingsParams{From: &from, To: &to}
	if cluster != "" {
		params.Cluster = &cluster
	}
	resp, err := r.client.GetFindingsWithResponse(ctx, &params)
	if err != nil {
		return nil, outbound.Explain(r.server, err)
	}
	return answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}
