package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/systemapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
)

// Check is one thing that must work before the server is ready. Run must end with its context. Without Run it only tells a
// Fact.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
	Fact string
}

// checkTimeout bounds each check: a load balancer asks every few seconds.
const checkTimeout = 3 * time.Second

type system struct {
	checks []Check
	report func(ctx context.Context, name string, err error) // told of every outcome of a check, nil for a good one
}

// GetLivez says that the process answers, and nothing else: a broken database must not get it restarted.
func (system) GetLivez(context.Context, systemapi.GetLivezRequestObject) (systemapi.GetLivezResponseObject, error) {
	return systemapi.GetLivez200JSONResponse{HealthJSONResponse: systemapi.HealthJSONResponse(api.Health{Status: api.Ok})}, nil
}

// GetReadyz runs all checks at once. Which of them fails is for administrators (design 07); causes stay in the log.
func (s system) GetReadyz(ctx context.Context, _ systemapi.GetReadyzRequestObject) (systemapi.GetReadyzResponseObject, error) {
	health := s.run(ctx)
	if p, known := principal.From(ctx); !known || p.Kind != principal.User || !p.Role.AtLeast(principal.RoleAdmin) {
		health.Checks = nil
	}
	if health.Status == api.Ok {
		return systemapi.GetReadyz200JSONResponse{HealthJSONResponse: systemapi.HealthJSONResponse(health)}, nil
	}
	return systemapi.GetReadyz503JSONResponse(health), nil
}

func (s system) run(ctx context.Context) api.Health {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results := make([]error, len(s.checks))
	var wg sync.WaitGroup
	for i, c := range s.checks {
		if c.Run == nil {
			continue
		}
		wg.Go(func() { results[i] = runCheck(ctx, c) })
	}
	wg.Wait()
	health, words := api.Health{Status: api.Ok}, map[string]string{}
	for i, c := range s.checks {
		words[c.Name] = cmp.Or(c.Fact, "ok")
		if results[i] != nil {
			words[c.Name], health.Status = "failing", api.Failing
		}
		s.report(ctx, c.Name, results[i])
	}
	health.Checks = &words
	return health
}

func runCheck(ctx context.Context, c Check) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return c.Run(ctx)
}

// complainEvery is how often a check that goes on failing is logged: a load balancer asks every few seconds.
const complainEvery = 10 * time.Minute

// outcomes remembers which checks fail, so that the log tells of changes.
type outcomes struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	failing map[string]time.Time // by check, when it was logged last
}

func newOutcomes(log *slog.Logger, now func() time.Time) *outcomes {
	return &outcomes{log: log, now: now, failing: map[string]time.Time{}}
}

// report logs a check when it begins to fail, when it works again, and now and then in between.
func (o *outcomes) report(ctx context.Context, name string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last, failing := o.failing[name]
	switch now := o.now(); {
	case err == nil && failing:
		delete(o.failing, name)
		o.log.InfoContext(ctx, "ready again", "check", name)
	case err != nil && (!failing || now.Sub(last) >= complainEvery):
		o.failing[name] = now
		o.log.WarnContext(ctx, "not ready", "check", name, "error", err)
	}
}

// GetVersion names the build.
func (system) GetVersion(context.Context, systemapi.GetVersionRequestObject) (systemapi.GetVersionResponseObject, error) {
	return systemapi.GetVersion200JSONResponse(api.Version{Version: buildinfo.String(), Api: "1"}), nil
}
