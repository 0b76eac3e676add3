package safename

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of relative paths (design 03 T1).
const (
	MaxDepth        = 32
	MaxPathBytes    = 4096 // PATH_MAX, before encoding
	MaxEncodedBytes = 900  // of the 1024 bytes of an S3 key; the rest is the server's own prefix
)

// ErrName is the reason why a name or path is refused; the text says which rule.
var ErrName = errors.New("name refused")

// RelPath is a relative path that Parse has accepted: no empty, "." or ".." segments, not absolute, valid UTF-8, no NUL.
type RelPath struct{ raw string }

// Parse accepts a relative path of at most MaxPathBytes and MaxDepth segments. Every error wraps ErrName.
func Parse(path string) (RelPath, error) {
	switch {
	case path == "":
		return RelPath{}, fmt.Errorf("%w: it is empty", ErrName)
	case len(path) > MaxPathBytes:
		return RelPath{}, fmt.Errorf("%w: it is longer than %d bytes", ErrName, MaxPathBytes)
	case !utf8.ValidString(path):
		return RelPath{}, fmt.Errorf("%w: it is not valid UTF-8", ErrName)
	case strings.IndexByte(path, 0) >= 0:
		return RelPath{}, fmt.Errorf("%w: it holds a NUL byte", ErrName)
	case path[0] == '/':
		return RelPath{}, fmt.Errorf("%w: it is absolute", ErrName)
	case strings.Count(path, "/") >= MaxDepth:
		return RelPath{}, fmt.Errorf("%w: it is more than %d levels deep", ErrName, MaxDepth)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return RelPath{}, fmt.Errorf("%w: it holds an empty, \".\" or \"..\" segment", ErrName)
		}
		if len(segment) > MaxSegment {
			return RelPath{}, fmt.Errorf("%w: a segment is longer than %d bytes", ErrName, MaxSegment)
		}
	}
	return RelPath{raw: path}, nil
}

// String is the path as it was parsed.
func (p RelPath) String() string { return p.raw }

// Base is the last segment.
func (p RelPath) Base() string { return p.raw[strings.LastIndexByte(p.raw, '/')+1:] }

// Encode gives the path for an object key, at most MaxEncodedBytes long. Directory segments end in a bare underscore and
// no file's segment does, so no encoded path is a directory prefix of another: stores that keep keys as files cannot hold
// both `a` and `a/b`. A path that is too long in all becomes one shortened segment.
//
// version, when not empty, is [a-z0-9]{1,32} and marks a later content under the same name: `_V` + version at the end.
func (p RelPath) Encode(version string) string {
	mark := ""
	if version != "" {
		mark = "_V" + version
	}
	var b strings.Builder
	segments := strings.Split(p.raw, "/")
	for _, dir := range segments[:len(segments)-1] {
		b.WriteString(Segment(dir, MaxSegment-1))
		b.WriteString("_/")
	}
	b.WriteString(Segment(segments[len(segments)-1], MaxSegment-len(mark)))
	if b.Len()+len(mark) <= MaxEncodedBytes {
		return b.String() + mark
	}
	return shorten(encode(p.raw), p.raw, MaxSegment-len(mark)) + mark
}

// DecodePath gives back the path and the version that RelPath.Encode was given, or ErrShortened or ErrMalformed.
func DecodePath(encoded string) (path, version string, err error) {
	segments := strings.Split(encoded, "/")
	last := len(segments) - 1
	for i, dir := range segments[:last] {
		bare, found := strings.CutSuffix(dir, "_")
		if !found {
			return "", "", ErrMalformed
		}
		if segments[i], err = Decode(bare); err != nil {
			return "", "", err
		}
	}
	leaf := segments[last]
	if at := strings.LastIndex(leaf, "_V"); at >= 0 && isVersionMark(leaf[at+1:]) {
		leaf, version = leaf[:at], leaf[at+len("_V"):]
	}
	if segments[last], err = Decode(leaf); err != nil {
		return "", "", err
	}
	return strings.Join(segments, "/"), version, nil
}
