package identity

import (
	"context"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/limit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Errors of all stores: apperr not_found for a missing row, already_exists for a taken name or key.

// UserStore keeps accounts.
type UserStore interface {
	InsertUser(ctx context.Context, u User) error
	UserByName(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id string) (User, error)
	ListUsers(ctx context.Context) ([]User, error)
	UpdateUser(ctx context.Context, id string, change UserChange) error
	// ReplacePassword does all of the change in one transaction, or nothing: no password is new while a session lives that
	// was begun under the old one.
	ReplacePassword(ctx context.Context, change PasswordChange) error
}

// PasswordChange is a new password of a user, and the one session that it leaves: none when Except is empty. What would enrol
// agents goes with the others.
type PasswordChange struct {
	UserID, Hash, Except string
	Was                  string // hash of the password that was proven: another one by now is not replaced, but not_found; empty: any
	Now                  time.Time
}

// UserChange says what to change; nil leaves it.
type UserChange struct {
	PWHash    *string
	WasPWHash string // not_found when the account has another hash by now; empty: whatever it has
	Role      *principal.Role
	Disabled  *time.Time // the zero time enables again
}

// SessionStore keeps sessions and their refresh tokens.
type SessionStore interface {
	// StartSession stores a session and its first token; not_found when the account is disabled by now, or when what the login
	// rests on went. It waits for whatever is about to end the account's sessions, and that for it.
	StartSession(ctx context.Context, s Session, first RefreshToken, on Ground) error
	// HoldSession lets nobody end a session until the transaction of the context ends; not_found when it has ended.
	HoldSession(ctx context.Context, sessionID string) error
	// RotateRefresh uses the old token once, by one conditional UPDATE, and stores the next one in the same transaction.
	// On Reused the family and its session are revoked before it returns.
	RotateRefresh(ctx context.Context, r Rotation) (Rotated, error)
	SessionState(ctx context.Context, sessionID string) (SessionState, error)
	ListSessions(ctx context.Context, userID string, now time.Time) ([]Session, error)
	RevokeSessions(ctx context.Context, which SessionFilter, now time.Time) (int64, error)
}

// Ground is what a login rests on. It was proven a moment ago, and may be gone when the session is stored.
type Ground struct {
	PWHash          string // that the password was compared with
	Issuer, Subject string // the identity at the provider
	Device          string // hash of a confirmed device code, which the session uses up
}

// RefreshToken is a stored one: only the hash.
type RefreshToken struct {
	JTI     string // SHA-256 of the token, hex
	Counter int64
	Exp     time.Time
}

// Rotation asks to use OldJTI and to store Next.
type Rotation struct {
	OldJTI string
	Next   RefreshToken
	Now    time.Time
	Grace  time.Duration // how long a lost response is forgiven while the successor is unused
}

// Outcome of a rotation.
type Outcome int

// The outcomes.
const (
	Unknown  Outcome = iota // no such token
	Done                    // used, the successor is stored
	Repeated                // used before, within the grace, successor unused: the same successor counts
	Reused                  // used before: the family is revoked now
	Expired                 // too old
	Revoked                 // its session had ended already, or the account is disabled
)

// Rotated is the outcome and whose token it was (empty when Unknown).
type Rotated struct {
	Outcome   Outcome
	UserID    string
	SessionID string
}

// SessionFilter chooses sessions of one user: only one, or all except one. Empty fields do not restrict. With all of them go the
// logins that were confirmed on the page and not fetched yet.
type SessionFilter struct{ UserID, Only, Except string }

// ThrottleStore counts failed logins, exactly, for all replicas.
type ThrottleStore interface {
	// ReserveAttempt counts an attempt as failed and admits it, or says until when it is refused. Of parallel callers
	// each count is taken by one.
	ReserveAttempt(ctx context.Context, account string, now time.Time, delay func(failures int64) time.Duration) (blockedUntil time.Time, err error)
	ForgetAttempts(ctx context.Context, account string) error
	SweepAttempts(ctx context.Context, before time.Time) error
	limit.Windows
}

// KeyStore keeps signing keys. At most one is next and at most one is active: the database holds that.
type KeyStore interface {
	SigningKeys(ctx context.Context) ([]StoredKey, error)
	InsertSigningKey(ctx context.Context, k StoredKey) error
	// PromoteNextKey makes the next key active and retires the active one, when next was made at or before the time.
	PromoteNextKey(ctx context.Context, madeBefore, now time.Time) (bool, error)
	RevokeSigningKey(ctx context.Context, kid string, now time.Time) error
	DropSigningKeys(ctx context.Context, retiredBefore time.Time) error
}

// KeyState is where a signing key stands.
type KeyState string

// The states. A revoked key has RevokedAt set and state retired.
const (
	KeyNext    KeyState = "next"
	KeyActive  KeyState = "active"
	KeyRetired KeyState = "retired"
)

// StoredKey is a signing key at rest: the private half is sealed.
type StoredKey struct {
	KID       string
	State     KeyState
	PublicKey string // base64url
	Sealed    string
	ActiveAt  *time.Time
	RetiredAt *time.Time
	RevokedAt *time.Time
	CreatedAt time.Time
}

// ClusterStore keeps clusters.
type ClusterStore interface {
	InsertCluster(ctx context.Context, c Cluster) error
	ClusterByName(ctx context.Context, name string) (Cluster, error)
	ListClusters(ctx context.Context) ([]Cluster, error)
}

// EnrolmentStore keeps one-time tokens.
type EnrolmentStore interface {
	InsertEnrolment(ctx context.Context, e Enrolment) error
	// VoidEnrolments uses up the tokens that an account made.
	VoidEnrolments(ctx context.Context, userID string, now time.Time) error
	// RedeemEnrolment uses the token once and stores the agent that build gives, in one transaction. not_found: no such
	// token, used, expired or of a disabled account.
	RedeemEnrolment(ctx context.Context, tokenHash string, now time.Time, build func(Enrolment) (Agent, error)) (Agent, error)
	InsertInvitation(ctx context.Context, tokenHash, createdBy string, exp, now time.Time) error
	// RedeemInvitation uses an invitation once and stores the account, in one transaction. not_found as above.
	RedeemInvitation(ctx context.Context, tokenHash string, now time.Time, u User) error
}

// AgentStore keeps agents.
type AgentStore interface {
	AgentEditor
	AgentByID(ctx context.Context, id string) (Agent, error)
	ListAgents(ctx context.Context) ([]Agent, error)
	TouchAgent(ctx context.Context, id string, t Touch) error
	RevokeAgent(ctx context.Context, id, ownerUserID string, now time.Time) error
	// UseAssertion remembers a jti until exp; already_exists when it was used before.
	UseAssertion(ctx context.Context, jti, agentID string, exp, now time.Time) error
}

// AgentEditor changes what an agent is and may do.
type AgentEditor interface {
	// ReplaceAgentKey stores another public key in the place of that one; not_found when the agent has another by now,
	// already_exists when another agent has it.
	ReplaceAgentKey(ctx context.Context, id, was, publicKey string, now time.Time) error
	SetAgentScopes(ctx context.Context, id string, scopes []principal.Scope) error
}

// LinkReader finds links.
type LinkReader interface {
	LinksOfUser(ctx context.Context, userID string) ([]Link, error)
	LinksOfCluster(ctx context.Context, clusterID string) ([]Link, error)
	ListLinks(ctx context.Context) ([]Link, error)
	LinkByID(ctx context.Context, id string) (Link, error)
}

// LinkStore keeps links and challenges.
type LinkStore interface {
	LinkReader
	InsertChallenge(ctx context.Context, hash, userID, clusterID string, exp, now time.Time) error
	// ConfirmChallenge uses the challenge once and stores the link, in one transaction; the same answer again gives the
	// same link. challenge_expired: no such challenge for this cluster, used, expired, or of an account that is disabled or above
	// the role user. conflict: the uid or the user is
	// linked otherwise.
	ConfirmChallenge(ctx context.Context, hash string, l Link, now time.Time) (Link, error)
	// DeleteLink removes a link. What the link of an account that the first use made knew is kept, for the uid may come back.
	DeleteLink(ctx context.Context, f LinkFilter) error
	LinkKeeper
}

// LinkKeeper says which links count.
type LinkKeeper interface {
	// SuspendLink keeps a link from counting until it is confirmed again; why is one of the Suspended words.
	SuspendLink(ctx context.Context, id, why string, now time.Time) error
	// ResumeLink confirms a link, under another primary group when gid is not nil.
	ResumeLink(ctx context.Context, id string, gid *int64, now time.Time) error
	// SuspendLinksBefore suspends links that were last confirmed before the time, and gives them.
	SuspendLinksBefore(ctx context.Context, before, now time.Time) ([]Link, error)
}

// LinkFilter names one link: by id and its user, or by cluster and uid.
type LinkFilter struct {
	ID, UserID string
	ClusterID  string
	UID        int64
}

// QuotaStore reads what an account stores; not_found when it never stored anything.
type QuotaStore interface {
	QuotaOf(ctx context.Context, userID string) (Quota, error)
}

// Auditor writes one row; an act that cannot be audited must not be answered with success.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
	// RecordWith does an act and writes its row in one transaction, which is that of the context that act gets.
	RecordWith(ctx context.Context, e audit.Event, act func(ctx context.Context) error) error
}
