package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/limit"
)

// Stores is everything that identity keeps; one adapter may be all of them.
type Stores struct {
	Users      UserStore
	Sessions   SessionStore
	Throttle   ThrottleStore
	Keys       KeyStore
	Clusters   ClusterStore
	Enrolments EnrolmentStore
	Agents     AgentStore
	Links      LinkStore
	Quotas     QuotaStore
	Devices    DeviceStore
	Pages      PageStore
	Personal   PersonalStore
	Unix       UnixStore
	OIDC       OIDCStore
	Managers   ManagerStore
}

// Config is what a site sets.
type Config struct {
	Issuer         string
	Audiences      []string // that an agent's assertion may name; the issuer always counts
	Registration   string   // open, invite or closed
	AccessTTL      time.Duration
	RefreshTTL     time.Duration
	RecentLogin    time.Duration // how fresh a login sensitive acts need
	Params         Params        // of argon2id
	ParallelHashes int
	LoginPerMinute int           // per address
	DefaultQuota   Quota         // what a new account may store
	KeyRotation    time.Duration // how old the signing key gets; 0: only by hand
	TokenMaxTTL    time.Duration // longest life of a personal access token
	OIDCAccounts   bool          // the first sign-in at the provider makes an account
	LinkTTL        time.Duration // a link that was not confirmed for so long is suspended; 0: never

	Coordinators       bool // Slurm's coordinators see sums of their accounts
	ManagersSeePersons bool // and of single persons, who can see who looked
}

// Deps come in by the door. Secret derives the keys of refresh tokens and of the seal; it is the same on every replica.
type Deps struct {
	Stores Stores
	Audit  Auditor
	Now    func() time.Time
	Rand   io.Reader
	Log    *slog.Logger
	Secret []byte
	Count  func(event string) // counts a security event for metrics; nil: nobody counts

	Provider Provider                            // nil: no OpenID provider
	Breached func(password string) (bool, error) // nil: no list of breached passwords
}

// Service is identity of one replica. Make it with New, call Ready before it verifies tokens, Run beside it.
type Service struct {
	cfg      Config
	st       Stores
	audit    Auditor
	now      func() time.Time
	rand     io.Reader
	log      *slog.Logger
	count    func(string)
	hasher   *Hasher
	ring     *Keyring
	tokens   tokens
	refresh  refreshMaker
	addrs    *limiter      // of what costs a hash: logins and registrations
	exact    *limit.Shared // the same, for all replicas together
	cheap    *limiter      // of what costs little; a login node with hundreds of users has one address
	names    nameHasher
	sessions *cache[SessionState]
	agents   *cache[Agent]
	personal *cache[PersonalState]
	pageKey  []byte // of CSRF tokens, user codes and their tries, and sign-ins at a provider
	provider Provider
	breached func(password string) (bool, error)
}

// New builds the service; it touches no database yet.
func New(cfg Config, d Deps) (*Service, error) {
	if len(d.Secret) < 32 {
		return nil, errors.New("identity: the secret has fewer than 32 bytes")
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.Count == nil {
		d.Count = func(string) {}
	}
	s := &Service{cfg: cfg, st: d.Stores, audit: d.Audit, now: d.Now, rand: d.Rand, log: d.Log, count: d.Count, refresh: refreshMaker{secret: d.Secret}}
	s.provider, s.breached = d.Provider, d.Breached
	var err error
	if s.hasher, err = NewHasher(cfg.Params, cfg.ParallelHashes, d.Rand); err != nil {
		return nil, err
	}
	if s.names, err = newNameHasher(d.Secret); err != nil {
		return nil, err
	}
	if s.pageKey, err = subkey(d.Secret, "confirmation page"); err != nil {
		return nil, err
	}
	if err := s.prepareKeys(d.Secret); err != nil {
		return nil, err
	}
	s.addrs = newLimiter(cfg.LoginPerMinute, d.Now)
	s.exact = limit.NewShared(d.Stores.Throttle, "login", cfg.LoginPerMinute, d.Now)
	s.cheap = newLimiter(cfg.LoginPerMinute*cheapFactor, d.Now)
	s.sessions = newCache(d.Now, d.Stores.Sessions.SessionState)
	s.agents = newCache(d.Now, d.Stores.Agents.AgentByID)
	s.personal = newCache(d.Now, s.loadPersonal)
	return s, nil
}

func (s *Service) prepareKeys(secret []byte) error {
	key, err := subkey(secret, "signing key seal")
	if err != nil {
		return err
	}
	seal, err := newSealer(key, s.rand)
	if err != nil {
		return err
	}
	s.ring = newKeyring(s.st.Keys, seal, s.now, s.rand)
	s.tokens = tokens{ring: s.ring, issuer: s.cfg.Issuer, life: s.cfg.AccessTTL, now: s.now}
	return nil
}

// Ready loads the signing keys, or makes the first one.
func (s *Service) Ready(ctx context.Context) error { return s.ring.Reload(ctx) }

// Run keeps keys fresh and sweeps what has expired, until ctx ends. A failing database is logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	return s.keep(ctx, tick.C)
}

func (s *Service) keep(ctx context.Context, ticks <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
			if err := s.maintain(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "identity upkeep failed and will be tried again", "error", err)
			}
		}
	}
}

// throttleMemory is how long failed logins of a name are remembered.
const throttleMemory = time.Hour

func (s *Service) maintain(ctx context.Context) error {
	err := s.ring.Reload(ctx)
	if err == nil {
		err = s.rotateByAge(ctx)
	}
	err = errors.Join(err, s.expireLinks(ctx))
	return errors.Join(err, s.st.Throttle.SweepAttempts(ctx, s.now().Add(-throttleMemory)))
}

// randomToken is 256 bits with a prefix that names it to humans and to scanners of leaked secrets.
func (s *Service) randomToken(prefix string, size int) (string, error) {
	raw := make([]byte, size)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", fmt.Errorf("drawing a token: %w", err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// act does something and audits it, all or nothing. do works with the context that it gets and records nothing itself.
func (s *Service) act(ctx context.Context, e audit.Event, do func(ctx context.Context) error) error {
	e.Outcome = audit.OK
	return s.audit.RecordWith(ctx, e, do)
}

// record audits an act that succeeded.
func (s *Service) record(ctx context.Context, action, subject string, detail map[string]string) error {
	return s.audit.Record(ctx, audit.Event{Action: action, Subject: subject, Outcome: audit.OK, Detail: detail})
}

// recordFailure audits a refusal. The refusal stands whether or not it could be written; then the log has it.
func (s *Service) recordFailure(ctx context.Context, e audit.Event, cause error) {
	e.Outcome = string(apperr.CodeOf(cause))
	s.count(e.Action + "." + e.Outcome)
	if err := s.audit.Record(ctx, e); err != nil {
		s.log.ErrorContext(ctx, "an audit row could not be written", "action", e.Action, "outcome", e.Outcome, "error", err)
	}
}
