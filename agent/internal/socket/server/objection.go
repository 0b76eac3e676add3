package server

import (
	"context"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// Objections does what people without an account may ask about their own uid. Errors are as those of Backend.
type Objections interface {
	// Standing tells whether the peer objects.
	Standing(ctx context.Context, peer socket.Peer) (socket.Objection, error)
	// Object records the peer's objection; it may be repeated.
	Object(ctx context.Context, peer socket.Peer) (socket.Objection, error)
	// TakeBack ends it; a peer who does not object is no error.
	TakeBack(ctx context.Context, peer socket.Peer) (socket.Objection, error)
}

// objection serves one of the three.
func (s *server) objection(call func(Objections, context.Context, socket.Peer) (socket.Objection, error)) func(context.Context, socket.Peer, *http.Request) (any, error) {
	return func(ctx context.Context, p socket.Peer, _ *http.Request) (any, error) {
		if s.opt.Objections == nil {
			return nil, &socket.Error{Status: http.StatusForbidden, Message: "this agent takes no objections; ask an operator of the site"}
		}
		if !s.objecting.allow(p.UID, s.opt.Now()) {
			return nil, &socket.Error{Status: http.StatusTooManyRequests, Message: "too many requests; try again in some seconds"}
		}
		return call(s.opt.Objections, ctx, p)
	}
}
