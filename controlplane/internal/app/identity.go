package app

import (
	"context"
	"fmt"
	"runtime"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/breach"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/oidc"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// NewIdentity builds identity on an open base: for the server, and for commands that work without one. count may be nil.
// It loads the signing keys, or makes the first one.
func NewIdentity(ctx context.Context, cfg config.Config, base *Base, deps Deps, count func(string)) (*identity.Service, error) {
	st := base.Store
	provider, err := newProvider(cfg, deps)
	if err != nil {
		return nil, err
	}
	breached, err := openBreached(cfg.Auth.BreachedFile)
	if err != nil {
		return nil, err
	}
	if base.Audit == nil {
		if base.Audit, err = audit.New(st, deps.Now, base.Secret); err != nil {
			return nil, err
		}
	}
	svc, err := identity.New(identityConfig(cfg), identity.Deps{
		Stores: identity.Stores{
			Users: st, Sessions: st, Throttle: st, Keys: st, Clusters: st, Enrolments: st, Agents: st, Links: st,
			Quotas:  st.Storage().SiteQuotas(siteQuota(cfg)),
			Devices: st, Pages: st, Personal: st, Unix: st, OIDC: st, Managers: st,
		},
		Audit: base.Audit, Now: deps.Now, Rand: deps.Rand, Log: deps.Log, Secret: base.Secret, Count: count,
		Provider: provider, Breached: breached,
	})
	if err != nil {
		return nil, err
	}
	if err := svc.Ready(ctx); err != nil {
		return nil, fmt.Errorf("loading the signing keys: %w", err)
	}
	return svc, nil
}

// siteQuota is what accounts may store for which no rule holds.
func siteQuota(cfg config.Config) storage.Limit {
	return storage.Limit{Bytes: cfg.Quota.Bytes, Objects: cfg.Quota.Objects}
}

func identityConfig(cfg config.Config) identity.Config {
	return identity.Config{
		Issuer: cfg.Auth.Issuer, Registration: Registration(cfg), AccessTTL: cfg.Auth.AccessTTL, RefreshTTL: cfg.Auth.RefreshTTL,
		RecentLogin: cfg.Auth.RecentLogin, Params: identity.Params{MemoryKiB: cfg.Auth.ArgonMemory, Time: cfg.Auth.ArgonTime, Threads: 1},
		TokenMaxTTL: cfg.Auth.TokenMaxTTL, OIDCAccounts: cfg.OIDC.Accounts,
		ParallelHashes: runtime.GOMAXPROCS(0) - 1, LoginPerMinute: cfg.Auth.LoginPerMin, KeyRotation: cfg.Auth.KeyRotation,
		LinkTTL: cfg.Roles.LinkTTL, Coordinators: cfg.Roles.Coordinators, ManagersSeePersons: cfg.Roles.Persons,
		DefaultQuota: identity.Quota{LimitBytes: cfg.Quota.Bytes, LimitObjects: cfg.Quota.Objects},
	}
}

// newProvider is the site's OpenID provider, or nil.
func newProvider(cfg config.Config, deps Deps) (identity.Provider, error) {
	if cfg.OIDC.Issuer == "" {
		return nil, nil //nolint:nilnil // no provider is the default
	}
	return oidc.New(oidc.Config{
		Issuer: cfg.OIDC.Issuer, ClientID: cfg.OIDC.ClientID, ClientSecret: cfg.OIDC.ClientSecret.Reveal(), Name: cfg.OIDC.Name,
		RedirectURL: cfg.HTTP.PublicURL + httpapi.PagePath + "/oidc", UsernameClaim: cfg.OIDC.UsernameClaim, MaxAge: cfg.Auth.RecentLogin, CAFile: cfg.OIDC.CAFile, Now: deps.Now,
	})
}

// openBreached is the site's list of breached passwords, or nil.
func openBreached(path string) (func(password string) (bool, error), error) {
	if path == "" {
		return nil, nil
	}
	list, err := breach.Open(path)
	if err != nil {
		return nil, err
	}
	return list.Contains, nil
}
