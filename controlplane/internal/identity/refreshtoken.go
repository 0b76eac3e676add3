package identity

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// A refresh token is "ergr_" and base64url of session id (16 bytes), counter (8 bytes) and HMAC-SHA256(session key, counter),
// where the session key is HKDF(secret, session id). So it can be told from noise without the database, a lost successor
// can be made again, and a copy of the database, which holds only SHA-256 of tokens, makes none.
const (
	refreshPrefix = "ergr_"
	refreshBytes  = 16 + 8 + sha256.Size
)

type refreshMaker struct{ secret []byte }

// token of a session with the counter.
func (m refreshMaker) token(session uuid.UUID, counter int64) (string, error) {
	mac, err := m.mac(session, counter)
	if err != nil {
		return "", err
	}
	raw := make([]byte, 0, refreshBytes)
	raw = append(raw, session[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(counter))
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(raw, mac...)), nil
}

// parse checks form and MAC. ok false says that no server with this secret made it.
func (m refreshMaker) parse(text string) (session uuid.UUID, counter int64, ok bool) {
	body, found := strings.CutPrefix(text, refreshPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if !found || err != nil || len(raw) != refreshBytes {
		return uuid.Nil, 0, false
	}
	copy(session[:], raw[:16])
	counter = int64(binary.BigEndian.Uint64(raw[16:24]))
	want, err := m.mac(session, counter)
	return session, counter, err == nil && hmac.Equal(want, raw[24:])
}

func (m refreshMaker) mac(session uuid.UUID, counter int64) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, m.secret, nil, "refresh "+session.String(), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving a session key: %w", err)
	}
	h := hmac.New(sha256.New, key)
	var c [8]byte
	binary.BigEndian.PutUint64(c[:], uint64(counter))
	h.Write(c[:])
	return h.Sum(nil), nil
}

// digest is how a secret token is stored.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
