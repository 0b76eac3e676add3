package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"

	"filippo.io/edwards25519"
)

var (
	errKeyForm  = errors.New("not an Ed25519 public key in base64url without padding")
	errKeyPoint = errors.New("not an Ed25519 public key: these bytes are no point of the curve in its one canonical form (RFC 8032 §5.1.2)")
	errKeyOrder = errors.New("not an Ed25519 public key: a point of small order, for which anybody makes signatures")
)

// parsePublicKey reads a key that somebody registers or that is stored. crypto/ed25519 would take more: a point of small order,
// for which a signature of zeros fits every message or every eighth, and a second form of the same point, so that one key could
// be enrolled twice. No key that was made by the rules is either.
func parsePublicKey(x string) (ed25519.PublicKey, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, errKeyForm
	}
	point, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil || !bytes.Equal(point.Bytes(), raw) {
		return nil, errKeyPoint
	}
	if point.MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errKeyOrder
	}
	return raw, nil
}
