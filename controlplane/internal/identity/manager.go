package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// An account manager is whoever Slurm names as a coordinator of an account, on a cluster where that unix user is linked. The
// role in the users table makes nobody one: Slurm's associations do. Managers see sums; single persons only where the site
// allows it, and those can see who looked.

// Coordinator is a coordinator of a Slurm account, as sacctmgr names it.
type Coordinator struct{ Account, UnixName string }

// ManagedAccount is a Slurm account of a cluster.
type ManagedAccount struct{ Cluster, Account string }

// Look is a look at the sums of single persons of an account.
type Look struct {
	ID       string
	ViewerID string
	Viewer   string // name of the account; empty when it was deleted
	ManagedAccount
	At time.Time
}

// ManagerStore keeps coordinators and looks.
type ManagerStore interface {
	// ReplaceCoordinators makes the list that of the cluster, and says whether that changed anything.
	ReplaceCoordinators(ctx context.Context, clusterID string, list []Coordinator) (bool, error)
	// AccountsOf lists the accounts that a user coordinates by a link that counts, in order.
	AccountsOf(ctx context.Context, userID string) ([]ManagedAccount, error)
	// InsertLook stores a look; not_found when there is no such cluster.
	InsertLook(ctx context.Context, l Look) error
	// LooksAt lists looks at accounts in which the user has jobs, by others, newest first.
	LooksAt(ctx context.Context, userID string, limit int) ([]Look, error)
}

// ReportCoordinators takes what a system agent read from sacctmgr. applied is false where the site has not turned account
// managers on: nothing is kept then.
func (s *Service) ReportCoordinators(ctx context.Context, list []Coordinator) (applied bool, err error) {
	p, err := principal.AgentFrom(ctx)
	if err != nil {
		return false, err
	}
	if p.AgentKind != principal.AgentSystem || !p.Has(principal.ScopeAssocReport) {
		return false, apperr.New(apperr.Forbidden, "only a system agent reports Slurm's associations")
	}
	if !s.cfg.Coordinators {
		return false, nil
	}
	for _, c := range list {
		if err := checkUnixName(c.UnixName); err != nil {
			return false, err
		}
	}
	changed, err := s.st.Managers.ReplaceCoordinators(ctx, p.ClusterID, list)
	if err != nil || !changed {
		return err == nil, err
	}
	return true, s.record(ctx, "cluster.coordinators", p.ClusterID, map[string]string{"coordinators": fmt.Sprint(len(list))})
}

// ManagedAccounts lists the accounts that the caller coordinates.
func (s *Service) ManagedAccounts(ctx context.Context) ([]ManagedAccount, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil || !s.cfg.Coordinators {
		return nil, err
	}
	return s.st.Managers.AccountsOf(ctx, p.ID)
}

// AdmitManager lets the caller see sums of an account, by single persons when persons is true; that is written down before
// it is answered. Operators and admins see every account. For anybody else the account is not found.
func (s *Service) AdmitManager(ctx context.Context, a ManagedAccount, persons bool) error {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return err
	}
	if !p.SeesAllJobs() {
		own, err := s.ManagedAccounts(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(own, a) {
			return apperr.New(apperr.NotFound, "you coordinate no such account").WithHint("GET /accounts lists those that you do; Slurm's `sacctmgr show account withcoord` says who coordinates which")
		}
	}
	if !persons {
		return nil
	}
	if !s.cfg.ManagersSeePersons {
		return apperr.New(apperr.Forbidden, "this site shows account managers sums, and no single persons").WithHint("ask for another grouping than user")
	}
	return s.look(ctx, p, a)
}

func (s *Service) look(ctx context.Context, p principal.Principal, a ManagedAccount) error {
	l := Look{ID: uuid.NewString(), ViewerID: p.ID, ManagedAccount: a, At: s.now()}
	if err := s.st.Managers.InsertLook(ctx, l); err != nil {
		return err
	}
	return s.record(ctx, "account.look", l.ID, map[string]string{"cluster": a.Cluster, "account": a.Account})
}

// maxLooks bounds the list that a person gets.
const maxLooks = 200

// Looks lists who looked at single persons of accounts in which the caller has jobs.
func (s *Service) Looks(ctx context.Context) ([]Look, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	return s.st.Managers.LooksAt(ctx, p.ID, maxLooks)
}

// recordPerson audits an act that worked and that names somebody: the names are sealed under the person's key.
func (s *Service) recordPerson(ctx context.Context, e audit.Event) error {
	e.Outcome = audit.OK
	return s.audit.Record(ctx, e)
}
