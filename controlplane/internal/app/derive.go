package app

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Derive makes a 32-byte key for one purpose out of the secret (RFC 5869). Different purposes give independent keys.
func Derive(secret []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "ergon "+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return key, nil
}
