// Package safename turns names that other people chose into segments of object keys, and back.
//
// The alphabet of a segment is [A-Za-z0-9._-]. Any other byte becomes _HH (upper hex). An underscore stays as it is unless
// what follows would make it read as one of our marks; then it becomes _5F. A full stop after a full stop becomes _2E, and
// so does a segment that is only a full stop, so that no key holds ".." or a "." segment. The encoding never replaces or
// drops a byte: it is injective, and Decode gives the name back (design 03 T1, design 04).
//
// What is too long is cut to its first 180 encoded bytes + _H + 40 hex digits of the SHA-256 of the whole name;
// such a segment stays distinct from all others but cannot be decoded: keep the name beside the key.
package safename

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Limits of segments, in bytes.
const (
	MaxSegment = 255 // NAME_MAX of Linux file systems, which the embedded store meets (limits.h)

	keptBytes  = 180
	digestHex  = 40
	markLength = len("_H") + digestHex
	minLimit   = markLength + 1
	upperHex   = "0123456789ABCDEF"

	maxVersion      = 32
	versionAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// ErrShortened says that a segment holds a digest instead of the rest of its name.
var ErrShortened = errors.New("the name was too long for a key; only its digest is left")

// ErrMalformed says that no name encodes to this segment.
var ErrMalformed = errors.New("not an encoded name")

// Segment encodes a name of any bytes into one segment of at most limit bytes (44 … 255).
// A slash is a byte like any other: it becomes _2F.
func Segment(name string, limit int) string {
	limit = min(max(limit, minLimit), MaxSegment)
	encoded := encode(name)
	if len(encoded) <= limit {
		return encoded
	}
	return shorten(encoded, name, limit)
}

func shorten(encoded, name string, limit int) string {
	sum := sha256.Sum256([]byte(name))
	return encoded[:min(keptBytes, limit-markLength)] + "_H" + hex.EncodeToString(sum[:])[:digestHex]
}

func encode(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	for i := range len(name) {
		if stays(name, i) {
			b.WriteByte(name[i])
			continue
		}
		b.WriteByte('_')
		b.WriteByte(upperHex[name[i]>>4])
		b.WriteByte(upperHex[name[i]&15])
	}
	return b.String()
}

// stays reports whether the byte at i stands for itself.
func stays(name string, i int) bool {
	switch c := name[i]; c {
	case '.':
		return name != "." && (i == 0 || name[i-1] != '.')
	case '_':
		return !readsAsMark(name[i+1:])
	default:
		return c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
}

// readsAsMark reports whether an underscore before rest would be taken for an escape, for the mark of a shortened name,
// or, at the end, for the mark of a directory.
func readsAsMark(rest string) bool {
	switch {
	case rest == "":
		return true
	case len(rest) >= 2 && isUpperHex(rest[0]) && isUpperHex(rest[1]):
		return true
	}
	return isShortMark(rest) || isVersionMark(rest)
}

// isShortMark reports whether `_` + rest is the end of a shortened name.
func isShortMark(rest string) bool {
	return len(rest) == markLength-1 && rest[0] == 'H' && only(rest[1:], "0123456789abcdef")
}

// isVersionMark reports whether `_` + rest is the version mark of RelPath.Encode.
func isVersionMark(rest string) bool {
	return len(rest) > 1 && len(rest) <= 1+maxVersion && rest[0] == 'V' && only(rest[1:], versionAlphabet)
}

func only(s, alphabet string) bool { return strings.Trim(s, alphabet) == "" }

func isUpperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// Decode gives the name back that Segment encoded. It fails with ErrShortened or ErrMalformed.
func Decode(segment string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		if segment[i] != '_' {
			b.WriteByte(segment[i])
			continue
		}
		rest := segment[i+1:]
		if len(rest) >= 2 && isUpperHex(rest[0]) && isUpperHex(rest[1]) {
			b.WriteByte(unhex(rest[0])<<4 | unhex(rest[1]))
			i += 2
			continue
		}
		if isShortMark(rest) {
			return "", ErrShortened
		}
		b.WriteByte('_')
	}
	name := b.String()
	if encode(name) != segment {
		return "", ErrMalformed
	}
	return name, nil
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}
