// Package secret holds texts that must never be printed: presigned URLs, tokens, keys.
//
// A Secret prints as [redacted] through fmt with every verb, through slog, JSON, XML and text encoders. Only Reveal gives the text;
// call it where the text goes onto the wire and nowhere else (design 03 T11).
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

const redacted = "[redacted]"

// Secret is a text that does not print. The zero value is the empty secret.
// The text lies behind a pointer: fmt cannot call methods of unexported fields, it prints their memory, but it follows no
// pointer inside a struct. Compare with Equal; == compares the pointers.
type Secret struct{ text *string }

// New wraps a text.
func New(text string) Secret { return Secret{text: &text} }

// Reveal gives the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal compares in time that depends only on the lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String redacts.
func (Secret) String() string { return redacted }

// GoString redacts.
func (Secret) GoString() string { return redacted }

// Format redacts for every verb and flag; without it %x or %d would print the bytes.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue redacts in slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts in JSON, XML and wherever else texts are encoded. What goes onto the wire is a plain string made by Reveal.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON redacts.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalText takes a secret in, from configuration or from a request.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}

// StripURL takes the query, fragment and credentials out of the URL that net/http puts into its errors.
// Use it on every error of a request to a presigned URL before anything else sees the error.
func StripURL(err error) error {
	outer, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	where := redacted
	if u, parseErr := url.Parse(outer.URL); parseErr == nil {
		where = u.Scheme + "://" + u.Host + u.EscapedPath()
	}
	return &url.Error{Op: outer.Op, URL: where, Err: outer.Err}
}
