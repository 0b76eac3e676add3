package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/google/uuid"
)

// backend records who asked what.
type backend struct {
	last socket.Peer
	in   atomic.Int64
	err  error
}

func (b *backend) Intent(_ context.Context, p socket.Peer, _ socket.Intent) error {
	b.last = p
	b.in.Add(1)
	return b.err
}

func (b *backend) Result(_ context.Context, p socket.Peer, _ socket.Result) error {
	b.last = p
	return b.err
}

func (b *backend) Link(_ context.Context, p socket.Peer, challenge string) (socket.Linked, error) {
	return socket.Linked{Cluster: challenge, UID: p.UID}, b.err
}
func (b *backend) Unlink(context.Context, socket.Peer) error { return b.err }
func (b *backend) Status(_ context.Context, p socket.Peer) (socket.Status, error) {
	return socket.Status{Version: "v", UID: p.UID}, b.err
}

func (b *backend) Jobs(context.Context, socket.Peer) ([]socket.Job, error) {
	return []socket.Job{{SlurmJobID: "7"}}, b.err
}

// objections answers with who asked for what.
type objections struct{}

func (objections) Standing(_ context.Context, p socket.Peer) (socket.Objection, error) {
	return socket.Objection{UID: p.UID, UnixName: "standing"}, nil
}

func (objections) Object(_ context.Context, p socket.Peer) (socket.Objection, error) {
	return socket.Objection{UID: p.UID, UnixName: "object"}, nil
}

func (objections) TakeBack(context.Context, socket.Peer) (socket.Objection, error) {
	return socket.Objection{}, &socket.Error{Status: 409, Message: "later"}
}

func serve(t *testing.T, b Backend, only int) (path string) {
	t.Helper()
	return serveWith(t, b, only, nil)
}

func serveWith(t *testing.T, b Backend, only int, o Objections) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "d", "agent.sock")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, Options{Backend: b, Log: slog.New(slog.DiscardHandler), OnlyUID: only, Now: time.Now, Objections: o})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return path
}

func find(t *testing.T, path string) *socket.Client {
	t.Helper()
	c, err := socket.Find(t.Context(), func(name string) string { return map[string]string{"ERGON_AGENT_SOCKET": path}[name] })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEveryRouteAnswersAndKnowsThePeer(t *testing.T) {
	t.Parallel()
	b := &backend{}
	c := find(t, serve(t, b, -1))
	ctx := t.Context()
	if err := c.Intent(ctx, socket.Intent{SubmissionID: uuid.New()}); err != nil || int(b.last.UID) != os.Getuid() || int(b.last.PID) != os.Getpid() {
		t.Fatalf("peer %+v, %v", b.last, err)
	}
	if err := c.Result(ctx, socket.Result{BaseID: "7"}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Link(ctx, "secret"); err != nil || got.Cluster != "secret" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := c.Unlink(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Status(ctx); err != nil || got.Version != "v" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got, err := c.Jobs(ctx); err != nil || len(got) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestInnerErrorsAreHiddenAndVisibleOnesShown(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  error
		want string
		code int
	}{
		"inner":   {errors.New("sql: secret detail"), "its log says why", 500},
		"visible": {fmt.Errorf("x: %w", &socket.Error{Status: 409, Message: "already linked"}), "already linked", 409},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var shown *socket.Error
			err := find(t, serve(t, &backend{err: c.err}, -1)).Unlink(t.Context())
			if !errors.As(err, &shown) || shown.Status != c.code || !strings.Contains(shown.Message, c.want) || strings.Contains(shown.Message, "secret") {
				t.Fatalf("got %#v", err)
			}
		})
	}
}

func TestAUsersOwnAgentServesNobodyElse(t *testing.T) {
	t.Parallel()
	err := find(t, serve(t, &backend{}, os.Getuid()+1)).Unlink(t.Context())
	var shown *socket.Error
	if !errors.As(err, &shown) || shown.Status != http.StatusForbidden {
		t.Fatalf("got %v", err)
	}
}

func TestTheSocketIsForItsOwnerAndReplacesADeadOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d", "agent.sock")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	short, cancel := context.WithTimeout(t.Context(), 3*vacateRetry)
	defer cancel()
	if _, err := Listen(short, path); err == nil {
		t.Fatal("a living agent was replaced")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	again, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	b := &backend{}
	c := find(t, serve(t, b, -1))
	in := socket.Intent{Globs: []string{strings.Repeat("x", maxBody)}}
	if err := c.Intent(t.Context(), in); err == nil || b.in.Load() != 0 {
		t.Fatalf("got %v", err)
	}
}

func TestOneUserCannotTakeAllConnections(t *testing.T) {
	t.Parallel()
	path := serve(t, &backend{}, -1)
	var conns []net.Conn
	for range connsPerUID * 4 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	var closed atomic.Int64
	var wg sync.WaitGroup
	for _, c := range conns {
		defer c.Close()
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(readTimeout / 3)) // before the server drops those that say nothing
			if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				closed.Add(1)
			}
		})
	}
	wg.Wait()
	if closed.Load() != connsPerUID*3 {
		t.Fatalf("%d of %d connections were closed, want %d", closed.Load(), len(conns), connsPerUID*3)
	}
}

func TestAFloodIsSlowedDown(t *testing.T) {
	t.Parallel()
	c := find(t, serve(t, &backend{}, -1))
	for i := range burst * 2 {
		err := c.Unlink(t.Context())
		var shown *socket.Error
		if errors.As(err, &shown) && shown.Status == http.StatusTooManyRequests {
			return
		}
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	t.Fatal("nothing was refused")
}

func TestAClientThatSendsNothingIsDropped(t *testing.T) {
	t.Parallel()
	c, err := net.Dial("unix", serve(t, &backend{}, -1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("POST /v1/intents HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"))
	_ = c.SetReadDeadline(time.Now().Add(2 * readTimeout))
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("still connected")
			}
			return
		}
		if bytes.Contains(buf[:n], []byte(" 200 ")) {
			t.Fatal("a request without its body was served")
		}
	}
}

func TestFindPrefersTheUsersOwnAgentAndReportsNone(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	get := func(name string) string { return map[string]string{"HOME": home}[name] }
	list := socket.Candidates(get)
	if len(list) != 2 || list[0] != filepath.Join(home, ".local/state/ergon/agent.sock") || list[1] != "/run/ergon/agent.sock" {
		t.Fatalf("got %q", list)
	}
	_, err := socket.Find(t.Context(), func(string) string { return "/nonexistent/agent.sock" })
	if !errors.Is(err, socket.ErrNoAgent) {
		t.Fatalf("got %v", err)
	}
}

// countingListener counts connections.
type countingListener struct {
	net.Listener
	n atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// serveCounted is serve with the number of connections, and a way to hang up all of them.
func serveCounted(t *testing.T, b Backend) (path string, conns *atomic.Int64, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "d", "agent.sock")
	inner, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l := &countingListener{Listener: inner}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Serve(ctx, l, Options{Backend: b, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now})
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return path, &l.n, stop
}

func TestQuestionsOneAfterTheOtherShareOneConnection(t *testing.T) {
	t.Parallel()
	path, conns, _ := serveCounted(t, &backend{})
	c := find(t, path)
	for range 5 {
		if err := c.Intent(t.Context(), socket.Intent{SubmissionID: uuid.New()}); err != nil {
			t.Fatal(err)
		}
		if err := c.Result(t.Context(), socket.Result{BaseID: "7"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// slow takes results only when it is let, and then says whether it may still write.
type slow struct {
	backend
	asked, let chan struct{}
	wrote      chan error
}

func (s *slow) Result(ctx context.Context, _ socket.Peer, _ socket.Result) error {
	close(s.asked)
	<-s.let
	s.wrote <- ctx.Err()
	return nil
}

func TestAResultIsWrittenThoughItsWrapperHasGone(t *testing.T) {
	t.Parallel()
	b := &slow{asked: make(chan struct{}), let: make(chan struct{}), wrote: make(chan error, 1)}
	path, _, stop := serveCounted(t, b)
	if err := find(t, path).Report(t.Context(), socket.Result{BaseID: "7"}); err != nil {
		t.Fatal(err)
	}
	<-b.asked
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }() // even an agent that stops: it gives two seconds
	close(b.let)
	if err := <-b.wrote; err != nil {
		t.Errorf("the result was given up with its wrapper: %v", err)
	}
	<-stopped
}

func TestQuestionsAtTheSameTimeAreAllAnswered(t *testing.T) {
	t.Parallel()
	b := &backend{}
	c := find(t, serve(t, b, -1))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := c.Link(t.Context(), "x"); err != nil || got.Cluster != "x" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestAnAgentThatWasStartedAnewIsAskedOnANewConnection(t *testing.T) {
	t.Parallel()
	path, _, stop := serveCounted(t, &backend{})
	c := find(t, path)
	if err := c.Unlink(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := c.Unlink(t.Context()); err == nil {
		t.Fatal("nobody listens, and yet somebody answered")
	}
	again := &backend{}
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Serve(ctx, l, Options{Backend: again, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now})
	}()
	t.Cleanup(func() { cancel(); <-done })
	if err := c.Intent(t.Context(), socket.Intent{SubmissionID: uuid.New()}); err != nil || again.in.Load() != 1 {
		t.Errorf("the new agent was asked %d times, %v", again.in.Load(), err)
	}
}

func TestAConnectionThatWasHungUpBetweenTwoQuestionsIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // one answer for each connection, then it hangs up without a word
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
			_ = conn.Close()
		}
	}()
	c := find(t, path)
	for range 3 {
		if err := c.Unlink(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAConnectionThatTheAgentClosedBeforeTheFirstQuestionIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	hungUp := make(chan struct{})
	go func() {
		if first, err := l.Accept(); err == nil { // too long without a word
			_ = first.Close()
		}
		close(hungUp)
		if second, err := l.Accept(); err == nil {
			_, _ = second.Read(make([]byte, 4096))
			_, _ = second.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
			_ = second.Close()
		}
	}()
	c := find(t, path)
	<-hungUp
	if err := c.Unlink(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAHeaderWithoutAnEndIsNotRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	sent := make(chan int, 1)
	go func() {
		n, line := 0, []byte("X-Line: "+strings.Repeat("x", 1000)+"\r\n")
		conn, err := l.Accept()
		if err == nil {
			_, _ = conn.Read(make([]byte, 4096))
			_, err = conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
		}
		for ; err == nil && n < 64<<20; n += len(line) {
			_, err = conn.Write(line)
		}
		if conn != nil {
			_ = conn.Close()
		}
		sent <- n
	}()
	if err := find(t, path).Unlink(t.Context()); err == nil {
		t.Error("it was taken for an answer")
	}
	if n := <-sent; n >= 64<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

func TestACancelledQuestionEndsAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(t.Context(), path) // accepts in the kernel and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := find(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Unlink(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}
