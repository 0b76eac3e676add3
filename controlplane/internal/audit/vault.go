package audit

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// vault seals what names people, each person's under a key of their own, and signs heads. Keys of persons lie in the
// database under a key that only the server's secret gives: a dump alone opens nothing.
type vault struct {
	keys   Keys
	now    func() time.Time
	master cipher.AEAD
	macKey []byte
}

func newVault(keys Keys, now func() time.Time, secret []byte) (vault, error) {
	if len(secret) < sha256.Size {
		return vault{}, errors.New("audit: the secret has fewer than 32 bytes")
	}
	v := vault{keys: keys, now: now}
	key, err := hkdf.Key(sha256.New, secret, nil, "audit keys of persons", sha256.Size)
	if err != nil {
		return v, fmt.Errorf("deriving a key: %w", err)
	}
	if v.master, err = newAEAD(key); err != nil {
		return v, err
	}
	if v.macKey, err = hkdf.Key(sha256.New, secret, nil, "audit heads", sha256.Size); err != nil {
		return v, fmt.Errorf("deriving a key: %w", err)
	}
	return v, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing a cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Forgotten stands where something was to be sealed for a person whose key was destroyed.
const Forgotten = "forgotten"

// sealed texts carry this in front, so that an address of a version 1 row is not taken for one.
const sealMark = "s1."

// seal gives text that only the person's key opens. place binds it to its row and column.
func (v vault) seal(ctx context.Context, person, place string, plain []byte) (string, error) {
	key, err := v.key(ctx, person)
	if err != nil || key == nil {
		return Forgotten, err
	}
	return sealMark + base64.RawURLEncoding.EncodeToString(key.Seal(nil, nil, plain, []byte(place))), nil
}

// open gives the text back; Forgotten when the key is gone.
func (v vault) open(ctx context.Context, person, place, text string) (string, error) {
	coded, ok := strings.CutPrefix(text, sealMark)
	if !ok {
		return text, nil
	}
	sealedKey, err := v.keys.AuditKey(ctx, person)
	if apperr.Is(err, apperr.NotFound) || (err == nil && sealedKey == "") {
		return Forgotten, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the audit key of a person: %w", err)
	}
	key, err := v.unwrap(person, sealedKey)
	if err != nil {
		return "", err
	}
	raw, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return "", fmt.Errorf("reading a sealed text: %w", err)
	}
	plain, err := key.Open(nil, nil, raw, []byte(place))
	if err != nil {
		return "", fmt.Errorf("opening a sealed text: %w", err)
	}
	return string(plain), nil
}

// key is the person's, made when there is none; nil when it was destroyed.
func (v vault) key(ctx context.Context, person string) (cipher.AEAD, error) {
	sealed, err := v.keys.AuditKey(ctx, person)
	if apperr.Is(err, apperr.NotFound) {
		if err = v.makeKey(ctx, person); err == nil {
			sealed, err = v.keys.AuditKey(ctx, person) // of two that made one, one counts
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the audit key of a person: %w", err)
	}
	if sealed == "" {
		return nil, nil //nolint:nilnil // there is none, and none shall be made
	}
	return v.unwrap(person, sealed)
}

func (v vault) makeKey(ctx context.Context, person string) error {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	sealed := base64.RawURLEncoding.EncodeToString(v.master.Seal(nil, nil, key, []byte(person)))
	return v.keys.InsertAuditKey(ctx, person, sealed, v.now())
}

func (v vault) unwrap(person, sealed string) (cipher.AEAD, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("reading the audit key of a person: %w", err)
	}
	key, err := v.master.Open(nil, nil, raw, []byte(person))
	if err != nil {
		return nil, fmt.Errorf("opening the audit key of a person; was the server's secret changed? %w", err)
	}
	return newAEAD(key)
}

// head signs the last row of a chain.
func (v vault) head(last Row) Head {
	h := Head{Chain: last.Chain, Seq: last.Seq, Hash: last.Hash, At: last.At}
	h.MAC = v.mac(h)
	return h
}

func (v vault) mac(h Head) string {
	m := hmac.New(sha256.New, v.macKey)
	fmt.Fprintf(m, "%d:%s %d %s", len(h.Chain), h.Chain, h.Seq, h.Hash)
	return hex.EncodeToString(m.Sum(nil))
}

func (v vault) genuine(h Head) bool { return hmac.Equal([]byte(h.MAC), []byte(v.mac(h))) }

// ForgetUser destroys the key under which names and addresses of an account stand in the audit log: they cannot be read any
// more, by nobody, and no row changes. It may be repeated. The deletion of an account calls it as its last step but the
// receipt, with the account's id; what is recorded of that account afterwards holds no name and no address.
func ForgetUser(ctx context.Context, keys Keys, userID string, now time.Time) error {
	if err := keys.DestroyAuditKey(ctx, userID, now); err != nil {
		return fmt.Errorf("destroying the audit key of an account: %w", err)
	}
	return nil
}
