package jobs

import (
	"context"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Viewer is who asks, and whose jobs it may see.
type Viewer struct {
	UserID  uuid.UUID
	All     bool   // operator or admin
	Cluster string // name of the only cluster that the login reaches; empty: all
}

// ViewerOf is the viewer that a verified user is.
func ViewerOf(p principal.Principal) (Viewer, error) {
	id, err := uuid.Parse(p.ID)
	if err != nil {
		return Viewer{}, apperr.Wrap(apperr.Unauthorized, "this token names no account", err)
	}
	return Viewer{UserID: id, All: p.SeesAllJobs(), Cluster: p.Cluster}, nil
}

func notFound() error {
	return apperr.New(apperr.NotFound, "no such job of yours").WithHint("`ergon jobs` lists your jobs")
}

// Get gives a job that the viewer may see; anything else does not exist.
func (s *Service) Get(ctx context.Context, v Viewer, id uuid.UUID) (Job, []Attempt, error) {
	j, err := s.Visible(ctx, v, id)
	if err != nil {
		return Job{}, nil, err
	}
	attempts, err := s.reader.AttemptsOf(ctx, []uuid.UUID{id})
	return j, attempts[id], err
}

// Visible gives a job without its attempts.
func (s *Service) Visible(ctx context.Context, v Viewer, id uuid.UUID) (Job, error) {
	j, err := s.reader.JobByID(ctx, id)
	if apperr.Is(err, apperr.NotFound) {
		return Job{}, notFound()
	}
	if err != nil {
		return Job{}, err
	}
	if !v.All && (j.UserID == nil || *j.UserID != v.UserID) || v.Cluster != "" && j.Cluster != v.Cluster {
		return Job{}, notFound()
	}
	return j, nil
}

// Listed is a job of a list with its attempts.
type Listed struct {
	Job      Job
	Attempts []Attempt
}

// List gives one page of the viewer's jobs, or of everybody's when allUsers is asked for and allowed; next is the cursor
// of the page after it, nil at the end.
func (s *Service) List(ctx context.Context, v Viewer, f Filter, allUsers bool, page Page) (out []Listed, next *JobCursor, err error) {
	if allUsers && !v.All {
		return nil, nil, apperr.New(apperr.Forbidden, "only operators and admins see the jobs of all users")
	}
	if !allUsers {
		f.UserID = &v.UserID
	}
	if v.Cluster != "" {
		if f.Cluster != "" && f.Cluster != v.Cluster {
			return nil, nil, nil
		}
		f.Cluster = v.Cluster
	}
	limit := page.Limit
	page.Limit++
	found, err := s.reader.ListJobs(ctx, f, page)
	if err != nil {
		return nil, nil, err
	}
	if len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		next = &JobCursor{SubmitAt: last.SubmitAt, ID: last.ID}
	}
	out, err = s.withAttempts(ctx, found)
	return out, next, err
}

func (s *Service) withAttempts(ctx context.Context, found []Job) ([]Listed, error) {
	ids := make([]uuid.UUID, len(found))
	for i, j := range found {
		ids[i] = j.ID
	}
	attempts, err := s.reader.AttemptsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Listed, len(found))
	for i, j := range found {
		out[i] = Listed{j, attempts[j.ID]}
	}
	return out, nil
}

// EventsOf gives a page of what happened to a job, oldest first.
func (s *Service) EventsOf(ctx context.Context, v Viewer, id uuid.UUID, after EventCursor, limit int) ([]Event, *EventCursor, error) {
	if _, err := s.Visible(ctx, v, id); err != nil {
		return nil, nil, err
	}
	found, err := s.reader.EventsOf(ctx, id, after, limit+1)
	if err != nil || len(found) <= limit {
		return found, nil, err
	}
	last := found[limit-1]
	return found[:limit], &EventCursor{Seq: last.Seq, ID: last.ID, Set: true}, nil
}
