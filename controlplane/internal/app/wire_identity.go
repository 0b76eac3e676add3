package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/confirm"
)

// wireIdentity joins accounts, tokens, agents and links.
func (b *builder) wireIdentity(ctx context.Context) error {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ergon_security_events_total", Help: "Refused logins, reused refresh tokens and their like, by event.",
	}, []string{"event"})
	if err := b.metrics.Register(events); err != nil {
		return err
	}
	clock := &dbClock{now: b.deps.Now, store: b.store}
	if _, err := clock.measure(ctx); err != nil {
		return err
	}
	b.deps.Now = clock.Now // identity, and every feature wired after it
	b.run("clock", b.runClock(clock))
	base := &Base{Store: b.store, Dir: b.dir, Secret: b.secret}
	svc, err := NewIdentity(ctx, b.cfg, base, b.deps, func(event string) { events.WithLabelValues(event).Inc() })
	if err != nil {
		return err
	}
	handler := httpapi.NewIdentity(svc, b.deps.Now, b.cfg.HTTP.PublicURL, gormstore.NewJobs(b.store))
	b.audit, b.ids = base.Audit, svc
	b.auth, b.handlers.Identity, b.handlers.AgentIdentity = svc, handler, handler
	b.handlers.Page = confirm.New(confirm.Config{
		Service: svc, Log: b.deps.Log, Now: b.deps.Now, Path: httpapi.PagePath, PublicURL: b.cfg.HTTP.PublicURL,
	})
	b.run("identity", svc.Run)
	return nil
}
