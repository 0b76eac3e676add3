package identity

import (
	"context"
	"crypto/ed25519"
	"time"
)

// What tests of the package's outside need to forge tokens and to look inside.
const (
	AudienceUser  = audienceUser
	AudienceAgent = audienceAgent
	FreeAttempts  = freeAttempts
	ReloadEvery   = reloadEvery
)

func (s *Service) Signer() (string, ed25519.PrivateKey) { return s.ring.signer() }

func (s *Service) Now() time.Time { return s.now() }

func (s *Service) Reload(ctx context.Context) error { return s.ring.Reload(ctx) }

// Keep is Run, at the test's own pace.
func (s *Service) Keep(ctx context.Context, ticks <-chan time.Time) error { return s.keep(ctx, ticks) }

// Compared is how many passwords were compared, each at the price of a hash.
func (s *Service) Compared() int64 { return s.hasher.hashed.Load() }

func (s *Service) Verify(ctx context.Context, token string) (string, error) {
	c, err := s.tokens.verify(ctx, token)
	return c.Subject, err
}

func CheckPublicKey(x string) error {
	_, err := parsePublicKey(x)
	return err
}

func ParseUserCode(text string) (string, bool) { return parseUserCode(text) }

// Thumbprint names a key of an agent in the audit log.
func Thumbprint(publicKey string) string { return thumbprint(publicKey) }
