package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

const (
	// reloadEvery is how old a replica's picture of the keys gets. A revoked key is refused everywhere after that.
	reloadEvery = 10 * time.Second
	// unknownKIDEvery bounds how often an unknown kid makes a replica read the database.
	unknownKIDEvery = 30 * time.Second
	// promoteAfter gives every replica time to learn of a key before anyone signs with it.
	promoteAfter = 2 * reloadEvery
	// keepRetired: no token outlives its life and the leeway.
	keepRetired = maxTokenLife + 2*leeway
)

// JWK is a public key as /.well-known/jwks.json shows it (RFC 8037).
type JWK struct{ KID, X string }

// Keyring holds the signing keys of one replica in memory.
type Keyring struct {
	store KeyStore
	seal  sealer
	now   func() time.Time
	rand  io.Reader

	mu          sync.RWMutex
	active      string
	private     ed25519.PrivateKey
	public      map[string]ed25519.PublicKey
	order       []JWK
	lastUnknown time.Time
}

func newKeyring(store KeyStore, seal sealer, now func() time.Time, rand io.Reader) *Keyring {
	return &Keyring{store: store, seal: seal, now: now, rand: rand}
}

// Reload reads the keys; without any it makes the first one. It also moves rotation on: a next key that every replica knows
// becomes active, keys that no live token was signed with are dropped.
func (k *Keyring) Reload(ctx context.Context) error {
	now := k.now()
	if _, err := k.store.PromoteNextKey(ctx, now.Add(-promoteAfter), now); err != nil {
		return fmt.Errorf("promoting the next signing key: %w", err)
	}
	if err := k.store.DropSigningKeys(ctx, now.Add(-keepRetired)); err != nil {
		return fmt.Errorf("dropping old signing keys: %w", err)
	}
	keys, err := k.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	if !hasActive(keys) {
		if keys, err = k.bootstrap(ctx); err != nil {
			return err
		}
	}
	return k.install(keys)
}

func hasActive(keys []StoredKey) bool {
	for _, key := range keys {
		if key.State == KeyActive {
			return true
		}
	}
	return false
}

// bootstrap makes an active key: at the first start, or after the active one was revoked. A waiting next key is taken
// first. When another replica was faster its key counts.
func (k *Keyring) bootstrap(ctx context.Context) ([]StoredKey, error) {
	now := k.now()
	promoted, err := k.store.PromoteNextKey(ctx, now, now)
	if err != nil {
		return nil, fmt.Errorf("promoting the next signing key: %w", err)
	}
	if !promoted {
		if err := k.insert(ctx, KeyActive); err != nil && !apperr.Is(err, apperr.AlreadyExists) {
			return nil, err
		}
	}
	keys, err := k.store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	return keys, nil
}

func (k *Keyring) insert(ctx context.Context, state KeyState) error {
	pub, priv, err := ed25519.GenerateKey(k.rand)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	x := base64.RawURLEncoding.EncodeToString(pub)
	kid := thumbprint(x)
	sealed, err := k.seal.seal(kid, priv.Seed())
	if err != nil {
		return err
	}
	now := k.now()
	row := StoredKey{KID: kid, State: state, PublicKey: x, Sealed: sealed, CreatedAt: now}
	if state == KeyActive {
		row.ActiveAt = &now
	}
	if err := k.store.InsertSigningKey(ctx, row); err != nil {
		return fmt.Errorf("storing a signing key: %w", err)
	}
	return nil
}

// thumbprint is the kid: SHA-256 over the required members in order (RFC 7638, RFC 8037 A.3).
func thumbprint(x string) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (k *Keyring) install(keys []StoredKey) error {
	public, order := map[string]ed25519.PublicKey{}, []JWK{}
	var active string
	var private ed25519.PrivateKey
	for _, key := range keys {
		if key.RevokedAt != nil {
			continue
		}
		pub, err := parsePublicKey(key.PublicKey)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", key.KID, err)
		}
		public[key.KID] = pub
		order = append(order, JWK{KID: key.KID, X: key.PublicKey})
		if key.State == KeyActive {
			seed, err := k.seal.open(key.KID, key.Sealed)
			if err != nil {
				return err
			}
			active, private = key.KID, ed25519.NewKeyFromSeed(seed)
		}
	}
	if active == "" {
		return errors.New("there is no active signing key")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active, k.private, k.public, k.order = active, private, public, order
	return nil
}

// signer is the key that signs now.
func (k *Keyring) signer() (string, ed25519.PrivateKey) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.active, k.private
}

// verifier finds a key. An unknown kid may be new: it causes one reload, at most every 30 s.
func (k *Keyring) verifier(ctx context.Context, kid string) (ed25519.PublicKey, bool) {
	if key, ok := k.lookup(kid); ok {
		return key, true
	}
	if !k.mayReload() || k.Reload(ctx) != nil {
		return nil, false
	}
	return k.lookup(kid)
}

func (k *Keyring) lookup(kid string) (ed25519.PublicKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok := k.public[kid]
	return key, ok
}

func (k *Keyring) mayReload() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if !k.lastUnknown.IsZero() && now.Sub(k.lastUnknown) < unknownKIDEvery {
		return false
	}
	k.lastUnknown = now
	return true
}

// JWKS lists the public keys that verify tokens.
func (k *Keyring) JWKS() []JWK {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.order
}
