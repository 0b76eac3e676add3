// Package oidc signs people in at the site's OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0 §3.1,
// RFC 7636 with S256). It is the one package that imports go-oidc and oauth2.
package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

// Config is what the site sets.
type Config struct {
	Issuer        string
	ClientID      string
	ClientSecret  string
	Name          string // what people call the provider
	RedirectURL   string // where it sends browsers back
	UsernameClaim string
	MaxAge        time.Duration // the provider asks anew who signed in longer ago, for a sign-in counts as a fresh login here
	CAFile        string        // PEM certificates to trust beside the system's; empty: none
	Now           func() time.Time
}

const (
	// timeout bounds one request to the provider.
	timeout = 10 * time.Second
	// retryAfter is how long a provider that could not be reached is left alone: the sign-in page must not wait for it each time.
	retryAfter = 30 * time.Second
	maxAnswer  = 1 << 20
	// skew is how far the provider's clock may be off.
	skew = 30 * time.Second
)

// Provider is the site's provider. It is asked for its configuration at the first use, so that a provider that is away does
// not keep the server from starting.
type Provider struct {
	cfg    Config
	client *http.Client

	mu       sync.Mutex
	found    *oidc.Provider
	failed   error
	failedAt time.Time
}

// New makes a provider; nothing is asked yet.
func New(cfg Config) (*Provider, error) {
	transport := &http.Transport{TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if cfg.CAFile != "" {
		pool, err := trust(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &Provider{cfg: cfg, client: &http.Client{
		Transport: bounded{transport}, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the provider answered with a redirect") },
	}}, nil
}

func trust(path string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the provider's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("reading the provider's certificates: the file holds none")
	}
	return pool, nil
}

// bounded cuts answers: the library reads bodies whole.
type bounded struct{ inner http.RoundTripper }

// RoundTrip bounds the body of the answer.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.inner.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// Name is what people call the provider.
func (p *Provider) Name() string { return p.cfg.Name }

// discover reads the provider's configuration, once it can. The keys of ID tokens are fetched by the library when they are needed.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if p.failed != nil && p.cfg.Now().Sub(p.failedAt) < retryAfter {
		return nil, p.failed
	}
	// The library keeps this context for later requests for keys.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.cfg.Issuer)
	if err != nil {
		p.failed, p.failedAt = fmt.Errorf("reading the provider's configuration: %w", err), p.cfg.Now()
		return nil, p.failed
	}
	p.found, p.failed = found, nil
	return found, nil
}

func (p *Provider) oauth(found *oidc.Provider) oauth2.Config {
	return oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.cfg.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID, "profile"},
	}
}

// AuthURL is where a browser signs in.
func (p *Provider) AuthURL(ctx context.Context, b identity.Binding) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	conf := p.oauth(found)
	maxAge := oauth2.SetAuthURLParam("max_age", strconv.FormatInt(int64(p.cfg.MaxAge/time.Second), 10))
	return conf.AuthCodeURL(b.State, oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier), maxAge), nil
}

// Exchange turns the code into who signed in. The library checks signature, issuer, audience and expiry of the ID token, and
// this function its nonce. A username that the ID token does not hold is asked of the userinfo endpoint.
func (p *Provider) Exchange(ctx context.Context, code string, b identity.Binding) (identity.Subject, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return identity.Subject{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	conf := p.oauth(found)
	token, err := conf.Exchange(ctx, code, oauth2.VerifierOption(b.Verifier))
	if err != nil {
		return identity.Subject{}, fmt.Errorf("exchanging the code: %w", quiet(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return identity.Subject{}, errors.New("the provider gave no ID token")
	}
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Now}).Verify(ctx, raw)
	if err != nil {
		return identity.Subject{}, fmt.Errorf("checking the ID token: %w", err)
	}
	if id.Nonce != b.Nonce || b.Nonce == "" {
		return identity.Subject{}, errors.New("the ID token has another nonce")
	}
	if err := p.forUs(id); err != nil {
		return identity.Subject{}, err
	}
	at, err := p.authTime(id)
	if err != nil {
		return identity.Subject{}, err
	}
	name, err := p.username(ctx, found, token, id)
	return identity.Subject{Issuer: id.Issuer, Subject: id.Subject, Username: name, AuthAt: at}, err
}

// forUs holds an ID token to the party that it was given to (OpenID Connect Core 1.0 §3.1.3.7, 4 and 5): with several audiences, of
// which the library wants us to be one, another of them may have asked for it.
func (p *Provider) forUs(id *oidc.IDToken) error {
	var claims struct {
		Party *string `json:"azp"`
	}
	if err := id.Claims(&claims); err != nil {
		return fmt.Errorf("reading the ID token: %w", err)
	}
	if claims.Party == nil && len(id.Audience) == 1 || claims.Party != nil && *claims.Party == p.cfg.ClientID {
		return nil
	}
	return errors.New("the ID token was given to another party (azp)")
}

// authTime is when the person last proved to the provider who they are. Asked with max_age it must say so (OpenID Connect Core
// 1.0 §2), and may not take an older sign-in for one.
func (p *Provider) authTime(id *oidc.IDToken) (time.Time, error) {
	var claims struct {
		AuthTime int64 `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		return time.Time{}, fmt.Errorf("reading the ID token: %w", err)
	}
	if claims.AuthTime <= 0 {
		return time.Time{}, errors.New("the provider does not say when the person signed in there: its ID tokens need auth_time, which max_age asks for")
	}
	at, now := time.Unix(claims.AuthTime, 0), p.cfg.Now()
	if now.Sub(at) > p.cfg.MaxAge+skew || at.Sub(now) > skew {
		return time.Time{}, errors.New("the provider took a sign-in for a fresh one that was not, or its clock is wrong")
	}
	return at, nil
}

// quiet keeps the provider's answer out of the log: it may hold a token. The error code stays.
func quiet(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := 0
		if e.Response != nil {
			status = e.Response.StatusCode
		}
		return fmt.Errorf("the provider answered %d %q", status, e.ErrorCode)
	}
	return err
}

func (p *Provider) username(ctx context.Context, found *oidc.Provider, token *oauth2.Token, id *oidc.IDToken) (string, error) {
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return "", fmt.Errorf("reading the ID token: %w", err)
	}
	if name, ok := claims[p.cfg.UsernameClaim].(string); ok {
		return name, nil
	}
	if found.UserInfoEndpoint() == "" {
		return "", nil
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return "", fmt.Errorf("asking for the user's name: %w", err)
	}
	if info.Subject != id.Subject { // OpenID Connect Core 1.0 §5.3.2
		return "", errors.New("the provider's userinfo is of somebody else")
	}
	if err := info.Claims(&claims); err != nil {
		return "", fmt.Errorf("reading the user's name: %w", err)
	}
	name, _ := claims[p.cfg.UsernameClaim].(string)
	return name, nil
}
