package httpapi

import (
	"cmp"
	"context"
	"fmt"
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
	report func(ctx context.Context, name string, err error) // logs a failing check
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
			s.report(ctx, c.Name, results[i])
		}
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

// GetVersion names the build.
func (system) GetVersion(context.Context, systemapi.GetVersionRequestObject) (systemapi.GetVersionResponseObject, error) {
	return systemapi.GetVersion200JSONResponse(api.Version{Version: buildinfo.String(), Api: "1"}), nil
}
