package httpapi

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// AgentUploads serves the upload routes of the tag agent.
type AgentUploads struct{ uploads Uploads }

// NewAgentUploads makes the handler of presignJobUploads.
func NewAgentUploads(uploads Uploads) AgentUploads { return AgentUploads{uploads} }

// PresignJobUploads answers each entry with a ticket; one that is refused carries a problem document.
func (a AgentUploads) PresignJobUploads(ctx context.Context, r agentapi.PresignJobUploadsRequestObject) (agentapi.PresignJobUploadsResponseObject, error) {
	agent, err := principal.AgentFrom(ctx)
	if err != nil {
		return nil, err
	}
	entries := make([]storage.Entry, 0, len(r.Body.Entries))
	for _, e := range r.Body.Entries {
		sum, err := digest(e.Sha256)
		if err != nil {
			return nil, err
		}
		entries = append(entries, storage.Entry{
			Path: e.Path, Class: storage.Class(e.Class), SizeBytes: e.Size, SHA256: sum, ContentType: value(e.ContentType),
		})
	}
	tickets, err := a.uploads.PresignJob(ctx, agentOf(agent), storage.JobRef{ID: r.JobId, Attempt: r.Body.Attempt}, entries)
	if err != nil {
		return nil, err
	}
	return wireTickets(ctx, tickets), nil
}
