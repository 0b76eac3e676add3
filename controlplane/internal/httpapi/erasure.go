package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/accountapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Erasures is what the routes of accounts ask of the feature erasure.
type Erasures interface {
	Begin(ctx context.Context, userID, by string) (erasure.Erasure, error)
	Receipt(ctx context.Context, id string) (erasure.Erasure, error)
	RequestExport(ctx context.Context, userID string) (erasure.Export, error)
	ExportOf(ctx context.Context, userID, id string) (erasure.Export, error)
}

// RecentLogin gives the caller when the login is recent enough for a sensitive act.
type RecentLogin interface {
	Recent(ctx context.Context) (principal.Principal, error)
}

// AccountBooks tells what accounts and their jobs store.
type AccountBooks interface {
	QuotaOf(ctx context.Context, userID string) (identity.Quota, error)
	LargestJobs(ctx context.Context, userID string, limit int) ([]storage.JobStanding, error)
}

// ArchiveLinks presigns downloads of archives.
type ArchiveLinks interface {
	SignGet(ctx context.Context, o storage.GetOrder) (storage.Presigned, error)
}

// Account serves the operations of the tag account.
type Account struct {
	Erasures Erasures
	Recent   RecentLogin
	Books    AccountBooks
	Links    ArchiveLinks
	URLLife  time.Duration
}

var _ accountapi.StrictServerInterface = Account{}

const largestJobs = 20

// GetQuota tells what the account stores, which limit holds, and which jobs take the most.
func (a Account) GetQuota(ctx context.Context, _ accountapi.GetQuotaRequestObject) (accountapi.GetQuotaResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	q, err := a.Books.QuotaOf(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	list, err := a.Books.LargestJobs(ctx, user.ID, largestJobs)
	if err != nil {
		return nil, err
	}
	jobs, err := wireAll(list, wireJobStanding)
	return accountapi.GetQuota200JSONResponse(api.QuotaReport{Quota: wireQuota(q), Jobs: jobs}), err
}

func wireJobStanding(j storage.JobStanding) (api.JobQuota, error) {
	id, err := uuid.Parse(j.JobID)
	return api.JobQuota{
		JobId: id, SlurmJobId: j.SlurmJobID, UsedBytes: j.UsedBytes, UsedObjects: j.UsedObjects,
		ReservedBytes: j.ReservedBytes, ReservedObjects: j.ReservedObjects,
	}, err
}

// ExportMe makes an archive due.
func (a Account) ExportMe(ctx context.Context, _ accountapi.ExportMeRequestObject) (accountapi.ExportMeResponseObject, error) {
	user, err := a.Recent.Recent(ctx)
	if err != nil {
		return nil, err
	}
	e, err := a.export(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	body, err := wireExport(e)
	return accountapi.ExportMe202JSONResponse(body), err
}

// export asks for an archive, or finds the one that the first call with this Idempotency-Key asked for, however old it is.
func (a Account) export(ctx context.Context, userID string) (erasure.Export, error) {
	id, err := replayed(ctx)
	if err != nil {
		return erasure.Export{}, err
	}
	if id != uuid.Nil {
		return a.Erasures.ExportOf(ctx, userID, id.String())
	}
	return a.Erasures.RequestExport(ctx, userID)
}

// GetExport tells how far it is, and gives a link when it is there.
func (a Account) GetExport(ctx context.Context, r accountapi.GetExportRequestObject) (accountapi.GetExportResponseObject, error) {
	user, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	e, err := a.Erasures.ExportOf(ctx, user.ID, r.ExportId.String())
	if err != nil {
		return nil, err
	}
	body, err := wireExport(e)
	if err == nil && e.Status == erasure.Ready {
		var link storage.Presigned
		link, err = a.Links.SignGet(ctx, storage.GetOrder{Key: e.Key, FileName: "ergon-export-" + e.ID + ".zip", Lifetime: a.URLLife})
		get := wirePresigned(link)
		body.Get = &get
	}
	return accountapi.GetExport200JSONResponse(body), err
}

// DeleteMe begins to delete the account. A repeat finds the deletion that is under way, with or without an Idempotency-Key.
func (a Account) DeleteMe(ctx context.Context, _ accountapi.DeleteMeRequestObject) (accountapi.DeleteMeResponseObject, error) {
	user, err := a.Recent.Recent(ctx)
	if err != nil {
		return nil, err
	}
	e, err := a.Erasures.Begin(ctx, user.ID, "self")
	if err != nil {
		return nil, err
	}
	body, err := wireErasure(e)
	return accountapi.DeleteMe202JSONResponse(body), err
}

// GetErasure shows a receipt to whoever knows its id: the account that could have logged in is gone.
func (a Account) GetErasure(ctx context.Context, r accountapi.GetErasureRequestObject) (accountapi.GetErasureResponseObject, error) {
	e, err := a.Erasures.Receipt(ctx, r.ReceiptId.String())
	if err != nil {
		return nil, err
	}
	body, err := wireErasure(e)
	return accountapi.GetErasure200JSONResponse(body), err
}

func wireErasure(e erasure.Erasure) (api.Erasure, error) {
	id, err := uuid.Parse(e.ID)
	status := api.UnderWay
	switch e.Step {
	case erasure.StepDone:
		status = api.Done
	case erasure.StepLastLook:
		status = api.LastLook
	case erasure.StepRevoke, erasure.StepFiles, erasure.StepRows, erasure.StepNames:
	}
	return api.Erasure{
		ReceiptId: id, Status: status, Files: e.Objects, Jobs: e.Jobs, RequestedAt: e.RequestedAt, QuietAt: e.QuietAt, FinishedAt: e.FinishedAt,
	}, err
}

func wireExport(e erasure.Export) (api.Export, error) {
	id, err := uuid.Parse(e.ID)
	w := api.Export{ExportId: id, Status: api.ExportStatus(e.Status), CreatedAt: e.CreatedAt, ExpiresAt: e.ExpiresAt}
	if e.Status == erasure.Ready {
		w.Size, w.Sha256 = &e.SizeBytes, &e.SHA256
	}
	return w, err
}
