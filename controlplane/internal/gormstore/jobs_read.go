package gormstore

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

const selectJobs = "SELECT j.*, c.name AS cluster_name FROM jobs j JOIN clusters c ON c.id = j.cluster_id"

// JobByID is jobs.Reader.JobByID.
func (g *Jobs) JobByID(ctx context.Context, id uuid.UUID) (jobs.Job, error) {
	var row jobRow
	res := g.s.q(ctx).Raw(selectJobs+" WHERE j.id = ?", id.String()).Scan(&row)
	if res.Error == nil && res.RowsAffected == 0 {
		return jobs.Job{}, mapErr(gorm.ErrRecordNotFound)
	}
	if res.Error != nil {
		return jobs.Job{}, mapErr(fmt.Errorf("reading a job: %w", res.Error))
	}
	return row.domain()
}

// ListJobs is jobs.Reader.ListJobs.
func (g *Jobs) ListJobs(ctx context.Context, f jobs.Filter, page jobs.Page) ([]jobs.Job, error) {
	q := g.s.q(ctx).Table("jobs AS j").Select("j.*, c.name AS cluster_name").Joins("JOIN clusters c ON c.id = j.cluster_id")
	if f.UserID != nil {
		q = q.Where("j.user_id = ?", f.UserID.String())
	}
	if f.Cluster != "" {
		q = q.Where("c.name = ?", f.Cluster)
	}
	if f.State != slurmfmt.StateUnknown {
		q = q.Where("j.state = ?", string(f.State))
	}
	if f.SlurmJobID != "" {
		q = q.Where("(j.slurm_job_id = ? OR j.array_job_id = ? AND j.array_job_id <> '')", f.SlurmJobID, f.SlurmJobID)
	}
	if f.From != nil {
		q = q.Where("j.submit_at >= ?", At(*f.From))
	}
	if f.To != nil {
		q = q.Where("j.submit_at < ?", At(*f.To))
	}
	if b := page.Before; b != nil {
		q = q.Where("(j.submit_at < ? OR j.submit_at = ? AND j.id < ?)", At(b.SubmitAt), At(b.SubmitAt), b.ID.String())
	}
	var rows []jobRow
	if err := q.Order("j.submit_at DESC, j.id DESC").Limit(page.Limit).Scan(&rows).Error; err != nil {
		return nil, mapErr(fmt.Errorf("listing jobs: %w", err))
	}
	return domainJobs(rows)
}

func domainJobs(rows []jobRow) ([]jobs.Job, error) {
	out := make([]jobs.Job, 0, len(rows))
	for _, r := range rows {
		j, err := r.domain()
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// AttemptsOf is jobs.Reader.AttemptsOf.
func (g *Jobs) AttemptsOf(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID][]jobs.Attempt, error) {
	out := make(map[uuid.UUID][]jobs.Attempt, len(ids))
	for part := range chunks(texts(ids)) {
		var rows []attemptRow
		if err := g.s.q(ctx).Where("job_id IN ?", part).Order("job_id, attempt").Find(&rows).Error; err != nil {
			return nil, mapErr(fmt.Errorf("reading attempts: %w", err))
		}
		for _, r := range rows {
			id, err := uuid.Parse(r.JobID)
			if err != nil {
				return nil, fmt.Errorf("reading attempts: %w", err)
			}
			out[id] = append(out[id], r.domain())
		}
	}
	return out, nil
}

type eventRow struct {
	EventID    string
	JobID      string
	AgentID    string
	Seq        int64
	Type       string
	State      string
	SlurmState string
	Message    string
	Manifest   string
	At         Time
	ReceivedAt Time
}

func (eventRow) TableName() string { return "job_events" }

// EventsOf is jobs.Reader.EventsOf.
func (g *Jobs) EventsOf(ctx context.Context, id uuid.UUID, after jobs.EventCursor, limit int) ([]jobs.Event, error) {
	q := g.s.q(ctx).Where("job_id = ?", id.String())
	if after.Set {
		q = q.Where("(seq > ? OR seq = ? AND event_id > ?)", after.Seq, after.Seq, after.ID.String())
	}
	var rows []eventRow
	if err := q.Order("seq, event_id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapErr(fmt.Errorf("reading events: %w", err))
	}
	out := make([]jobs.Event, 0, len(rows))
	for _, r := range rows {
		event, err := uuid.Parse(r.EventID)
		if err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		out = append(out, jobs.Event{
			ID: event, JobID: id, AgentID: r.AgentID, Seq: r.Seq, Type: r.Type, State: slurmfmt.APIState(r.State), SlurmState: r.SlurmState,
			Message: r.Message, Manifest: []byte(r.Manifest), At: r.At.Time(), ReceivedAt: r.ReceivedAt.Time(),
		})
	}
	return out, nil
}
