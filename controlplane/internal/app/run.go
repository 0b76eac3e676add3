package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// runner is background work that a feature registered.
type runner struct {
	name string
	fn   func(ctx context.Context) error
}

// running is a runner that was started.
type running struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

// Run serves until ctx ends or a part fails, then stops in three stages: the listeners stop taking requests and those under
// way get StopTimeout; background work is told to end, last started first; whatever is left is cut. Force skips the waiting.
// It returns nil after a stop that was asked for.
func (a *App) Run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	failed := make(chan error, len(a.parts.runners)+len(a.servers))
	var started []running
	for _, r := range a.parts.runners {
		started = append(started, start(base, r, failed))
	}
	var serving sync.WaitGroup
	for i, srv := range a.servers {
		serving.Go(func() { serve(srv, []net.Listener{a.listener, a.metrics}[i], failed) })
	}
	a.notify("READY=1")
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
		a.deps.Log.ErrorContext(base, "stopping because a part failed", "error", cause)
	}
	a.notify("STOPPING=1")
	err := a.stop(base, started)
	serving.Wait()
	return errors.Join(cause, err)
}

func start(base context.Context, r runner, failed chan<- error) running {
	ctx, cancel := context.WithCancel(base)
	w := running{name: r.name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		err := r.fn(ctx)
		if ctx.Err() == nil {
			failed <- fmt.Errorf("%s ended by itself: %w", r.name, errors.Join(err, errors.New("it should run until the server stops")))
		}
	}()
	return w
}

func serve(srv *http.Server, l net.Listener, failed chan<- error) {
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		failed <- fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
}

// stop gives each stage what is left of StopTimeout.
func (a *App) stop(base context.Context, started []running) error {
	ctx, cancel := context.WithTimeout(base, a.cfg.HTTP.StopTimeout)
	defer cancel()
	go func() {
		select {
		case <-a.force:
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, srv := range a.servers {
		if err := srv.Shutdown(ctx); err != nil {
			a.deps.Log.WarnContext(base, "requests were cut off", "error", err)
			_ = srv.Close()
		}
	}
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		errs = append(errs, halt(ctx, started[i]))
	}
	return errors.Join(errs...)
}

// halt ends one runner. A runner that does not obey is reported and left behind: the process is about to end.
func halt(ctx context.Context, w running) error {
	w.cancel()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	const grace = 2 * time.Second // a forced stop still lets work note where it stands
	select {
	case <-w.done:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("%s did not stop in time", w.name)
	}
}

// Force cuts short a graceful stop that is under way, or the next one. Call it at most once.
func (a *App) Force() { close(a.force) }

func (a *App) notify(state string) {
	if a.deps.Notify != nil {
		a.deps.Notify(state)
	}
}
