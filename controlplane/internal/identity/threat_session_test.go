package identity_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func TestThreat_T07_ARevokedSessionIsRefusedOnEveryReplica(t *testing.T) {
	ways := map[string]func(t *testing.T, s *identity.Service, pair identity.TokenPair) error{
		"logout": func(t *testing.T, s *identity.Service, p identity.TokenPair) error {
			return s.Logout(as(t, s, p.AccessToken), false)
		},
		"logout everywhere": func(t *testing.T, s *identity.Service, p identity.TokenPair) error {
			return s.Logout(as(t, s, login(t, s, "alice").AccessToken), true)
		},
		"revoked from another session": func(t *testing.T, s *identity.Service, p identity.TokenPair) error {
			return s.RevokeSession(as(t, s, login(t, s, "alice").AccessToken), p.SessionID)
		},
		"password changed in another session": func(t *testing.T, s *identity.Service, p identity.TokenPair) error {
			return s.ChangePassword(as(t, s, login(t, s, "alice").AccessToken), testPassword, "another good password")
		},
		"account disabled": func(_ *testing.T, s *identity.Service, _ identity.TokenPair) error {
			return s.SetDisabled(ctx(), "alice", true)
		},
		"password reset": func(_ *testing.T, s *identity.Service, _ identity.TokenPair) error {
			return s.ResetPassword(ctx(), "alice", "another good password")
		},
	}
	for name, revoke := range ways {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
				c := newClock()
				here, there := replica(t, st, c, nil), replica(t, st, c, nil)
				pair := login(t, here, "alice")
				_, err := there.Authenticate(ctx(), pair.AccessToken) // the other replica has it in its memory now
				must(t, err, revoke(t, here, pair))
				c.add(30 * time.Second)
				_, err = there.Authenticate(ctx(), pair.AccessToken)
				wantCode(t, "on the other replica", err, apperr.Unauthorized)
				_, err = there.Refresh(ctx(), pair.RefreshToken)
				wantCode(t, "refreshing", err, apperr.Unauthorized)
			})
		})
	}
}

func TestARevocationCountsAtOnceWhereItWasMade(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), nil)
	pair := login(t, s, "alice")
	must(t, s.Logout(as(t, s, pair.AccessToken), false))
	_, err := s.Authenticate(ctx(), pair.AccessToken)
	wantCode(t, "at once", err, apperr.Unauthorized)
}

// T7: what outlives an access token, or takes something from its owner, needs a login of the last five minutes.
func TestThreat_T07_SensitiveActsNeedAFreshLogin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, withTokens)
		_, err := s.CreateUser(ctx(), "boss", testPassword, principal.RoleAdmin)
		must(t, err)
		_, agent := enrolled(t, s, principal.AgentSystem)
		pair, alice := login(t, s, "boss"), login(t, s, "alice")
		challenge, _, err := s.CreateChallenge(as(t, s, alice.AccessToken), "hpc")
		must(t, err)
		link, err := s.ConfirmLink(as(t, s, agent), confirmation(challenge, 1000, "alice"))
		must(t, err)
		acts := map[string]func(context.Context) error{
			"a token for programs": func(who context.Context) error { _, _, err := s.CreateToken(who, tokenRequest()); return err },
			"an agent of one's own": func(who context.Context) error {
				_, _, err := s.CreateEnrolment(who, "hpc", principal.AgentUser)
				return err
			},
			"a challenge":        func(who context.Context) error { _, _, err := s.CreateChallenge(who, "hpc"); return err },
			"unlinking":          func(who context.Context) error { return s.DeleteLink(who, link.ID) },
			"erasing, exporting": func(who context.Context) error { _, err := s.Recent(who); return err },
		}
		system := func(who context.Context) error {
			_, _, err := s.CreateEnrolment(who, "hpc", principal.AgentSystem)
			return err
		}
		c.add(5*time.Minute + time.Second)
		refuse := func(when string) {
			t.Helper()
			for name, act := range acts {
				wantCode(t, name+" "+when, act(as(t, s, alice.AccessToken)), apperr.Forbidden)
			}
			wantCode(t, "a system agent "+when, system(as(t, s, pair.AccessToken)), apperr.Forbidden)
		}
		refuse("after five minutes")
		pair, err = s.Refresh(ctx(), pair.RefreshToken)
		must(t, err)
		alice, err = s.Refresh(ctx(), alice.RefreshToken)
		must(t, err)
		refuse("after a refresh, which is no login")
		alice, pair = login(t, s, "alice"), login(t, s, "boss")
		for name, act := range acts {
			if err := act(as(t, s, alice.AccessToken)); err != nil {
				t.Errorf("%s after a login: %v", name, err)
			}
		}
		must(t, system(as(t, s, pair.AccessToken)))
	})
}

// T7: a copied access token of an agent takes the agent over for ten minutes at most.
func TestThreat_T07_AnAgentsTokenAloneReplacesNoKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		old, next, thief := newAgentKey(t), newAgentKey(t), newAgentKey(t)
		a, stolen := enrolledWith(t, s, principal.AgentSystem, old)
		who := as(t, s, stolen)
		change := func(to, by agentKey) identity.KeyChange {
			return identity.KeyChange{PublicKey: to.public(), Proof: to.keyProof(a.ID, to.public()), Consent: by.keyProof(a.ID, to.public())}
		}
		wantCode(t, "the new key consents to itself", s.RotateAgentKey(who, change(thief, thief)), apperr.InvalidRequest)
		copied := change(next, old)
		copied.PublicKey, copied.Proof = thief.public(), thief.keyProof(a.ID, thief.public())
		wantCode(t, "consent to another key", s.RotateAgentKey(who, copied), apperr.InvalidRequest)
		unproven := change(next, old)
		unproven.Proof = unproven.Consent
		wantCode(t, "a key that nobody holds", s.RotateAgentKey(who, unproven), apperr.InvalidRequest)
		if _, _, err := s.AgentToken(ctx(), old.assertion(t, s, a.ID, nil)); err != nil {
			t.Fatalf("the key was replaced: %v", err)
		}
		must(t, s.RotateAgentKey(who, change(next, old)), s.RotateAgentKey(who, change(next, old))) // the answer was lost
		if _, _, err := s.AgentToken(ctx(), next.assertion(t, s, a.ID, nil)); err != nil {
			t.Errorf("the new key: %v", err)
		}
		_, _, err := s.AgentToken(ctx(), old.assertion(t, s, a.ID, nil))
		wantCode(t, "the old key", err, apperr.Unauthorized)
	})
}

func TestThreat_T09_ARevokedKeyIsRefusedWithin30Seconds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		here, there := replica(t, st, c, nil), replica(t, st, c, nil)
		pair := login(t, here, "alice")
		kid, _ := here.Signer()
		for name, s := range map[string]*identity.Service{"here": here, "there": there} {
			if !signedByJWKS(t, s, pair.AccessToken) {
				t.Errorf("the keys that are published %s do not verify the token", name)
			}
		}
		must(t, here.RevokeKey(ctx(), kid))
		_, err := here.Authenticate(ctx(), pair.AccessToken)
		wantCode(t, "here, at once", err, apperr.Unauthorized)
		c.add(10 * time.Second)
		upkeep(t, there)() // what Run does every ten seconds
		_, err = there.Authenticate(ctx(), pair.AccessToken)
		wantCode(t, "there, at the next reload", err, apperr.Unauthorized)
		for name, s := range map[string]*identity.Service{"here": here, "there": there} {
			if slices.ContainsFunc(s.JWKS(), func(k identity.JWK) bool { return k.KID == kid }) || signedByJWKS(t, s, pair.AccessToken) {
				t.Errorf("the revoked key is published %s", name)
			}
		}
		pair, err = there.Refresh(ctx(), pair.RefreshToken)
		must(t, err)
		if _, err := here.Authenticate(ctx(), pair.AccessToken); err != nil {
			t.Errorf("a token of the new key: %v", err)
		}
	})
}

// The words "within 30 seconds" are those of the design; replicas look this often.
func TestThreat_T09_ReplicasLookForRevokedKeysOftenEnough(t *testing.T) {
	if identity.ReloadEvery <= 0 || identity.ReloadEvery > 30*time.Second {
		t.Errorf("every %s", identity.ReloadEvery)
	}
}

// signedByJWKS verifies a token as another program does that has nothing but the published keys.
func signedByJWKS(t *testing.T, s *identity.Service, token string) bool {
	t.Helper()
	_, err := jwt.Parse(token, func(tok *jwt.Token) (any, error) {
		for _, k := range s.JWKS() {
			if k.KID == tok.Header["kid"] {
				raw, err := base64.RawURLEncoding.DecodeString(k.X)
				return ed25519.PublicKey(raw), err
			}
		}
		return nil, errors.New("no such key")
	}, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithTimeFunc(s.Now))
	return err == nil
}

// countingKeys counts how often the keys are read.
type countingKeys struct {
	identity.KeyStore
	reads atomic.Int64
}

func (k *countingKeys) SigningKeys(ctx context.Context) ([]identity.StoredKey, error) {
	k.reads.Add(1)
	return k.KeyStore.SigningKeys(ctx)
}

func TestThreat_T09_UnknownKIDsReadTheDatabaseAtMostOnceIn30Seconds(t *testing.T) {
	st := openSQLite(t)
	c := newClock()
	keys := &countingKeys{KeyStore: st}
	s := replicaWithKeys(t, st, keys, c)
	pair := login(t, s, "alice")
	f := newForger(s, pair.UserID, pair.SessionID)
	before := keys.reads.Load()
	for i := range 100 {
		_, err := s.Authenticate(ctx(), f.token(map[string]any{"kid": fmt.Sprint("kid", i)}, nil))
		wantCode(t, "unknown kid", err, apperr.Unauthorized)
		c.add(250 * time.Millisecond)
	}
	if n := keys.reads.Load() - before; n != 1 {
		t.Errorf("%d reads in 25 s", n)
	}
	c.add(10 * time.Second)
	_, _ = s.Authenticate(ctx(), f.token(map[string]any{"kid": "later"}, nil))
	if n := keys.reads.Load() - before; n != 2 {
		t.Errorf("%d reads in 35 s", n)
	}
}

func TestAStoreSealedUnderAnotherSecretSaysSo(t *testing.T) {
	st := openSQLite(t)
	replica(t, st, newClock(), nil)
	s, err := identity.New(testConfig(), depsFor(st, newClock(), []byte("another secret, also of more than 32 bytes")))
	must(t, err)
	if err := s.Ready(ctx()); err == nil || !containsText(err.Error(), "ERGON_AUTH_SECRET_FILE") {
		t.Errorf("got %v", err)
	}
}

func TestThreat_T15_GuessesFromManyAddressesMeetTheAccountsDelay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		s := replica(t, st, c, func(cfg *identity.Config) { cfg.LoginPerMinute = 30 })
		login(t, s, "alice")
		before := s.Compared()
		var reached, refused atomic.Int64
		var wg sync.WaitGroup
		for a := range 100 {
			wg.Go(func() {
				for i := range 10 {
					_, err := s.Login(from(fmt.Sprintf("198.51.100.%d", a)), identity.Credentials{Username: "alice", Password: fmt.Sprint("guess ", a, i)})
					switch apperr.CodeOf(err) {
					case apperr.InvalidCredentials, apperr.Busy:
						reached.Add(1)
					case apperr.RateLimited:
						refused.Add(1)
					default:
						t.Errorf("guess: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if n := s.Compared() - before; n == 0 || n > identity.FreeAttempts {
			t.Errorf("%d passwords were compared, at most %d may", n, identity.FreeAttempts)
		}
		if n := reached.Load(); n > identity.FreeAttempts {
			t.Errorf("%d of 1000 guesses reached argon2, at most %d may", n, identity.FreeAttempts)
		}
		c.add(31 * time.Second)
		if _, err := s.Login(ctx(), identity.Credentials{Username: "alice", Password: testPassword}); err != nil {
			t.Errorf("the owner is locked out after the longest delay: %v", err)
		}
	})
}

func TestThreat_T15_NoiseFromAnAddressStopsNobodyWhoHoldsAToken(t *testing.T) {
	noisy := replica(t, openSQLite(t), newClock(), func(cfg *identity.Config) { cfg.LoginPerMinute = 2 })
	mine := login(t, noisy, "alice")
	for range 20 {
		_, _ = noisy.Refresh(ctx(), "ergr_noise")
	}
	_, err := noisy.Refresh(ctx(), "ergr_noise")
	wantCode(t, "more noise", err, apperr.RateLimited)
	if _, err := noisy.Refresh(ctx(), mine.RefreshToken); err != nil {
		t.Errorf("a real token from the same address: %v", err)
	}
}

func TestThreat_T15_AddressesAreLimitedIPv6ByNetwork(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), func(cfg *identity.Config) { cfg.LoginPerMinute = 1 })
	attempt := func(ip string) apperr.Code {
		_, err := s.Refresh(from(ip), "x")
		return apperr.CodeOf(err)
	}
	for i := range 10 {
		if got := attempt(fmt.Sprintf("2001:db8:1:2::%x", i)); got != apperr.Unauthorized {
			t.Fatalf("attempt %d: %s", i, got)
		}
	}
	for ip, want := range map[string]apperr.Code{
		"2001:db8:1:2:ffff::1": apperr.RateLimited, "2001:db8:1:3::1": apperr.Unauthorized, "::ffff:192.0.2.1": apperr.Unauthorized,
	} {
		if got := attempt(ip); got != want {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
	for range 9 {
		attempt("192.0.2.1")
	}
	if got := attempt("192.0.2.1"); got != apperr.RateLimited {
		t.Errorf("the IPv4 address does not share its mapped form's bucket: %s", got)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestThreat_T14_UnknownNamesAndWrongPasswordsLookTheSame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		login(t, s, "alice")
		login(t, s, "gone")
		must(t, s.SetDisabled(ctx(), "gone", true))
		texts := map[string]bool{}
		for _, c := range []identity.Credentials{{Username: "alice", Password: "wrong"}, {Username: "nobody", Password: "wrong"}, {Username: "gone", Password: testPassword}} {
			before := s.Compared()
			_, err := s.Login(ctx(), c)
			wantCode(t, c.Username, err, apperr.InvalidCredentials)
			texts[err.Error()] = true
			if n := s.Compared() - before; n != 1 {
				t.Errorf("%s cost %d hashes", c.Username, n)
			}
		}
		if len(texts) != 1 {
			t.Errorf("different answers: %v", texts)
		}
		for range 10 {
			_, _ = s.Login(ctx(), identity.Credentials{Username: "nobody", Password: "wrong"})
		}
		_, err := s.Login(ctx(), identity.Credentials{Username: "nobody", Password: "wrong"})
		wantCode(t, "names that do not exist are delayed too", err, apperr.RateLimited)
	})
}

func TestThreat_T14_OthersSessionsAndLinksAreNotFound(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), nil)
	alice, bob := login(t, s, "alice"), login(t, s, "bob")
	err := s.RevokeSession(as(t, s, bob.AccessToken), alice.SessionID)
	wantCode(t, "session of another", err, apperr.NotFound)
	if _, err := s.Authenticate(ctx(), alice.AccessToken); err != nil {
		t.Errorf("and it ended all the same: %v", err)
	}
	list, err := s.Sessions(as(t, s, bob.AccessToken))
	if err != nil || len(list) != 1 || list[0].ID != bob.SessionID {
		t.Errorf("%v %v", list, err)
	}
}

func TestPasswordsAreHashedAgainWhenParametersChange(t *testing.T) {
	st := openSQLite(t)
	c := newClock()
	login(t, replica(t, st, c, nil), "alice")
	before, err := st.UserByName(ctx(), "alice")
	must(t, err)
	stronger := replica(t, st, c, func(cfg *identity.Config) { cfg.Params.MemoryKiB = 128 })
	login(t, stronger, "alice")
	after, err := st.UserByName(ctx(), "alice")
	must(t, err)
	if before.PWHash == after.PWHash || !containsText(after.PWHash, "m=128,") {
		t.Errorf("%s", after.PWHash)
	}
}

func TestRegistrationModes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		c := newClock()
		closed := replica(t, st, c, func(cfg *identity.Config) { cfg.Registration = "closed" })
		invite := replica(t, st, c, func(cfg *identity.Config) { cfg.Registration = "invite" })
		cred := identity.Credentials{Username: "alice", Password: testPassword}
		_, err := closed.Register(ctx(), cred)
		wantCode(t, "closed", err, apperr.Forbidden)
		_, err = invite.Register(ctx(), cred)
		wantCode(t, "without an invitation", err, apperr.Forbidden)
		cred.Invitation, _, err = invite.Invite(ctx())
		must(t, err)
		_, err = invite.Register(ctx(), identity.Credentials{Username: "alice", Password: "short", Invitation: cred.Invitation})
		wantCode(t, "a mistake does not use it up", err, apperr.InvalidRequest)
		u, err := invite.Register(ctx(), cred)
		if err != nil || u.Role != principal.RoleUser {
			t.Fatalf("%+v %v", u, err)
		}
		cred.Username = "bob"
		_, err = invite.Register(ctx(), cred)
		wantCode(t, "a second time", err, apperr.Forbidden)
	})
}
