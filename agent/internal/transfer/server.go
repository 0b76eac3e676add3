package transfer

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Server is what transfers ask of the control plane. *Remote is one.
type Server interface {
	Presign(ctx context.Context, want api.UploadRequest) (*api.UploadTicket, error)
	Status(ctx context.Context, upload uuid.UUID) (*api.UploadStatus, error)
	Parts(ctx context.Context, upload uuid.UUID, parts []api.PartDigest) (map[int32]api.PresignedRequest, error)
	Complete(ctx context.Context, upload uuid.UUID) (*api.FileObject, error)
	Download(ctx context.Context, file uuid.UUID) (api.PresignedRequest, api.FileObject, error)
}

// Remote asks the server with a logged-in client. Address is for messages.
type Remote struct {
	Client  *api.ClientWithResponses
	Address string
}

var errEmpty = errors.New("the server's answer was empty; is this an Ergon server?")

// Presign reserves one upload. A refusal comes back as *outbound.Problem.
func (r *Remote) Presign(ctx context.Context, want api.UploadRequest) (*api.UploadTicket, error) {
	resp, err := r.Client.PresignUploadWithResponse(ctx, want)
	if err != nil {
		return nil, outbound.Explain(r.Address, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated); err != nil {
		return nil, err
	}
	if resp.JSON201 == nil {
		return nil, errEmpty
	}
	return resp.JSON201, nil
}

// Status tells what the store holds of an upload.
func (r *Remote) Status(ctx context.Context, upload uuid.UUID) (*api.UploadStatus, error) {
	resp, err := r.Client.GetUploadWithResponse(ctx, upload)
	if err != nil {
		return nil, outbound.Explain(r.Address, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, errEmpty
	}
	return resp.JSON200, nil
}

// Parts presigns parts, at most 100.
func (r *Remote) Parts(ctx context.Context, upload uuid.UUID, parts []api.PartDigest) (map[int32]api.PresignedRequest, error) {
	resp, err := r.Client.PresignPartsWithResponse(ctx, upload, api.PresignPartsJSONRequestBody{Parts: parts})
	if err != nil {
		return nil, outbound.Explain(r.Address, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, errEmpty
	}
	out := make(map[int32]api.PresignedRequest, len(parts))
	for _, p := range resp.JSON200.Parts {
		out[p.Number] = p.Put
	}
	return out, nil
}

// Complete tells the server that the bytes are there. It may be repeated.
func (r *Remote) Complete(ctx context.Context, upload uuid.UUID) (*api.FileObject, error) {
	resp, err := r.Client.CompleteUploadWithResponse(ctx, upload)
	if err != nil {
		return nil, outbound.Explain(r.Address, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, errEmpty
	}
	return resp.JSON200, nil
}

// Download presigns a GET.
func (r *Remote) Download(ctx context.Context, file uuid.UUID) (from api.PresignedRequest, object api.FileObject, err error) {
	resp, err := r.Client.PresignDownloadWithResponse(ctx, &api.PresignDownloadParams{Id: file})
	if err != nil {
		return from, object, outbound.Explain(r.Address, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return from, object, err
	}
	if resp.JSON200 == nil {
		return from, object, errEmpty
	}
	return resp.JSON200.Get, resp.JSON200.File, nil
}
