package httpapi

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/filesapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

func wireTicket(ctx context.Context, t storage.Ticket) api.UploadTicket {
	w := api.UploadTicket{Name: t.Name}
	switch {
	case t.Refused != nil:
		problem := Problem(t.Refused, principal.OriginFrom(ctx).RequestID)
		w.Status, w.Problem = api.UploadTicketStatusRefused, &problem
	case t.Object != nil:
		file := wireObject(*t.Object)
		w.Status, w.File = api.UploadTicketStatusStored, &file
	case t.Put != nil:
		put := wirePresigned(*t.Put)
		w.Status, w.Put, w.UploadId = api.UploadTicketStatusPut, &put, &t.Upload.ID
	default:
		w.Status, w.UploadId = api.UploadTicketStatusMultipart, &t.Upload.ID
		w.PartSize, w.PartCount = &t.Upload.Plan.PartBytes, &t.Upload.Plan.Count
	}
	return w
}

func wireTickets(ctx context.Context, tickets []storage.Ticket) agentapi.PresignJobUploads200JSONResponse {
	w := agentapi.PresignJobUploads200JSONResponse{Tickets: make([]api.UploadTicket, 0, len(tickets))}
	for _, t := range tickets {
		w.Tickets = append(w.Tickets, wireTicket(ctx, t))
	}
	return w
}

// wirePresigned is one of the few places that reveal a presigned URL: it goes into the answer and nowhere else.
func wirePresigned(p storage.Presigned) api.PresignedRequest {
	return api.PresignedRequest{
		Method: api.PresignedRequestMethod(p.Method), Url: p.URL.Reveal(), Headers: p.Headers, ExpiresAt: p.ExpiresAt,
	}
}

func wireParts(signed []storage.SignedPart) filesapi.PresignParts200JSONResponse {
	var w filesapi.PresignParts200JSONResponse
	for _, p := range signed {
		w.Parts = append(w.Parts, struct {
			Number int32                `json:"number"`
			Put    api.PresignedRequest `json:"put"`
		}{p.Number, wirePresigned(p.Put)})
	}
	return w
}

func wireState(st storage.State) api.UploadStatus {
	u := st.Upload
	sum := u.SHA256.Hex()
	w := api.UploadStatus{UploadId: u.ID, Status: api.UploadStatusStatus(u.Status), Name: u.Name, Size: u.SizeBytes, Sha256: &sum}
	if u.Plan.Multipart() {
		parts := make([]api.PartDigest, 0, len(st.Parts))
		for _, p := range st.Parts {
			parts = append(parts, api.PartDigest{Number: p.Number, Size: p.SizeBytes, Sha256: p.SHA256.Hex()})
		}
		w.PartSize, w.PartCount, w.Parts = &u.Plan.PartBytes, &u.Plan.Count, &parts
	}
	if st.Object != nil {
		file := wireObject(*st.Object)
		w.File = &file
	}
	return w
}

func wirePage(p storage.Page) filesapi.ListFiles200JSONResponse {
	w := filesapi.ListFiles200JSONResponse{Files: make([]api.FileObject, 0, len(p.Objects))}
	for _, o := range p.Objects {
		w.Files = append(w.Files, wireObject(o))
	}
	if p.Next != "" {
		w.NextCursor = &p.Next
	}
	return w
}

func wireObject(o storage.Object) api.FileObject {
	w := api.FileObject{
		Id: o.ID, Key: o.Key, Name: o.Name, Class: api.FileClass(o.Class), Size: o.SizeBytes, Sha256: o.SHA256.Hex(),
		Sha256Verified: &o.SHA256Verified, ContentType: &o.ContentType, CreatedAt: o.CreatedAt, ExpiresAt: o.ExpiresAt,
	}
	if o.Job != nil {
		w.JobId, w.Attempt = &o.Job.ID, &o.Job.Attempt
	}
	return w
}
