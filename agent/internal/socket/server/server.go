// Package server is the agent's end of the socket: who connects, what they may ask, and how much of it.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// Limits of the socket (design 03, T26).
const (
	maxBody        = 256 << 10
	maxHeader      = 8 << 10
	connsPerUID    = 16
	connsInAll     = 512
	requestTimeout = 60 * time.Second // a link waits for the server
	readTimeout    = 5 * time.Second
	idleTimeout    = 15 * time.Second
	perSecond      = 100 // two for each submission of a loop around sbatch
	burst          = 200
	// Of those, so many may be about objections: each is a call to the server, whose limits all users of the node share.
	objectingPerSecond = 1
	objectingBurst     = 10
)

// Backend does what the socket is asked. An error of type *socket.Error is shown to the peer; any other is logged and hidden.
type Backend interface {
	Intent(ctx context.Context, peer socket.Peer, intent socket.Intent) error
	Result(ctx context.Context, peer socket.Peer, result socket.Result) error
	Link(ctx context.Context, peer socket.Peer, challenge string) (socket.Linked, error)
	Unlink(ctx context.Context, peer socket.Peer) error
	Status(ctx context.Context, peer socket.Peer) (socket.Status, error)
	Jobs(ctx context.Context, peer socket.Peer) ([]socket.Job, error)
}

// Options of a Server.
type Options struct {
	Backend Backend
	Log     *slog.Logger
	// OnlyUID serves nobody but this uid (user mode); −1 serves everybody.
	OnlyUID int
	Now     func() time.Time
	// Token gives the peer an access token for its unix identity; nil when nobody is logged in that way. fresh says that the
	// server has just refused the last one.
	Token func(ctx context.Context, peer socket.Peer, fresh bool) (socket.Token, error)
	// Objections takes objections of people without an account; nil refuses them.
	Objections Objections
}

// Serve answers on l until ctx ends, then lets requests that have begun finish within two seconds.
func Serve(ctx context.Context, l net.Listener, opt Options) error {
	s := &server{opt: opt, all: newBuckets(perSecond, burst), objecting: newBuckets(objectingPerSecond, objectingBurst)}
	h := &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: requestTimeout + readTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(opt.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if p, ok := c.(*peerConn); ok {
				ctx = context.WithValue(ctx, peerKey{}, p.peer)
			}
			return ctx
		},
	}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := h.Shutdown(stop); err != nil {
			err = h.Close()
			done <- err
			return
		}
		done <- nil
	}()
	err := h.Serve(newFairListener(l, connsPerUID, connsInAll))
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the agent's socket: %w", err)
	}
	return <-done
}

type peerKey struct{}

type server struct {
	opt            Options
	all, objecting *buckets
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	b := s.opt.Backend
	mux.HandleFunc("POST /v1/intents", s.with(func(ctx context.Context, p socket.Peer, r *http.Request) (any, error) {
		var in socket.Intent
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		return struct{}{}, b.Intent(ctx, p, in)
	}))
	mux.HandleFunc("POST /v1/results", s.with(func(ctx context.Context, p socket.Peer, r *http.Request) (any, error) {
		var in socket.Result
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout) // a wrapper may not wait for the answer
		defer cancel()
		return struct{}{}, b.Result(ctx, p, in)
	}))
	mux.HandleFunc("POST /v1/link", s.with(func(ctx context.Context, p socket.Peer, r *http.Request) (any, error) {
		var in struct {
			Challenge string `json:"challenge"`
		}
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		return b.Link(ctx, p, in.Challenge)
	}))
	mux.HandleFunc("POST /v1/unlink", s.with(func(ctx context.Context, p socket.Peer, _ *http.Request) (any, error) {
		return struct{}{}, b.Unlink(ctx, p)
	}))
	mux.HandleFunc("POST /v1/token", s.with(s.token))
	mux.HandleFunc("GET /v1/status", s.with(func(ctx context.Context, p socket.Peer, _ *http.Request) (any, error) { return b.Status(ctx, p) }))
	mux.HandleFunc("GET /v1/jobs", s.with(func(ctx context.Context, p socket.Peer, _ *http.Request) (any, error) {
		jobs, err := b.Jobs(ctx, p)
		return map[string]any{"jobs": jobs}, err
	}))
	mux.HandleFunc("GET /v1/objection", s.with(s.objection(Objections.Standing)))
	mux.HandleFunc("PUT /v1/objection", s.with(s.objection(Objections.Object)))
	mux.HandleFunc("DELETE /v1/objection", s.with(s.objection(Objections.TakeBack)))
	return mux
}

func (s *server) token(ctx context.Context, p socket.Peer, r *http.Request) (any, error) {
	var in struct {
		Fresh bool `json:"fresh"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if s.opt.Token == nil {
		return nil, &socket.Error{Status: http.StatusForbidden, Message: "this agent gives no logins; run: ergon login"}
	}
	return s.opt.Token(ctx, p, in.Fresh)
}

// with knows the peer, bounds rate, size and time, and turns errors into answers.
func (s *server) with(f func(context.Context, socket.Peer, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		peer, known := r.Context().Value(peerKey{}).(socket.Peer)
		switch {
		case !known:
			reply(w, http.StatusForbidden, &socket.Error{Message: "who you are could not be found out"})
			return
		case s.opt.OnlyUID >= 0 && int(peer.UID) != s.opt.OnlyUID:
			reply(w, http.StatusForbidden, &socket.Error{Message: "this agent serves its own user only"})
			return
		case !s.all.allow(peer.UID, s.opt.Now()):
			reply(w, http.StatusTooManyRequests, &socket.Error{Message: "too many requests; try again in a second"})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		out, err := f(ctx, peer, r)
		if err != nil {
			s.fail(w, r, peer, err)
			return
		}
		reply(w, http.StatusOK, out)
	}
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, peer socket.Peer, err error) {
	var visible *socket.Error
	if errors.As(err, &visible) {
		reply(w, visible.Status, visible)
		return
	}
	s.opt.Log.Error("a request on the socket failed", "route", r.URL.Path, "uid", peer.UID, "error", err)
	reply(w, http.StatusInternalServerError, &socket.Error{Message: "the agent could not do this; its log says why"})
}

// reply tells the length, so that no answer is chunked and every connection can be kept.
func reply(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // of our own types: cannot happen
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer could not be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the peer may have gone: nobody is left to tell
}

func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	if err := d.Decode(into); err != nil {
		return &socket.Error{Status: http.StatusBadRequest, Message: "the request could not be read: " + err.Error()}
	}
	return nil
}
