package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// MaxBody bounds the body of any answer of the control plane, in bytes.
const MaxBody = 16 << 20

// ErrBodyTooLarge says that an answer was larger than MaxBody.
var ErrBodyTooLarge = errors.New("the server's answer is too large")

// errRedirect is returned for every redirect: a token must not follow one.
var errRedirect = errors.New("the server answered with a redirect, which is refused; check the server address")

// NewClient makes a client with deadlines, no redirects, no proxy credentials and bounded bodies. timeout bounds one
// whole request.
func NewClient(timeout time.Duration) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        60 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	return Bound(&http.Client{Transport: transport, Timeout: timeout})
}

// Bound gives a copy of c that refuses redirects and large bodies.
func Bound(c *http.Client) *http.Client {
	bounded := *c
	inner := c.Transport
	if inner == nil {
		inner = http.DefaultTransport
	}
	bounded.Transport = limiter{inner}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return errRedirect }
	return &bounded
}

type limiter struct{ inner http.RoundTripper }

// RoundTrip cuts the body at MaxBody.
func (l limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > MaxBody {
		return nil, errors.Join(ErrBodyTooLarge, resp.Body.Close())
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: MaxBody}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (l limiter) CloseIdleConnections() {
	if c, ok := l.inner.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read fails, instead of ending early, when the body is larger than allowed.
func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, ErrBodyTooLarge
	}
	return n, err
}

// Explain turns an error of a request into words for a human; the address of a URL error may hold a token, so only the
// cause is kept.
func Explain(server string, err error) error {
	if err == nil {
		return nil
	}
	var local *Local
	if errors.As(err, &local) {
		return local.Err
	}
	var problem *Problem
	if errors.As(err, &problem) || errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		return err
	}
	return &unreachable{server: server, cause: cause(err)}
}

// ErrUnreachable marks errors of Explain that come from the network, not from the server.
var ErrUnreachable = errors.New("the server cannot be reached")

type unreachable struct {
	server string
	cause  error
}

// Error says what to check.
func (u *unreachable) Error() string {
	return fmt.Sprintf("cannot reach %s: %v (is the server up, and the address right?)", u.server, u.cause)
}

// Unwrap gives both marks.
func (u *unreachable) Unwrap() []error { return []error{ErrUnreachable, u.cause} }

// Local wraps an error that a RoundTripper made before anything was sent; Explain gives Err as it is.
type Local struct{ Err error }

// Error is the text of the error inside.
func (l *Local) Error() string { return l.Err.Error() }

// Unwrap gives the error inside.
func (l *Local) Unwrap() error { return l.Err }
