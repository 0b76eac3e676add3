package httpapi

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/shared/api"
)

// GetAgentSelf shows the agent and the links it serves.
func (h Identity) GetAgentSelf(ctx context.Context, _ agentapi.GetAgentSelfRequestObject) (agentapi.GetAgentSelfResponseObject, error) {
	a, list, err := h.svc.AgentSelf(ctx)
	if err != nil {
		return nil, err
	}
	agent, err := wireAgent(a)
	if err != nil {
		return nil, err
	}
	links, err := wireAll(list, wireLink)
	return agentapi.GetAgentSelf200JSONResponse(api.AgentSelf{Agent: agent, Links: links, ServerTime: h.now().UTC()}), err
}

// ConfirmLink answers a challenge for a uid.
func (h Identity) ConfirmLink(ctx context.Context, r agentapi.ConfirmLinkRequestObject) (agentapi.ConfirmLinkResponseObject, error) {
	l, err := h.svc.ConfirmLink(ctx, identity.Confirmation{
		Challenge: r.Body.Challenge, UID: r.Body.Uid, GID: r.Body.Gid, UnixName: r.Body.UnixName, Nonce: r.Body.Nonce,
	})
	if err != nil {
		return nil, err
	}
	body, err := wireLink(l)
	return agentapi.ConfirmLink201JSONResponse(body), err
}

// UnlinkUid removes the link of a uid.
func (h Identity) UnlinkUid(ctx context.Context, r agentapi.UnlinkUidRequestObject) (agentapi.UnlinkUidResponseObject, error) {
	return agentapi.UnlinkUid204Response{}, h.svc.UnlinkUID(ctx, r.Uid)
}
