package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// ErrRevoked says that the control plane no longer knows this agent's key.
var ErrRevoked = errors.New("the control plane refuses this agent's key; it may have been revoked: enrol again")

const (
	// assertionLife is how long a signed assertion is good for.
	assertionLife = time.Minute
	// tokenMargin is how long before its end an access token is replaced.
	tokenMargin = 30 * time.Second
	// maxSkew is the largest clock offset with which presigned URLs are used (design 03, T10).
	maxSkew = 120 * time.Second
)

// tokens gives access tokens by RFC 7523 and measures how far this node's clock is from the server's.
type tokens struct {
	id       enrol.Identity
	audience []string
	client   *api.ClientWithResponses
	now      func() time.Time

	mu      sync.Mutex // held while a token is fetched
	access  string
	expires time.Time
	revoked bool

	clock   sync.Mutex    // never held over a request: who asks for the skew must not wait for a server that hangs
	offset  time.Duration // server minus here
	measure bool          // offset was measured
}

// get gives a token that is none of stale.
func (t *tokens) get(ctx context.Context, stale string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.access != "" && t.access != stale && t.now().Add(tokenMargin).Before(t.expires) {
		return t.access, nil
	}
	token, err := t.fetch(ctx)
	var p *outbound.Problem
	if errors.As(err, &p) && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden) {
		t.access, t.revoked = "", true
		return "", fmt.Errorf("%w (%s)", ErrRevoked, p.Error())
	}
	if err != nil {
		return "", err
	}
	t.revoked = false
	t.access, t.expires = token.AccessToken, t.now().Add(time.Duration(token.ExpiresIn)*time.Second)
	return t.access, nil
}

func (t *tokens) fetch(ctx context.Context) (*api.AccessToken, error) {
	if _, measured := t.skew(); !measured {
		t.measureByDate(ctx)
	}
	assertion, err := t.assertion()
	if err != nil {
		return nil, err
	}
	before := t.now()
	resp, err := t.client.AgentTokenWithResponse(ctx, api.AgentTokenJSONRequestBody{
		ClientAssertionType: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", ClientAssertion: assertion,
	})
	if err != nil {
		return nil, outbound.Explain(t.id.Server, err)
	}
	after := t.now()
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return nil, err
	}
	if resp.JSON200 == nil {
		return nil, fmt.Errorf("%s answered without a token", t.id.Server)
	}
	t.setSkew(resp.JSON200.ServerTime.Sub(before.Add(after.Sub(before) / 2)))
	return resp.JSON200, nil
}

// measureByDate asks for the server's Date before the first assertion, so that a node with a wrong clock can get a
// token at all. The second's fraction that Date lacks does not matter.
func (t *tokens) measureByDate(ctx context.Context) {
	resp, err := t.client.GetVersionWithResponse(ctx)
	if err != nil || resp.HTTPResponse == nil {
		return
	}
	if date, err := http.ParseTime(resp.HTTPResponse.Header.Get("Date")); err == nil {
		t.setSkew(date.Sub(t.now()))
	}
}

// claims are those of RFC 7523, and which version runs here. A server that does not know that one ignores it.
type claims struct {
	jwt.RegisteredClaims
	Version string `json:"agent_version"`
}

// assertion signs who we are with the server's time.
func (t *tokens) assertion() (string, error) {
	offset, _ := t.skew()
	now := t.now().Add(offset)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{Version: buildinfo.String(), RegisteredClaims: jwt.RegisteredClaims{
		Issuer: t.id.AgentID.String(), Subject: t.id.AgentID.String(), Audience: t.audience,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(assertionLife)), ID: uuid.NewString(),
	}})
	signed, err := token.SignedString(t.id.Key())
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return signed, nil
}

// skew is how far this node's clock is behind the server's; ok is false before it was measured.
func (t *tokens) skew() (offset time.Duration, ok bool) {
	t.clock.Lock()
	defer t.clock.Unlock()
	return t.offset, t.measure
}

func (t *tokens) setSkew(offset time.Duration) {
	t.clock.Lock()
	defer t.clock.Unlock()
	t.offset, t.measure = offset, true
}

// transport adds the token, and tries once more with a fresh one after 401.
type transport struct {
	tokens *tokens
	inner  http.RoundTripper
}

// RoundTrip never changes the caller's request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.tokens.get(req.Context(), "")
	if err != nil {
		return nil, &outbound.Local{Err: err}
	}
	resp, err := t.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || req.Body != nil && req.GetBody == nil {
		return resp, err
	}
	_ = resp.Body.Close()
	if token, err = t.tokens.get(req.Context(), token); err != nil {
		return nil, &outbound.Local{Err: err}
	}
	return t.send(req, token)
}

func (t *transport) send(req *http.Request, token string) (*http.Response, error) {
	copied := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		copied.Body = body
	}
	copied.Header.Set("Authorization", "Bearer "+token)
	return t.inner.RoundTrip(copied)
}
