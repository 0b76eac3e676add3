// Package principal says who makes a call. httpapi puts a Principal into the context after it verified the token;
// features read it from there and decide what belongs to whom.
package principal

import (
	"context"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Kind is the kind of caller, in the words of x-principals in the OpenAPI document.
type Kind string

// The kinds.
const (
	Anonymous Kind = "anonymous"
	User      Kind = "user"
	Agent     Kind = "agent"

	// AdminCLI is whoever runs `ergon-server admin` on the data itself. No token makes one.
	AdminCLI Kind = "admin_cli"
)

// Role is what a user may see beyond their own rows.
type Role string

// The roles, from least to most.
const (
	RoleUser           Role = "user"
	RoleAccountManager Role = "account_manager"
	RoleOperator       Role = "operator"
	RoleAdmin          Role = "admin"
)

// AtLeast reports whether the role may do what another may. The empty role is below all.
func (r Role) AtLeast(o Role) bool { return r.rank() >= o.rank() }

func (r Role) rank() int {
	return slices.Index([]Role{RoleUser, RoleAccountManager, RoleOperator, RoleAdmin}, r)
}

// Scope is what an agent may do (design 03), or what a token of a user that may not do everything may do.
type Scope string

// The scopes of agents.
const (
	ScopeJobsLinked        Scope = "jobs:linked"
	ScopeAccountingCluster Scope = "accounting:cluster"
	ScopeInputsGet         Scope = "inputs:get"
	ScopeAssocReport       Scope = "assoc:report"
	ScopeIdentityAssert    Scope = "identity:assert"
)

// The scopes of personal access tokens. A login has none of them and may do everything that its role may.
const (
	ScopeJobsRead    Scope = "jobs:read"    // jobs, reports, series, sums
	ScopeFilesRead   Scope = "files:read"   // list and download
	ScopeFilesWrite  Scope = "files:write"  // upload and delete
	ScopeAccountRead Scope = "account:read" // the account, its links, its quota
)

// UserScopes lists the scopes that a personal access token may have.
func UserScopes() []Scope {
	return []Scope{ScopeJobsRead, ScopeFilesRead, ScopeFilesWrite, ScopeAccountRead}
}

// Method is how a session began.
type Method string

// The methods.
const (
	MethodPassword Method = "password"
	MethodDevice   Method = "device" // confirmed on the page of the device flow
	MethodPage     Method = "page"   // that page itself
	MethodOIDC     Method = "oidc"   // that page, after a sign-in at the provider
	MethodUnix     Method = "unix"   // a system agent vouched for the uid
)

// AgentKind tells an agent of a whole node from the agent of one user.
type AgentKind string

// The kinds of agents.
const (
	AgentSystem AgentKind = "system"
	AgentUser   AgentKind = "user"
)

// Principal is the verified caller. The zero value is the anonymous caller.
type Principal struct {
	Kind Kind
	ID   string // user id or agent id, a UUID; of the admin command line "uid:" and the number

	// Of a user.
	SessionID string
	Role      Role
	AuthAt    time.Time // when the password was last proven in this session; zero: never, as with a personal access token
	Method    Method    // how the session began; empty for a personal access token
	TokenID   string    // of a personal access token, which has no session
	Cluster   string    // name of the one cluster whose rows it may see; empty: of all

	// Of an agent.
	ClusterID   string
	AgentKind   AgentKind
	OwnerUserID string // of a user agent: the one account it acts for
	UID         *int64 // of a user agent: the uid it claims for itself (self asserted)
	KeyID       string // thumbprint (RFC 7638) of the key that got its token

	// Of the admin command line: names that go into the audit log sealed.
	Private map[string]string

	// Scopes are what the token of an agent allows. Of a user nil means everything that the role may.
	Scopes []Scope
}

type key struct{}

// With returns a context that carries p.
func With(ctx context.Context, p Principal) context.Context { return context.WithValue(ctx, key{}, p) }

// From is the caller; ok is false when nobody was verified.
func From(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(key{}).(Principal)
	return p, ok && p.Kind != Anonymous && p.Kind != ""
}

// UserFrom is the calling user, or an apperr: unauthorized for nobody, forbidden for an agent.
func UserFrom(ctx context.Context) (Principal, error) { return want(ctx, User) }

// AgentFrom is the calling agent, or an apperr: unauthorized for nobody, forbidden for a user.
func AgentFrom(ctx context.Context) (Principal, error) { return want(ctx, Agent) }

// Credential names what the caller showed: a session or a personal access token, by its id; the key of an agent, which may have
// had several, by its thumbprint. Empty for everybody else.
func (p Principal) Credential() string {
	switch {
	case p.TokenID != "":
		return "token:" + p.TokenID
	case p.SessionID != "":
		return "session:" + p.SessionID
	case p.KeyID != "":
		return "key:" + p.KeyID
	}
	return ""
}

func want(ctx context.Context, kind Kind) (Principal, error) {
	p, ok := From(ctx)
	if !ok {
		return Principal{}, apperr.New(apperr.Unauthorized, "this call needs an access token")
	}
	if p.Kind != kind {
		return Principal{}, apperr.Newf(apperr.Forbidden, "this call is for a %s, the token is of a %s", kind, p.Kind)
	}
	return p, nil
}

// Has reports whether an agent's token carries the scope.
func (p Principal) Has(s Scope) bool { return p.Kind == Agent && slices.Contains(p.Scopes, s) }

// May reports whether the token of a user allows calls of a scope.
func (p Principal) May(s Scope) bool {
	return p.Kind == User && (p.Scopes == nil || slices.Contains(p.Scopes, s))
}

// SeesAllJobs reports whether a user may read the jobs of everyone.
func (p Principal) SeesAllJobs() bool {
	return p.Kind == User && p.Cluster == "" && p.Role.AtLeast(RoleOperator)
}
