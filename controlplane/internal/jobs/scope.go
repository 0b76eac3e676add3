package jobs

import (
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Reporter is who reports, and for whom it may speak.
type Reporter struct {
	AgentID   string
	ClusterID string
	// Owner is the one account of a user agent; nil for a system agent and for an import.
	Owner *uuid.UUID
	// UID is the uid that a user agent claims. Nothing proves it, so its jobs are SelfAsserted.
	UID *int64
	// Everyone allows accounting rows of all users of the cluster, not only of linked ones.
	Everyone bool
}

// ReporterOf is the reporter that a verified agent is.
func ReporterOf(p principal.Principal) (Reporter, error) {
	r := Reporter{AgentID: p.ID, ClusterID: p.ClusterID, Everyone: p.Has(principal.ScopeAccountingCluster)}
	if p.AgentKind == principal.AgentSystem {
		return r, nil
	}
	owner, err := uuid.Parse(p.OwnerUserID)
	if err != nil || p.UID == nil {
		return r, apperr.New(apperr.Forbidden, "this agent belongs to no account").WithHint("enrol it again with `ergon-agent enrol`")
	}
	r.Owner, r.UID, r.Everyone = &owner, p.UID, false
	return r, nil
}

// mayReport says whether rows of a uid are this reporter's business.
func (r Reporter) mayReport(uid *int64, links map[int64]Linked) bool {
	switch {
	case r.Everyone:
		return true
	case uid == nil:
		return false
	case r.Owner != nil:
		return *uid == *r.UID
	}
	_, linked := links[*uid]
	return linked
}

// mayTouch says whether the reporter may change a job that exists. A user agent may only change what is its owner's.
func (r Reporter) mayTouch(j Job) bool {
	return r.Owner == nil || j.UserID != nil && *j.UserID == *r.Owner
}
