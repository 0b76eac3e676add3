package identity

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// freeAttempts may fail before a delay grows; maxDelay keeps a stranger from locking an account out for long.
const (
	freeAttempts = 5
	maxDelay     = 30 * time.Second
)

// loginDelay after so many failures in a row: 1 s, 2 s, 4 s … 30 s. There is no lock-out.
func loginDelay(failures int64) time.Duration {
	over := failures - freeAttempts
	if over < 0 {
		return 0
	}
	if over > 5 {
		return maxDelay
	}
	return min(maxDelay, time.Second<<over)
}

// nameHasher makes the key under which failed logins are counted: people type passwords into name fields.
type nameHasher struct{ key []byte }

func subkey(secret []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "identity "+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return key, nil
}

func newNameHasher(secret []byte) (nameHasher, error) {
	key, err := subkey(secret, "login throttle")
	return nameHasher{key: key}, err
}

func (n nameHasher) of(username string) string {
	h := hmac.New(sha256.New, n.key)
	h.Write([]byte(username))
	return hex.EncodeToString(h.Sum(nil))
}

// reserve counts the attempt before it costs a hash. A success forgets the count.
func (s *Service) reserve(ctx context.Context, username string) error {
	now := s.now()
	until, err := s.st.Throttle.ReserveAttempt(ctx, s.names.of(username), now, loginDelay)
	if err != nil {
		return fmt.Errorf("counting login attempts: %w", err)
	}
	if until.After(now) {
		return &apperr.Error{
			Code: apperr.RateLimited, Message: "too many failed attempts for this account", Hint: "wait and try again",
			RetryAfter: until.Sub(now),
		}
	}
	return nil
}
