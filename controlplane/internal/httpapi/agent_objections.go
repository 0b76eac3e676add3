package httpapi

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/api"
)

// GetObjection tells how a uid stands.
func (h agentJobs) GetObjection(ctx context.Context, r agentapi.GetObjectionRequestObject) (agentapi.GetObjectionResponseObject, error) {
	st, err := h.objector.Standing(ctx, r.Uid)
	return agentapi.GetObjection200JSONResponse(wireObjection(st)), err
}

// PutObjection records an objection.
func (h agentJobs) PutObjection(ctx context.Context, r agentapi.PutObjectionRequestObject) (agentapi.PutObjectionResponseObject, error) {
	st, err := h.objector.Object(ctx, r.Uid)
	return agentapi.PutObjection200JSONResponse(wireObjection(st)), err
}

// DeleteObjection takes an objection back.
func (h agentJobs) DeleteObjection(ctx context.Context, r agentapi.DeleteObjectionRequestObject) (agentapi.DeleteObjectionResponseObject, error) {
	st, err := h.objector.TakeBack(ctx, r.Uid)
	return agentapi.DeleteObjection200JSONResponse(wireObjection(st)), err
}

func wireObjection(st jobs.Standing) api.Objection {
	return api.Objection{
		Uid: st.UID, Objected: st.Since != nil, Since: st.Since, Linked: st.Linked, JobsNamed: int64(st.Named), JobsHidden: int64(st.Hidden),
	}
}
