package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
)

// Deps is what comes in by the door. All are required except Notify.
type Deps struct {
	Log        *slog.Logger
	Now        func() time.Time
	Rand       io.Reader          // crypto/rand.Reader, or a seeded one in tests
	Executable string             // this binary, for children of its own
	Notify     func(state string) // sd_notify; nil: nobody listens
}

// App is one ergon-server. Run it once, then Close it.
type App struct {
	cfg      config.Config
	deps     Deps
	parts    parts
	store    *gormstore.Store
	dir      *Dir
	listener net.Listener
	metrics  net.Listener
	servers  []*http.Server
	force    chan struct{}
}

// New builds the server and opens its listeners, so that Addr is known. Nothing runs yet.
// On an error everything that was opened is released.
func New(ctx context.Context, cfg config.Config, deps Deps) (_ *App, err error) {
	b, err := prepare(ctx, cfg, deps)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, deps: deps, store: b.store, dir: b.dir, force: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	err = b.wire(ctx)
	a.parts = b.parts
	if err != nil {
		return nil, err
	}
	return a, a.listen(ctx, b)
}

// builder collects the parts while features are wired.
type builder struct {
	cfg     config.Config
	deps    Deps
	store   *gormstore.Store
	dir     *Dir
	secret  []byte
	metrics *prometheus.Registry
	auth    httpapi.Authenticator
	features
	parts
}

// parts are what features registered.
type parts struct {
	handlers httpapi.Handlers
	checks   []httpapi.Check
	runners  []runner
	closers  []func() error
}

func (p *parts) check(name string, fn func(ctx context.Context) error) {
	p.checks = append(p.checks, httpapi.Check{Name: name, Run: fn})
}

// run registers background work. fn returns nil soon after its context ends; any earlier return stops the server.
func (p *parts) run(name string, fn func(ctx context.Context) error) {
	p.runners = append(p.runners, runner{name: name, fn: fn})
}

// closeLast registers a release, called after all background work has ended, last registered first.
func (p *parts) closeLast(fn func() error) { p.closers = append(p.closers, fn) }

// prepare opens what every feature needs: the data directory, the secret, the database with its schema.
func prepare(ctx context.Context, cfg config.Config, deps Deps) (*builder, error) {
	base, err := OpenBase(ctx, cfg, deps)
	if err != nil {
		return nil, err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &builder{cfg: cfg, deps: deps, store: base.Store, dir: base.Dir, secret: base.Secret, metrics: reg}, nil
}

// wire joins the features, in the order in which they need one another.
func (b *builder) wire(ctx context.Context) error {
	b.check("database", b.store.Ping)
	if b.dir != nil {
		b.watchDisk()
	}
	for _, step := range []struct {
		name string
		fn   func(context.Context) error
	}{{"identity", b.wireIdentity}, {"storage", b.wireStorage}, {"jobs", b.wireJobs}, {"benchwrap", b.wireBenchwrap}} {
		if err := step.fn(ctx); err != nil {
			return fmt.Errorf("setting up %s: %w", step.name, err)
		}
	}
	return nil
}

// Addr is where the API listens, host:port.
func (a *App) Addr() string { return a.listener.Addr().String() }

// URL is how a program on this machine reaches the API.
func (a *App) URL() string {
	if a.cfg.HTTP.TLSCertFile != "" {
		return "https://" + a.Addr()
	}
	return "http://" + a.Addr()
}

// MetricsAddr is where metrics are served; empty when they are not.
func (a *App) MetricsAddr() string {
	if a.metrics == nil {
		return ""
	}
	return a.metrics.Addr().String()
}

// DataDir is the data directory, or empty when nothing is kept locally.
func (a *App) DataDir() string {
	if a.dir == nil {
		return ""
	}
	return a.dir.Path
}

// Close releases what New opened. Call it after Run returned.
func (a *App) Close() error {
	var errs []error
	for _, l := range []net.Listener{a.listener, a.metrics} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for i := len(a.parts.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.parts.closers[i]())
	}
	errs = append(errs, a.store.Close())
	if a.dir != nil {
		errs = append(errs, a.dir.Close())
	}
	return errors.Join(errs...)
}
