package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/repeat"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	callLife          = 24 * time.Hour
	// callSlack: a call is under way at most for the request's timeout and this, then its process must have died.
	callSlack   = 30 * time.Second
	callTimeout = 10 * time.Second // for noting the outcome, also when the caller went away
	resourceKey = "ergon.resource"
)

var keyForm = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)

// idempotent makes a call with an Idempotency-Key happen once (design 03, T29). It comes last, when the call is known to be
// valid: what was refused before it never used the key.
func (s *Server) idempotent(c *gin.Context) {
	op := operationOf(c)
	values := c.Request.Header.Values(idempotencyHeader)
	p, known := principal.From(c.Request.Context())
	if op == nil || op.key == noKey || len(values) == 0 || !known || s.cfg.Calls == nil {
		return
	}
	if len(values) > 1 || !keyForm.MatchString(values[0]) {
		abort(c, apperr.New(apperr.InvalidRequest, "Idempotency-Key must be one value of 1 to 255 printable characters without spaces").WithHint("a random UUID does"))
		return
	}
	one, err := callOf(c, op, p, values[0])
	if err != nil {
		abort(c, err)
		return
	}
	rec, err := s.cfg.Calls.BeginCall(c.Request.Context(), one, s.cfg.Now(), s.cfg.RequestTimeout+callSlack, callLife)
	if err != nil {
		abort(c, err)
		return
	}
	s.resume(c, op, one, rec)
}

func (s *Server) resume(c *gin.Context, op *operation, one repeat.Call, rec repeat.Record) {
	switch {
	case rec.State == repeat.Other:
		abort(c, apperr.New(apperr.IdempotencyKeyReused, "this Idempotency-Key was used for another request").WithHint("make a new key for each request"))
	case rec.State == repeat.InFlight:
		abort(c, &apperr.Error{
			Code: apperr.Conflict, Message: "a request with this Idempotency-Key is under way", Hint: "try again in a moment", RetryAfter: time.Second,
		})
	case rec.State == repeat.Done && op.key == sameStatus:
		c.Header(replayedHeader, "true")
		c.Status(rec.Status)
		c.Writer.WriteHeaderNow()
		c.Abort()
	case op.key == secretOnce && rec.State != repeat.New:
		abort(c, apperr.New(apperr.SecretAlreadyIssued, "the answer to this request held a secret and may have been given already; it is not kept").
			WithHint("make a new one with a new Idempotency-Key"))
	case rec.State == repeat.Done:
		c.Header(replayedHeader, "true")
		c.Request = c.Request.WithContext(withReplay(c.Request.Context(), rec.ResourceID))
	default:
		c.Next()
		s.settle(c, one)
	}
}

// settle notes what became of a call: done; without effect (4xx), so that the key may be used again; or not known.
func (s *Server) settle(c *gin.Context, one repeat.Call) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), callTimeout)
	defer cancel()
	status := c.Writer.Status()
	var err error
	switch {
	case status < http.StatusBadRequest:
		err = s.cfg.Calls.EndCall(ctx, one, repeat.Record{Status: status, ResourceID: c.GetString(resourceKey)})
	case status < http.StatusInternalServerError:
		err = s.cfg.Calls.DropCall(ctx, one)
	default:
		err = s.cfg.Calls.ReleaseCall(ctx, one, s.cfg.Now())
	}
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "the outcome of a call with an Idempotency-Key could not be noted; a repeat will look for it",
			"request_id", principal.OriginFrom(ctx).RequestID, "error", err)
	}
}

// callOf fingerprints the request: method, path, query and body.
func callOf(c *gin.Context, op *operation, p principal.Principal, key string) (repeat.Call, error) {
	var body []byte
	if c.Request.Body != nil {
		var err error
		if body, err = io.ReadAll(c.Request.Body); err != nil { // checked and bounded before
			return repeat.Call{}, apperr.Wrap(apperr.InvalidRequest, "the body could not be read to its end", err)
		}
		c.Request.Body = io.NopCloser(bytes.NewReader(body))
	}
	sum := func(parts ...string) string {
		h := sha256.New()
		for _, part := range parts {
			digest := sha256.Sum256([]byte(part))
			h.Write(digest[:])
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	return repeat.Call{
		Caller: string(p.Kind) + ":" + p.ID, Route: op.id, KeyHash: sum(key),
		Fingerprint: sum(op.method, c.Request.URL.Path, c.Request.URL.RawQuery, string(body)),
	}, nil
}

type replayKey struct{}

func withReplay(ctx context.Context, resourceID string) context.Context {
	return context.WithValue(ctx, replayKey{}, resourceID)
}

// replayed is the id of what the first call with this Idempotency-Key made; uuid.Nil when this is the first.
func replayed(ctx context.Context) (uuid.UUID, error) {
	text, _ := ctx.Value(replayKey{}).(string)
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, errors.New("the id that a call made is not a UUID")
	}
	return id, nil
}
