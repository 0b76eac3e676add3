package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// clock is set by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

const testPassword = "correct horse battery"

var testSecret = []byte("0123456789abcdef0123456789abcdef0123456789abcdef")

// cheap parameters: these tests are about what happens around the hash.
var cheap = identity.Params{MemoryKiB: 64, Time: 1, Threads: 1}

func testConfig() identity.Config {
	return identity.Config{
		Issuer: "ergon", Registration: "open", AccessTTL: 10 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RecentLogin: 5 * time.Minute,
		Params: cheap, ParallelHashes: 2, LoginPerMinute: 100_000,
	}
}

// replica is one server on the store, with its own caches and keys in memory.
func replica(t testing.TB, st *gormstore.Store, c *clock, change func(*identity.Config)) *identity.Service {
	t.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	s, err := identity.New(cfg, depsFor(st, c, testSecret))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func from(ip string) context.Context {
	return principal.WithOrigin(context.Background(), principal.Origin{IP: netip.MustParseAddr(ip), RequestID: "request-1"})
}

func ctx() context.Context { return from("192.0.2.7") }

// login makes the account when needed and begins a session.
func login(t testing.TB, s *identity.Service, name string) identity.TokenPair {
	t.Helper()
	_, err := s.Register(ctx(), identity.Credentials{Username: name, Password: testPassword})
	if err != nil && !apperr.Is(err, apperr.AlreadyExists) {
		t.Fatal(err)
	}
	pair, err := s.Login(ctx(), identity.Credentials{Username: name, Password: testPassword})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// as is a context of the caller that the token names.
func as(t testing.TB, s *identity.Service, token string) context.Context {
	t.Helper()
	p, err := s.Authenticate(ctx(), token)
	if err != nil {
		t.Fatal(err)
	}
	return principal.With(ctx(), p)
}

func wantCode(t testing.TB, what string, err error, want apperr.Code) {
	t.Helper()
	if err == nil || apperr.CodeOf(err) != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func openSQLite(t testing.TB) *gormstore.Store {
	t.Helper()
	return storetest.SQLite(t)
}

// enrolled makes a cluster and an agent of a kind, and gives its first access token.
func enrolled(t testing.TB, s *identity.Service, kind principal.AgentKind) (identity.Agent, string) {
	t.Helper()
	return enrolledWith(t, s, kind, newAgentKey(t))
}

// enrolledWith is enrolled with a key that the test goes on using.
func enrolledWith(t testing.TB, s *identity.Service, kind principal.AgentKind, k agentKey) (identity.Agent, string) {
	t.Helper()
	if _, err := s.CreateCluster(ctx(), "hpc"); err != nil && !apperr.Is(err, apperr.AlreadyExists) {
		t.Fatal(err)
	}
	owner, uid := "", int64(0)
	if kind == principal.AgentUser {
		login(t, s, "owner1")
		owner, uid = "owner1", 1000
	}
	token, _, err := s.EnrolToken(ctx(), "hpc", kind, owner)
	must(t, err)
	req := identity.EnrolRequest{Token: token, Name: "login1", PublicKey: k.public(), Version: "1"}
	if kind == principal.AgentUser {
		req.UID, req.UnixName = &uid, "alice"
	}
	a, err := s.Enrol(ctx(), req)
	must(t, err)
	access, _, err := s.AgentToken(ctx(), k.assertion(t, s, a.ID, nil))
	must(t, err)
	return a, access
}

// agentKey is the key pair that stays on a login node.
type agentKey struct{ private ed25519.PrivateKey }

func newAgentKey(t testing.TB) agentKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return agentKey{private: private}
}

func (k agentKey) public() string {
	return base64.RawURLEncoding.EncodeToString(k.private.Public().(ed25519.PublicKey))
}

// keyProof is a signature by which a key of an agent is proven, or consents to another.
func (k agentKey) keyProof(agentID, publicKey string) string {
	return base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, []byte(identity.KeyProof(agentID, publicKey))))
}

// assertion is a private_key_jwt; change breaks or replaces claims, nil removes one.
func (k agentKey) assertion(t testing.TB, s *identity.Service, id string, change map[string]any) string {
	t.Helper()
	now := s.Now().Unix()
	f := forger{
		key: k.private, header: map[string]any{"alg": "EdDSA", "typ": "JWT"},
		claims: map[string]any{"iss": id, "sub": id, "aud": []string{"ergon", "https://ergon.example"}, "jti": uuid.NewString(), "iat": now, "exp": now + 300},
	}
	return f.token(nil, change)
}

func depsFor(st *gormstore.Store, c *clock, secret []byte) identity.Deps {
	log, err := audit.New(st, c.now, secret)
	if err != nil {
		panic(err)
	}
	return identity.Deps{
		Stores: identity.Stores{
			Users: st, Sessions: st, Throttle: st, Keys: st, Clusters: st, Enrolments: st, Agents: st, Links: st,
			Quotas:  st.Storage().SiteQuotas(storage.Limit{Bytes: 1 << 30, Objects: 1000}),
			Devices: st, Pages: st, Personal: st, Unix: st, OIDC: st, Managers: st,
		},
		Audit: log, Now: c.now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Secret: secret,
	}
}

func replicaWithKeys(t testing.TB, st *gormstore.Store, keys identity.KeyStore, c *clock) *identity.Service {
	t.Helper()
	return replicaWith(t, c, st, func(d *identity.Deps) { d.Stores.Keys = keys })
}

func replicaWith(t testing.TB, c *clock, st *gormstore.Store, change func(*identity.Deps)) *identity.Service {
	t.Helper()
	deps := depsFor(st, c, testSecret)
	change(&deps)
	s, err := identity.New(testConfig(), deps)
	must(t, err)
	must(t, s.Ready(context.Background()))
	return s
}

// upkeep runs the background work of a replica; each call of the function it gives is one tick, done when it returns.
func upkeep(t testing.TB, s *identity.Service) func() {
	t.Helper()
	c, cancel := context.WithCancel(context.Background())
	ticks, done := make(chan time.Time), make(chan error, 1)
	go func() { done <- s.Keep(c, ticks) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	return func() {
		ticks <- time.Time{}
		ticks <- time.Time{} // taken when the first is done
	}
}
