package httpapi

import (
	"context"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Authenticator verifies an access token. Errors are unauthorized or token_expired; anything else means that the token could
// not be checked, and the call is refused with 503 or 500, never let through.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (principal.Principal, error)
}

// maxTokenBytes: longer ones are refused before they are parsed (design 03).
const maxTokenBytes = 4 << 10

// readiness is the only operation for everyone to which a token adds something.
const readiness = "getReadyz"

// authenticate finds out who calls. Operations for everyone but readiness do not look at a token at all.
func (s *Server) authenticate(c *gin.Context) {
	op := operationOf(c)
	if op != nil && op.id == readiness {
		s.recognise(c)
		return
	}
	if op == nil || op.allows(principal.Anonymous) {
		return
	}
	token, err := bearer(c)
	if err != nil {
		abort(c, err)
		return
	}
	p, err := s.cfg.Authenticator.Authenticate(c.Request.Context(), token)
	if err != nil {
		abort(c, err)
		return
	}
	if err := permit(op, p); err != nil {
		abort(c, err)
		return
	}
	c.Request = c.Request.WithContext(principal.With(c.Request.Context(), p))
}

// recognise takes a good token, and overlooks any other: whether the server is ready must be told when nobody can be
// authenticated too.
func (s *Server) recognise(c *gin.Context) {
	token, err := bearer(c)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), checkTimeout)
	defer cancel()
	if p, err := s.cfg.Authenticator.Authenticate(ctx, token); err == nil {
		c.Request = c.Request.WithContext(principal.With(c.Request.Context(), p))
	}
}

// bearer takes the token of the one Authorization header (RFC 6750 §2.1).
func bearer(c *gin.Context) (string, error) {
	values := c.Request.Header.Values("Authorization")
	if len(values) == 0 {
		return "", apperr.New(apperr.Unauthorized, "this call needs an access token").WithHint("log in with `ergon login`")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return "", apperr.New(apperr.Unauthorized, "the Authorization header must be one `Bearer TOKEN`")
	}
	if len(token) > maxTokenBytes {
		return "", apperr.New(apperr.Unauthorized, "the access token is too long")
	}
	return token, nil
}
