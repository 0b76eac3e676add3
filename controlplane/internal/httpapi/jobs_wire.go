package httpapi

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// wire gives jobs their wire form, with the headline metrics of those that are analysed.
func (h jobHandlers) wire(ctx context.Context, list []jobs.Listed) ([]api.Job, error) {
	ids := make([]uuid.UUID, len(list))
	for i, l := range list {
		ids[i] = l.Job.ID
	}
	metrics, err := h.reports.Headlines(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]api.Job, 0, len(list))
	for _, l := range list {
		j := wireJob(l.Job, l.Attempts)
		m := metrics[l.Job.ID]
		j.CpuEfficiency, j.MemoryEfficiency, j.TimeEfficiency = metric(m, efficiency.CPUEfficiency), metric(m, efficiency.MemoryEfficiency), metric(m, efficiency.TimeEfficiency)
		out = append(out, j)
	}
	return out, nil
}

func metric(m map[efficiency.MetricName]efficiency.Metric, name efficiency.MetricName) *api.Metric {
	v, ok := m[name]
	if !ok {
		return nil
	}
	return &v
}

func wireJob(j jobs.Job, attempts []jobs.Attempt) api.Job {
	out := api.Job{
		Id: j.ID, Cluster: j.Cluster, SlurmJobId: j.SlurmJobID, JobIdRaw: text(j.JobIDRaw), SubmissionId: j.SubmissionID, ArrayJobId: text(j.ArrayJobID),
		UserId: j.UserID, UnixUser: text(j.UnixUser), Name: text(j.Name), Account: text(j.Account), Partition: text(j.Partition), Qos: text(j.QOS),
		State: api.JobState(j.State), SlurmState: j.SlurmState, Reason: text(j.Reason), ExitCode: int32Of(j.ExitCode), ExitSignal: int32Of(j.ExitSignal),
		SubmitAt: j.SubmitAt, StartAt: j.StartAt, EndAt: j.EndAt, ElapsedS: j.ElapsedS, Nodes: int32Of(j.Nodes), Cpus: int32Of(j.CPUs),
		OutputsPrefix: text(j.Outputs), UpdatedAt: j.UpdatedAt, Attempts: make([]api.Attempt, 0, len(attempts)),
	}
	if j.UploadPhase != "" {
		phase := api.UploadPhase(j.UploadPhase)
		out.UploadPhase = &phase
	}
	for _, a := range attempts {
		out.Attempts = append(out.Attempts, api.Attempt{
			Attempt: int32(a.Number), SlurmState: a.SlurmState, SubmitAt: a.SubmitAt, StartAt: a.StartAt, EndAt: a.EndAt, ElapsedS: a.ElapsedS,
		})
	}
	return out
}

func wireEvent(e jobs.Event) (api.JobEvent, error) {
	out := api.JobEvent{
		EventId: e.ID, Seq: e.Seq, Type: e.Type, At: e.At, ReceivedAt: &e.ReceivedAt, State: api.JobState(e.State), SlurmState: e.SlurmState, Message: text(e.Message),
	}
	var manifest []api.ManifestEntry
	if err := json.Unmarshal(e.Manifest, &manifest); err != nil {
		return out, fmt.Errorf("reading a stored manifest: %w", err)
	}
	if len(manifest) > 0 {
		out.Manifest = &manifest
	}
	return out, nil
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func int32Of(n *int64) *int32 {
	if n == nil || int64(int32(*n)) != *n {
		return nil
	}
	v := int32(*n)
	return &v
}
