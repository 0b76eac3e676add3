package httpapi

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/accountapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/filesapi"
)

// around is what stands around every handler: a context of its own, the audit row of the operations that the table names
// (one a call, a batch is one row), and the id of what was made, for Idempotency-Key. An act that cannot be audited is not
// answered with success.
func around[H ~func(*gin.Context, any) (any, error)](s *Server) func(f H, operation string) H {
	return func(f H, operation string) H {
		own := ownContext(f, operation)
		return func(c *gin.Context, request any) (any, error) {
			response, err := own(c, request)
			op := operationOf(c)
			if op == nil {
				return response, err
			}
			if id := madeBy(response); err == nil && id != "" {
				c.Set(resourceKey, id)
			}
			if op.audit == "" || s.cfg.Audit == nil || signedNothing(response) {
				return response, err
			}
			return response, s.auditCall(c, op, asked{request, response, err})
		}
	}
}

// signedNothing: an archive that is not there yet was asked for, as clients do every few seconds.
func signedNothing(response any) bool {
	r, ok := response.(accountapi.GetExport200JSONResponse)
	return ok && r.Get == nil
}

// asked is one call and what came of it.
type asked struct {
	request, response any
	err               error
}

func (s *Server) auditCall(c *gin.Context, op *operation, a asked) error {
	ctx := c.Request.Context()
	e := audit.Event{Action: op.audit, Subject: subjectOf(c, a), Outcome: audit.OK, Detail: countsOf(a.request), Private: namesOf(a.request)}
	if a.err != nil {
		e.Outcome = string(apperr.CodeOf(a.err))
	}
	err := s.cfg.Audit.Record(ctx, e)
	if a.err == nil && err != nil {
		return fmt.Errorf("auditing: %w", err)
	}
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "an audit row could not be written", "action", e.Action, "outcome", e.Outcome, "error", err)
	}
	return a.err
}

// subjectOf is the id that the path names, else the one that was made.
func subjectOf(c *gin.Context, a asked) string {
	if len(c.Params) > 0 {
		return c.Params[0].Value
	}
	if r, ok := a.request.(filesapi.PresignDownloadRequestObject); ok {
		return r.Params.Id.String()
	}
	return madeBy(a.response)
}

// madeBy is the id of what a call made.
func madeBy(response any) string {
	switch r := response.(type) {
	case filesapi.PresignUpload201JSONResponse:
		if r.UploadId != nil {
			return r.UploadId.String()
		}
	case accountapi.ExportMe202JSONResponse:
		return r.ExportId.String()
	case accountapi.DeleteMe202JSONResponse:
		return r.ReceiptId.String()
	}
	return ""
}

func countsOf(request any) map[string]string {
	switch r := request.(type) {
	case filesapi.PresignUploadRequestObject:
		return map[string]string{"bytes": strconv.FormatInt(r.Body.Size, 10)}
	case filesapi.PresignPartsRequestObject:
		return map[string]string{"parts": strconv.Itoa(len(r.Body.Parts))}
	case agentapi.PresignJobUploadsRequestObject:
		return map[string]string{"files": strconv.Itoa(len(r.Body.Entries))}
	}
	return nil
}

// namesOf are names of people's files, which only the key of the caller opens.
func namesOf(request any) map[string]string {
	if r, ok := request.(filesapi.PresignUploadRequestObject); ok {
		return map[string]string{"name": clip(r.Body.Name)}
	}
	return nil
}

// Auditor writes audit rows.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}
