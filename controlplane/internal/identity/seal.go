package identity

import (
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealer encrypts private keys at rest (XChaCha20-Poly1305, random nonce of 192 bits). The kid is bound in, so that rows
// cannot be swapped.
type sealer struct {
	aead cipher.AEAD
	rand io.Reader
}

func newSealer(key []byte, rand io.Reader) (sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return sealer{}, fmt.Errorf("preparing the key seal: %w", err)
	}
	return sealer{aead: aead, rand: rand}, nil
}

func (s sealer) seal(kid string, plain []byte) (string, error) {
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return "", fmt.Errorf("drawing a nonce: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte(kid))), nil
}

func (s sealer) open(kid, sealed string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return nil, errors.New("a signing key in the database is damaged")
	}
	plain, err := s.aead.Open(nil, raw[:s.aead.NonceSize()], raw[s.aead.NonceSize():], []byte(kid))
	if err != nil {
		return nil, errors.New("a signing key cannot be opened: the secret (ERGON_AUTH_SECRET_FILE, or auth.key in the data directory) is not the one it was sealed with")
	}
	return plain, nil
}
