package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
)

// listen opens the listeners and builds their servers.
func (a *App) listen(ctx context.Context, b *builder) error {
	if err := b.handlers.Check(); err != nil {
		return err
	}
	api, err := httpapi.New(httpapi.Config{ //nolint:contextcheck // the contract is embedded: loading it waits for nothing
		Log: b.deps.Log, Now: b.deps.Now, Authenticator: b.auth, Handlers: b.handlers, Checks: b.checks, Metrics: b.metrics,
		Benchwrap: b.benchwrap,
		Limits:    httpapi.Limits{PerAddress: a.cfg.Limit.PerAddress, PerCaller: a.cfg.Limit.PerCaller, PerRoute: a.cfg.Limit.PerRoute, Presigns: a.cfg.Limit.Presigns},
		Windows:   b.store, Calls: b.store, Audit: b.audit,
		TrustedProxies: a.cfg.HTTP.TrustedProxies, CORSOrigins: a.cfg.HTTP.CORSOrigins,
		MaxBodyBytes: a.cfg.HTTP.MaxBodyBytes, MaxAgentBodyBytes: a.cfg.HTTP.MaxAgentBody, RequestTimeout: a.cfg.HTTP.RequestTimeout,
	})
	if err != nil {
		return fmt.Errorf("building the API: %w", err)
	}
	if a.listener, err = a.open(ctx, a.cfg.HTTP.Listen); err != nil {
		return fmt.Errorf("listening for the API: %w", err)
	}
	if a.listener, err = a.secure(a.listener); err != nil {
		return err
	}
	a.servers = []*http.Server{httpapi.NewHTTPServer(api, a.deps.Log)}
	if a.cfg.Metrics.Listen == "" {
		return nil
	}
	if a.metrics, err = a.open(ctx, a.cfg.Metrics.Listen); err != nil {
		return fmt.Errorf("listening for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.metrics, promhttp.HandlerOpts{}))
	a.servers = append(a.servers, httpapi.NewHTTPServer(mux, a.deps.Log))
	return nil
}

func (a *App) open(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", addr)
}

// secure adds TLS when a certificate is configured. Listeners close with the App, also on an error.
func (a *App) secure(l net.Listener) (net.Listener, error) {
	if a.cfg.HTTP.TLSCertFile == "" {
		return l, nil
	}
	pair, err := tls.LoadX509KeyPair(a.cfg.HTTP.TLSCertFile, a.cfg.HTTP.TLSKeyFile)
	if err != nil {
		return l, fmt.Errorf("reading the TLS certificate and key: %w", err)
	}
	return tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}), nil
}
