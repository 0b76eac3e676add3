package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

type agentJobs struct {
	jobs     *jobs.Service
	objector *jobs.Objector
}

// NewAgentJobs serves what agents report about jobs, and what people without an account say of theirs.
func NewAgentJobs(service *jobs.Service, objector *jobs.Objector) AgentJobs {
	return agentJobs{service, objector}
}

func (h agentJobs) reporter(ctx context.Context) (jobs.Reporter, jobs.Cluster, error) {
	p, err := principal.AgentFrom(ctx)
	if err != nil {
		return jobs.Reporter{}, jobs.Cluster{}, err
	}
	who, err := jobs.ReporterOf(p)
	if err != nil {
		return who, jobs.Cluster{}, err
	}
	c, err := h.jobs.Cluster(ctx, p.ClusterID)
	return who, c, err
}

// PostEvents takes events.
func (h agentJobs) PostEvents(ctx context.Context, r agentapi.PostEventsRequestObject) (agentapi.PostEventsResponseObject, error) {
	who, cluster, err := h.reporter(ctx)
	if err != nil {
		return nil, err
	}
	reports := make([]jobs.Report, 0, len(r.Body.Events))
	for _, e := range r.Body.Events {
		rep, err := reportOf(e)
		if err != nil {
			return nil, err
		}
		reports = append(reports, rep)
	}
	outcomes, err := h.jobs.Events(ctx, who, cluster, reports)
	if err != nil {
		return nil, err
	}
	out := agentapi.PostEvents200JSONResponse{Results: make([]api.EventResult, 0, len(outcomes))}
	for _, o := range outcomes {
		out.Results = append(out.Results, api.EventResult{EventId: o.EventID, Status: api.EventResultStatus(o.Status), Detail: text(o.Detail)})
	}
	return out, nil
}

func reportOf(e api.AgentEvent) (jobs.Report, error) {
	rep := jobs.Report{
		EventID: e.EventId, JobID: e.JobId, Seq: e.Seq, Type: string(e.Type), At: e.At, Message: or(e.Message, ""), Manifest: []byte("[]"), Told: or(e.Told, false), Job: snapshotOf(e.Job),
	}
	if e.Manifest != nil {
		var err error
		if rep.Manifest, err = json.Marshal(*e.Manifest); err != nil {
			return rep, fmt.Errorf("writing a manifest: %w", err)
		}
	}
	return rep, nil
}

func snapshotOf(s api.JobSnapshot) jobs.Snapshot {
	return jobs.Snapshot{
		Attempt: int(s.Attempt), SlurmJobID: s.SlurmJobId, JobIDRaw: s.JobIdRaw, SubmissionID: s.SubmissionId, UID: s.Uid, UnixUser: s.UnixUser,
		Name: or(s.Name, ""), Account: or(s.Account, ""), Partition: or(s.Partition, ""), QOS: or(s.Qos, ""), State: string(s.State), SlurmState: s.SlurmState,
		Reason: or(s.Reason, ""), ExitCode: int64Of(s.ExitCode), ExitSignal: int64Of(s.ExitSignal), Submit: s.SubmitAt.Unix(), Start: unixOf(s.StartAt), End: unixOf(s.EndAt),
		Nodes: int64Of(s.Nodes), CPUs: int64Of(s.Cpus), NodeList: or(s.NodeList, ""), UploadPhase: string(or(s.UploadPhase, "")),
		Script: s.Script, InputBytes: or(s.InputBytes, 0),
	}
}

func int64Of(n *int32) *int64 {
	if n == nil {
		return nil
	}
	v := int64(*n)
	return &v
}

func unixOf(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	v := t.Unix()
	return &v
}

// PostAccounting takes rows of sacct, or with the time of sampling rows of sstat.
func (h agentJobs) PostAccounting(ctx context.Context, r agentapi.PostAccountingRequestObject) (agentapi.PostAccountingResponseObject, error) {
	who, cluster, err := h.reporter(ctx)
	if err != nil {
		return nil, err
	}
	columns := slurmfmt.NewColumns(jobs.CanonicalColumns(r.Body.Columns)...)
	if columns.Index("JobID") < 0 {
		return nil, apperr.New(apperr.InvalidRequest, "accounting needs the column JobID")
	}
	rows := make([]*slurmfmt.Record, 0, len(r.Body.Rows))
	for _, fields := range r.Body.Rows {
		rows = append(rows, slurmfmt.NewRecord(columns, fields, nil))
	}
	var res jobs.Result
	if at := r.Body.SampledAt; at != nil {
		res, err = h.jobs.Samples(ctx, who, jobs.SampleBatch{Cluster: cluster, Rows: rows, At: *at})
	} else {
		res, err = h.jobs.Accounting(ctx, who, jobs.Batch{Cluster: cluster, Rows: rows})
	}
	if err != nil {
		return nil, err
	}
	return agentapi.PostAccounting200JSONResponse(accountingResult(res)), nil
}

func accountingResult(res jobs.Result) api.AccountingResult {
	out := api.AccountingResult{Jobs: res.Jobs, Rows: res.Rows, Unchanged: res.Unchanged + res.Summed, Refused: res.Refused + res.Strangers}
	if len(res.Bad) == 0 {
		return out
	}
	bad := make([]struct {
		Reason string `json:"reason"`
		Row    int    `json:"row"`
	}, len(res.Bad))
	for i, b := range res.Bad {
		bad[i].Row, bad[i].Reason = b.Row, b.Reason
	}
	out.Bad = &bad
	return out
}

// PutNodes takes what the cluster says about itself.
func (h agentJobs) PutNodes(ctx context.Context, r agentapi.PutNodesRequestObject) (agentapi.PutNodesResponseObject, error) {
	who, cluster, err := h.reporter(ctx)
	if err != nil {
		return nil, err
	}
	if who.Owner != nil {
		return nil, apperr.New(apperr.Forbidden, "only an agent of the site describes the cluster; an agent of a user sees its own jobs alone")
	}
	facts, err := json.Marshal(r.Body)
	if err != nil {
		return nil, fmt.Errorf("writing the cluster's facts: %w", err)
	}
	if err := h.jobs.PutFacts(ctx, cluster.ID, r.Body.SlurmVersion, facts); err != nil {
		return nil, err
	}
	return agentapi.PutNodes204Response{}, nil
}
