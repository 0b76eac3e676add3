package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

const (
	requestIDHeader = "X-Request-Id"
	maxUserAgent    = 256
	operationKey    = "ergon.operation"
)

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// identify gives the request an id (the caller's, when it is harmless) and puts where it came from into the context.
func (s *Server) identify(c *gin.Context) {
	id := c.GetHeader(requestIDHeader)
	if !requestID.MatchString(id) {
		id = uuid.NewString()
	}
	c.Header(requestIDHeader, id)
	ip, _ := netip.ParseAddr(c.ClientIP()) // the zero Addr shares one bucket
	agent := c.GetHeader("User-Agent")
	o := principal.Origin{RequestID: id, IP: ip.Unmap(), UserAgent: agent[:min(len(agent), maxUserAgent)]}
	c.Request = c.Request.WithContext(principal.WithOrigin(c.Request.Context(), o))
}

// accessLog writes one line a request: the route pattern, never the query, a token or a body.
func (s *Server) accessLog(c *gin.Context) {
	start := s.cfg.Now()
	c.Next()
	took := s.cfg.Now().Sub(start)
	ctx := c.Request.Context()
	o := principal.OriginFrom(ctx)
	attrs := []slog.Attr{
		slog.String("request_id", o.RequestID), slog.String("method", c.Request.Method), slog.String("route", routeOf(c)),
		slog.Int("status", c.Writer.Status()), slog.Duration("took", took), slog.Int("bytes", max(c.Writer.Size(), 0)),
		slog.String("ip", o.IP.String()),
	}
	if p, ok := principal.From(ctx); ok {
		attrs = append(attrs, slog.String("caller", string(p.Kind)+":"+p.ID))
	}
	level := slog.LevelInfo
	if err := c.Errors.Last(); err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if c.Writer.Status() >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.cfg.Log.LogAttrs(ctx, level, "request", attrs...)
	s.metrics.observe(c, took)
}

// routeOf is the pattern, so that ids do not reach logs and metrics; unknown paths are one word.
func routeOf(c *gin.Context) string {
	if r := c.FullPath(); r != "" {
		return r
	}
	return "unknown"
}

// recoverPanic turns a panic into a 500 problem. The stack goes to the log, the request's content does not.
func (s *Server) recoverPanic(c *gin.Context) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares it by identity too
			panic(r)
		}
		s.cfg.Log.ErrorContext(c.Request.Context(), "panic in a handler",
			"request_id", principal.OriginFrom(c.Request.Context()).RequestID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		abort(c, apperr.New(apperr.Internal, "panic"))
	}()
	c.Next()
}

// secure sets what keeps browsers from doing anything with an answer of an API.
func secure(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// resolve finds what the document demands of the route.
func (s *Server) resolve(c *gin.Context) {
	if op := s.contract[routeKey(c.Request.Method, c.FullPath())]; op != nil {
		c.Set(operationKey, op)
	}
}

// operationOf is nil for paths that the document does not know.
func operationOf(c *gin.Context) *operation {
	v, _ := c.Get(operationKey)
	op, _ := v.(*operation)
	return op
}

// deadline ends the work of a request that takes too long; a dropped connection ends it too (ContextWithFallback).
func (s *Server) deadline(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.cfg.RequestTimeout)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}
