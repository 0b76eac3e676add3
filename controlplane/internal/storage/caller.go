package storage

import (
	"context"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Agent is an enrolled agent that acts for users.
type Agent struct {
	ID          string
	ClusterID   string
	OwnerUserID string // of a user's own agent: it acts for nobody else
	MayUpload   bool   // its token carries jobs:linked
}

// Caller is who asks for an upload: exactly one of both is set.
type Caller struct {
	UserID string
	Agent  *Agent
}

// authorise gives the owner of a job if the agent may send its outputs: the job ran on the agent's cluster and its owner is
// linked there, or is the owner of the agent. Any other job is not found, as if it did not exist.
func (s *Service) authorise(ctx context.Context, a Agent, jobID uuid.UUID) (userID string, err error) {
	if !a.MayUpload {
		return "", apperr.New(apperr.Forbidden, "this agent's token does not have the scope jobs:linked")
	}
	owner, err := s.Owners.JobOwner(ctx, jobID)
	if apperr.Is(err, apperr.NotFound) {
		return "", unknownJob()
	}
	if err != nil {
		return "", err
	}
	if owner.ClusterID != a.ClusterID {
		return "", unknownJob()
	}
	if a.OwnerUserID != "" {
		if owner.UserID != a.OwnerUserID {
			return "", unknownJob()
		}
		return owner.UserID, nil
	}
	if owner.UserID == "" || !owner.Linked {
		return "", apperr.New(apperr.Forbidden, "the owner of this job is not linked to an account on this cluster").
			WithHint("keep the files; the user runs `ergon link` on the login node")
	}
	return owner.UserID, nil
}

func unknownJob() error {
	return apperr.New(apperr.NotFound, "the server does not know this job").
		WithHint("send the job's first event to POST /agent/events, then ask again")
}

// uploadOf finds an upload that the caller may touch; any other is not found.
func (s *Service) uploadOf(ctx context.Context, c Caller, id uuid.UUID) (Upload, error) {
	u, err := s.Book.Upload(ctx, id)
	if apperr.Is(err, apperr.NotFound) {
		return Upload{}, unknownUpload()
	}
	if err != nil {
		return Upload{}, err
	}
	if c.Agent == nil {
		if c.UserID == "" || u.UserID != c.UserID {
			return Upload{}, unknownUpload()
		}
		return u, nil
	}
	if u.Job == nil {
		return Upload{}, unknownUpload()
	}
	owner, err := s.authorise(ctx, *c.Agent, u.Job.ID)
	if apperr.Is(err, apperr.NotFound) || err == nil && owner != u.UserID {
		return Upload{}, unknownUpload()
	}
	return u, err
}

func unknownUpload() error {
	return apperr.New(apperr.NotFound, "there is no such upload").WithHint("ask for a new one")
}
