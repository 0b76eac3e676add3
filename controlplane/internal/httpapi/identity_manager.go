package httpapi

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/identityapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/shared/api"
)

// PutCoordinators takes Slurm's associations.
func (h Identity) PutCoordinators(ctx context.Context, r agentapi.PutCoordinatorsRequestObject) (agentapi.PutCoordinatorsResponseObject, error) {
	list := make([]identity.Coordinator, 0, len(r.Body.Coordinators))
	for _, c := range r.Body.Coordinators {
		list = append(list, identity.Coordinator{Account: c.Account, UnixName: c.UnixName})
	}
	applied, err := h.svc.ReportCoordinators(ctx, list)
	if err != nil {
		return nil, err
	}
	return agentapi.PutCoordinators200JSONResponse{Applied: applied}, nil
}

// RotateAgentKey replaces the agent's key.
func (h Identity) RotateAgentKey(ctx context.Context, r agentapi.RotateAgentKeyRequestObject) (agentapi.RotateAgentKeyResponseObject, error) {
	return agentapi.RotateAgentKey204Response{}, h.svc.RotateAgentKey(ctx, identity.KeyChange{PublicKey: r.Body.PublicKey, Proof: r.Body.Proof, Consent: r.Body.Consent})
}

// ListAccounts lists the accounts that the caller coordinates.
func (h Identity) ListAccounts(ctx context.Context, _ identityapi.ListAccountsRequestObject) (identityapi.ListAccountsResponseObject, error) {
	list, err := h.svc.ManagedAccounts(ctx)
	if err != nil {
		return nil, err
	}
	out := identityapi.ListAccounts200JSONResponse{Accounts: make([]api.ManagedAccount, 0, len(list))}
	for _, a := range list {
		out.Accounts = append(out.Accounts, api.ManagedAccount{Cluster: a.Cluster, Account: a.Account})
	}
	return out, nil
}

// ListLooks lists who looked at the caller's sums.
func (h Identity) ListLooks(ctx context.Context, _ identityapi.ListLooksRequestObject) (identityapi.ListLooksResponseObject, error) {
	list, err := h.svc.Looks(ctx)
	if err != nil {
		return nil, err
	}
	out := identityapi.ListLooks200JSONResponse{Looks: make([]api.Look, 0, len(list))}
	for _, l := range list {
		w := api.Look{At: l.At, Viewer: l.Viewer, Cluster: l.Cluster, Account: l.Account}
		if w.Viewer == "" {
			w.Viewer = "a deleted account"
		}
		out.Looks = append(out.Looks, w)
	}
	return out, nil
}

// GetAccountUsage sums up the jobs of an account that the caller coordinates.
func (h Identity) GetAccountUsage(ctx context.Context, r identityapi.GetAccountUsageRequestObject) (identityapi.GetAccountUsageResponseObject, error) {
	q, metrics, err := accountQuery(r.Params)
	if err != nil {
		return nil, err
	}
	a := identity.ManagedAccount{Cluster: q.Cluster, Account: q.Account}
	if err := h.svc.AdmitManager(ctx, a, q.By == "user"); err != nil {
		return nil, err
	}
	u, err := usageOf(ctx, h.usage, q, metrics)
	return identityapi.GetAccountUsage200JSONResponse(u), err
}

func accountQuery(p api.GetAccountUsageParams) (q analytics.Query, metrics []analytics.Metric, err error) {
	q, metrics, err = askedUsage(string(or(p.By, "month")), p.Metrics)
	q.Cluster, q.Account, q.From, q.To = p.Cluster, p.Account, p.From, p.To
	return q, metrics, err
}
