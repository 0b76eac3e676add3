package httpapi

import (
	"context"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/filesapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Uploads is what the routes of files and of agents ask of the feature storage for sending.
type Uploads interface {
	PresignUpload(ctx context.Context, userID string, r storage.Request) (storage.Ticket, error)
	PresignJob(ctx context.Context, agent storage.Agent, job storage.JobRef, entries []storage.Entry) ([]storage.Ticket, error)
	Upload(ctx context.Context, c storage.Caller, id uuid.UUID) (storage.State, error)
	PresignParts(ctx context.Context, c storage.Caller, id uuid.UUID, wishes []storage.PartWish) ([]storage.SignedPart, error)
	Complete(ctx context.Context, c storage.Caller, id uuid.UUID) (storage.Object, error)
	Abort(ctx context.Context, c storage.Caller, id uuid.UUID) error
}

// Downloads is what the routes of files ask for stored objects.
type Downloads interface {
	List(ctx context.Context, userID string, l storage.Listing) (storage.Page, error)
	Get(ctx context.Context, userID string, id uuid.UUID) (storage.Object, error)
	Download(ctx context.Context, userID string, id uuid.UUID) (storage.Object, storage.Presigned, error)
	Delete(ctx context.Context, userID string, id uuid.UUID) error
}

// Files serves the routes of the tag files.
type Files struct {
	uploads   Uploads
	downloads Downloads
}

var (
	_ filesapi.StrictServerInterface = Files{}
	_ AgentFiles                     = AgentUploads{}
)

// NewFiles makes the handlers of the tag files.
func NewFiles(uploads Uploads, downloads Downloads) Files { return Files{uploads, downloads} }

// PresignUpload reserves and presigns a file of the user.
func (f Files) PresignUpload(ctx context.Context, r filesapi.PresignUploadRequestObject) (filesapi.PresignUploadResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	sum, err := digest(r.Body.Sha256)
	if err != nil {
		return nil, err
	}
	made, err := replayed(ctx)
	if err != nil {
		return nil, err
	}
	t, err := f.uploads.PresignUpload(ctx, user.ID, storage.Request{
		Made: made,
		Name: r.Body.Name, SizeBytes: r.Body.Size, SHA256: sum, ContentType: value(r.Body.ContentType), Class: storage.Class(value(r.Body.Class)),
	})
	if err != nil {
		return nil, err
	}
	return filesapi.PresignUpload201JSONResponse(wireTicket(ctx, t)), nil
}

// GetUpload tells how far an upload is.
func (f Files) GetUpload(ctx context.Context, r filesapi.GetUploadRequestObject) (filesapi.GetUploadResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	st, err := f.uploads.Upload(ctx, c, r.UploadId)
	if err != nil {
		return nil, err
	}
	return filesapi.GetUpload200JSONResponse(wireState(st)), nil
}

// PresignParts presigns parts.
func (f Files) PresignParts(ctx context.Context, r filesapi.PresignPartsRequestObject) (filesapi.PresignPartsResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	wishes := make([]storage.PartWish, 0, len(r.Body.Parts))
	for _, p := range r.Body.Parts {
		sum, err := digest(p.Sha256)
		if err != nil {
			return nil, err
		}
		wishes = append(wishes, storage.PartWish{Number: p.Number, SizeBytes: p.Size, SHA256: sum})
	}
	signed, err := f.uploads.PresignParts(ctx, c, r.UploadId, wishes)
	if err != nil {
		return nil, err
	}
	return wireParts(signed), nil
}

// CompleteUpload verifies and stores.
func (f Files) CompleteUpload(ctx context.Context, r filesapi.CompleteUploadRequestObject) (filesapi.CompleteUploadResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	o, err := f.uploads.Complete(ctx, c, r.UploadId)
	if err != nil {
		return nil, err
	}
	return filesapi.CompleteUpload200JSONResponse(wireObject(o)), nil
}

// AbortUpload gives an upload up.
func (f Files) AbortUpload(ctx context.Context, r filesapi.AbortUploadRequestObject) (filesapi.AbortUploadResponseObject, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.uploads.Abort(ctx, c, r.UploadId); err != nil {
		return nil, err
	}
	return filesapi.AbortUpload204Response{}, nil
}

// ListFiles lists the user's own objects.
func (f Files) ListFiles(ctx context.Context, r filesapi.ListFilesRequestObject) (filesapi.ListFilesResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	p := r.Params
	page, err := f.downloads.List(ctx, user.ID, storage.Listing{
		Prefix: value(p.Prefix), JobID: p.JobId, Class: storage.Class(value(p.Class)), Name: value(p.Name), NamePrefix: value(p.NamePrefix),
		Cursor: value(p.Cursor), Limit: value(p.Limit),
	})
	if err != nil {
		return nil, err
	}
	return wirePage(page), nil
}

// PresignDownload gives a link.
func (f Files) PresignDownload(ctx context.Context, r filesapi.PresignDownloadRequestObject) (filesapi.PresignDownloadResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	o, get, err := f.downloads.Download(ctx, user.ID, r.Params.Id)
	if err != nil {
		return nil, err
	}
	return filesapi.PresignDownload200JSONResponse{File: wireObject(o), Get: wirePresigned(get)}, nil
}

// GetFile describes an object.
func (f Files) GetFile(ctx context.Context, r filesapi.GetFileRequestObject) (filesapi.GetFileResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	o, err := f.downloads.Get(ctx, user.ID, r.FileId)
	if err != nil {
		return nil, err
	}
	return filesapi.GetFile200JSONResponse(wireObject(o)), nil
}

// DeleteFile deletes an object.
func (f Files) DeleteFile(ctx context.Context, r filesapi.DeleteFileRequestObject) (filesapi.DeleteFileResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.downloads.Delete(ctx, user.ID, r.FileId); err != nil {
		return nil, err
	}
	return filesapi.DeleteFile204Response{}, nil
}

// caller is a user or an agent: these routes serve both.
func caller(ctx context.Context) (storage.Caller, error) {
	p, ok := principal.From(ctx)
	switch {
	case !ok:
		return storage.Caller{}, apperr.New(apperr.Unauthorized, "this call needs an access token")
	case p.Kind == principal.Agent:
		a := agentOf(p)
		return storage.Caller{Agent: &a}, nil
	default:
		return storage.Caller{UserID: p.ID}, nil
	}
}

func agentOf(p principal.Principal) storage.Agent {
	return storage.Agent{ID: p.ID, ClusterID: p.ClusterID, OwnerUserID: p.OwnerUserID, MayUpload: p.Has(principal.ScopeJobsLinked)}
}

func digest(text string) (storage.Digest, error) {
	d, err := storage.ParseDigest(text)
	if err != nil {
		return storage.Digest{}, apperr.Newf(apperr.InvalidRequest, "sha256: %s", err.Error())
	}
	return d, nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
