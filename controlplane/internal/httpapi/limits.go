package httpapi

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/limit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Limits are how many requests a minute are let through; 0 means no limit.
type Limits struct {
	PerAddress int // of one address (IPv6: /64), which a whole login node may share
	PerCaller  int // of one account or agent
	PerRoute   int // of one account or agent, or of one address where nobody is known, for one operation
	Presigns   int // of one account or agent: exact, of all replicas together
}

// limits shed floods in memory, the cheapest check first; presigns are counted exactly.
type limits struct {
	address, caller, route *limit.Buckets
	presigns               *limit.Shared
}

func newLimits(cfg Config) limits {
	l := cfg.Limits
	out := limits{
		address: limit.NewBuckets(l.PerAddress, cfg.Now), caller: limit.NewBuckets(l.PerCaller, cfg.Now), route: limit.NewBuckets(l.PerRoute, cfg.Now),
	}
	if cfg.Windows == nil {
		l.Presigns = 0
	}
	out.presigns = limit.NewShared(cfg.Windows, "presign", l.Presigns, cfg.Now)
	return out
}

// shedAddress comes before a token is looked at. That the process lives is answered always.
func (s *Server) shedAddress(c *gin.Context) {
	if op := operationOf(c); op != nil && op.id == "getLivez" {
		return
	}
	if wait, ok := s.limits.address.Allow(limit.Network(principal.OriginFrom(c.Request.Context()).IP)); !ok {
		abort(c, tooMany("from this address", wait))
	}
}

// shedCaller comes once it is known who calls.
func (s *Server) shedCaller(c *gin.Context) {
	op := operationOf(c)
	if op == nil || op.id == "getLivez" {
		return
	}
	key, known := callerKey(c)
	if known {
		if wait, ok := s.limits.caller.Allow(key); !ok {
			abort(c, tooMany("of this account", wait))
			return
		}
	}
	if wait, ok := s.limits.route.Allow(op.id + " " + key); !ok {
		abort(c, tooMany("of this kind", wait))
	}
}

// countPresign comes last: only a call that is valid counts.
func (s *Server) countPresign(c *gin.Context) {
	op := operationOf(c)
	if op == nil || !op.presign {
		return
	}
	key, _ := callerKey(c)
	wait, ok, err := s.limits.presigns.Allow(c.Request.Context(), key)
	switch {
	case err != nil:
		abort(c, err)
	case !ok:
		abort(c, tooMany("for presigned URLs", wait))
	}
}

// callerKey is who calls, or from which network when that is not known.
func callerKey(c *gin.Context) (key string, known bool) {
	if p, ok := principal.From(c.Request.Context()); ok {
		return string(p.Kind) + ":" + p.ID, true
	}
	return "ip:" + limit.Network(principal.OriginFrom(c.Request.Context()).IP), false
}

func tooMany(what string, wait time.Duration) error {
	return &apperr.Error{Code: apperr.RateLimited, Message: "too many requests " + what, Hint: "wait and try again", RetryAfter: max(wait, time.Second)}
}
