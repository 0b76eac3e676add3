package storage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// ParseDigest reads 64 lower-case hex digits.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(len(d)) {
		return Digest{}, errors.New("a SHA-256 is 64 hex digits")
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil || d.Hex() != text {
		return Digest{}, errors.New("a SHA-256 is 64 lower-case hex digits")
	}
	return d, nil
}

// ParseChecksum reads the base64 that S3 uses.
func ParseChecksum(text string) (Digest, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return Digest{}, errors.New("not the base64 of a SHA-256")
	}
	return Digest(raw), nil
}

// Hex is the form of our own API.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// Checksum is the form of S3: base64.
func (d Digest) Checksum() string { return base64.StdEncoding.EncodeToString(d[:]) }

// Composite is what S3 answers as the checksum of a multipart object: base64(SHA-256 of the parts' digests)-N
// (AWS S3 User Guide, "Checking object integrity", composite checksums). parts are in order.
func Composite(parts []Part) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p.SHA256[:])
	}
	return Digest(h.Sum(nil)).Checksum() + "-" + strconv.Itoa(len(parts))
}
