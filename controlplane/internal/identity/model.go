package identity

import (
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// User is an account.
type User struct {
	ID         string
	Username   string
	PWHash     string // PHC; empty: no password login
	Role       principal.Role
	Origin     string // who made it: empty (a person or an admin), unix or oidc
	DisabledAt *time.Time
	CreatedAt  time.Time
}

// Session is one login; its refresh tokens are a family.
type Session struct {
	ID         string
	UserID     string
	UserAgent  string
	Method     principal.Method
	ClusterID  string // of a unix session: the cluster whose agent vouched
	AuthAt     time.Time
	LastUsedAt time.Time
	CreatedAt  time.Time
}

// SessionState is what each request asks of a session.
type SessionState struct {
	UserID string
	Role   principal.Role
	AuthAt time.Time
	Method principal.Method
	// Cluster is the name of the one cluster that the session reaches, set when an agent vouched for an account that is more
	// than that unix identity; empty otherwise.
	Cluster string
	Live    bool // neither revoked nor of a disabled account
}

// Cluster is a Slurm cluster.
type Cluster struct {
	ID        string
	Name      string
	UnixLogin bool // identity=unix: the uid on a login node is the login
	CreatedAt time.Time
}

// Enrolment is a one-time token for an agent; only its hash is kept.
type Enrolment struct {
	TokenHash string
	ClusterID string
	Kind      principal.AgentKind
	CreatedBy string // user id; empty: made on the server's command line
	Exp       time.Time
	CreatedAt time.Time
}

// Agent is an enrolled agent.
type Agent struct {
	ID          string
	ClusterID   string
	ClusterName string
	Kind        principal.AgentKind
	OwnerUserID string // of a user agent
	Name        string // host name
	PublicKey   string // Ed25519, base64url
	Scopes      []principal.Scope
	UID         *int64 // of a user agent: what it says of itself
	UnixName    string
	Version     string
	LastSeenAt  *time.Time
	ClockSkew   *time.Duration // how far its clock is ahead of the server's, to the second; nil: not known
	RevokedAt   *time.Time
	CreatedAt   time.Time

	OwnerDisabled bool // of a user agent: it does nothing while its owner's account is disabled
}

// live: neither revoked nor of a disabled account.
func (a Agent) live() bool { return a.RevokedAt == nil && !a.OwnerDisabled }

// Link joins a unix user of a cluster to an account.
type Link struct {
	ID           string
	ClusterID    string
	ClusterName  string
	UID          int64
	GID          int64
	UnixName     string
	UserID       string
	AgentID      string // who vouched
	Suspended    bool
	SuspendedFor string    // why: SuspendedIdentity, SuspendedExpired or SuspendedOperator
	ConfirmedAt  time.Time // when the ceremony was last done
	SelfAsserted bool      // by an agent of the user's own: reserves no uid, there is no row in links
	CreatedAt    time.Time
}

// Quota is what an account stores and may store.
type Quota struct {
	UsedBytes, ReservedBytes, LimitBytes       int64
	UsedObjects, ReservedObjects, LimitObjects int64
	LimitFrom, LimitName                       string // user, role, cluster or default, and which role or cluster
}

// TokenPair is what a login and a refresh give.
type TokenPair struct {
	AccessToken  string
	ExpiresIn    time.Duration
	RefreshToken string
	UserID       string
	SessionID    string
}

// Touch says that an agent was here, and what it showed of itself.
type Touch struct {
	At      time.Time
	Skew    *time.Duration // how far its clock is ahead; nil: not known
	Version string         // empty: not said
}
