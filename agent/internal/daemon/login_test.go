package daemon

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
	"github.com/ergon-hpc/ergon/shared/api"
)

// loginPlane is a control plane that logs unix identities in.
type loginPlane struct {
	*httptest.Server
	mux    *http.ServeMux
	asked  atomic.Int32
	status atomic.Int32
	last   atomic.Pointer[api.ExchangeUnixJSONRequestBody]
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func newLoginPlane(t *testing.T) *loginPlane {
	t.Helper()
	p := &loginPlane{}
	p.status.Store(200)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /agents/enrol", func(w http.ResponseWriter, _ *http.Request) {
		send(w, 201, api.Agent{Id: uuid.New(), Cluster: "lab", Kind: "system", Scopes: []api.AgentScopes{}})
	})
	mux.HandleFunc("POST /agents/token", func(w http.ResponseWriter, _ *http.Request) {
		send(w, 200, api.AccessToken{AccessToken: "agent", TokenType: "Bearer", ExpiresIn: 600, ServerTime: time.Now()})
	})
	mux.HandleFunc("POST /agent/tokens", func(w http.ResponseWriter, r *http.Request) {
		var body api.ExchangeUnixJSONRequestBody
		_ = json.NewDecoder(r.Body).Decode(&body)
		p.last.Store(&body)
		p.asked.Add(1)
		if status := int(p.status.Load()); status != 200 {
			detail := "not on this cluster"
			send(w, status, api.Problem{Code: "forbidden", Status: status, Detail: &detail})
			return
		}
		send(w, 200, api.ExchangedToken{AccessToken: "unix", TokenType: "Bearer", ExpiresIn: 600, Username: "alice@lab", UserId: uuid.New()})
	})
	p.mux, p.Server = mux, httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// vouching is a system agent that is enrolled there, with a clock of its own.
func vouching(t *testing.T, p *loginPlane, now func() time.Time) *Daemon {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	id, err := enrol.Register(t.Context(), filepath.Join(t.TempDir(), "state"), enrol.Request{Server: p.URL, Token: "t", Name: "n", UID: -1, Rand: rand.Reader, HTTP: outbound.NewClient(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cloud.New(cloud.Options{Identity: id, HTTP: outbound.NewClient(5 * time.Second), Audience: "ergon", Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	place := func(_ context.Context, uid uint32) (Place, error) { return Place{GID: uid}, nil }
	d := &Daemon{opt: Options{System: true, Now: now, Log: log, Place: place}}
	d.names = newNames(func(context.Context, uint32) (string, error) { return "alice", nil }, now)
	d.client.Store(c)
	d.id.Store(&id)
	return d
}

// person is a live process outside of containers that belongs to uid: the kernel's word about a peer.
func person(t *testing.T, uid uint32) socket.Peer {
	t.Helper()
	if os.Getuid() != 0 {
		if uid != uint32(os.Getuid()) {
			t.Skip("only root can play other users")
		}
		return socket.Peer{UID: uid, GID: uid, PID: int32(os.Getpid())}
	}
	c := exec.CommandContext(t.Context(), "setpriv", "--reuid", "1500", "--regid", "1500", "--clear-groups", "cat")
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	peer := socket.Peer{UID: 1500, GID: 1500, PID: int32(c.Process.Pid)}
	for range 500 { // until setpriv has become the user
		if server.Outside("/proc", peer) == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	peer.UID = uid
	return peer
}

func wantRefused(t *testing.T, what string, err error, status int) {
	t.Helper()
	var e *socket.Error
	if !errors.As(err, &e) || e.Status != status {
		t.Errorf("%s: got %v, want status %d", what, err, status)
	}
}

func TestAPersonOnTheNodeIsLoggedInAndTheServerIsAskedSeldom(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getuid() < loginUIDMin {
		t.Skipf("uid %d is not a person's", os.Getuid())
	}
	p := newLoginPlane(t)
	now := time.Now()
	d := vouching(t, p, func() time.Time { return now })
	uid := uint32(1500)
	if os.Getuid() != 0 {
		uid = uint32(os.Getuid())
	}
	peer := person(t, uid)
	ask := func(fresh bool, want int32) {
		t.Helper()
		token, err := d.Token(t.Context(), peer, fresh)
		if err != nil || token.AccessToken != "unix" || token.Username != "alice@lab" || token.Server != p.URL {
			t.Fatalf("%+v %v", token, err)
		}
		if got := p.asked.Load(); got != want {
			t.Errorf("the server was asked %d times, want %d", got, want)
		}
	}
	ask(false, 1)
	ask(false, 1)
	ask(true, 1) // a moment ago
	now = now.Add(freshEvery)
	ask(true, 2)
	now = now.Add(9*time.Minute + time.Second) // the token's last minute
	ask(false, 3)
	if body := p.last.Load(); body.Uid != int64(uid) || body.UnixName != "alice" {
		t.Errorf("%+v", body)
	}
	now = now.Add(time.Hour)
	p.status.Store(403)
	_, err := d.Token(t.Context(), peer, false)
	wantRefused(t, "a site without it", err, 403)
	if err == nil || !strings.Contains(err.Error(), "not on this cluster") {
		t.Errorf("the server's word is lost: %v", err)
	}
}

func TestThreat_T07_NoOtherUIDAndNoContainerIsLoggedIn(t *testing.T) {
	t.Parallel()
	p := newLoginPlane(t)
	d := vouching(t, p, time.Now)
	live := person(t, 1500)
	for name, peer := range map[string]socket.Peer{
		"root":                             {UID: 0, PID: int32(os.Getpid())},
		"a service":                        {UID: 999, PID: int32(os.Getpid())},
		"the uid of no live process":       {UID: 1500, PID: 1<<31 - 1},
		"a process outside of our view":    {UID: 1500},
		"another uid than the process has": {UID: live.UID + 1, PID: live.PID},
	} {
		_, err := d.Token(t.Context(), peer, false)
		wantRefused(t, name, err, 403)
	}
	if p.asked.Load() != 0 {
		t.Error("the server was asked for one of them")
	}
	own := vouching(t, p, time.Now)
	own.opt.System = false
	_, err := own.Token(t.Context(), live, false)
	wantRefused(t, "a user's own agent", err, 403)
	own.opt.System = true
	own.client.Store(nil)
	_, err = own.Token(t.Context(), live, false)
	wantRefused(t, "an agent that is not enrolled", err, 403)
}

func TestTheServerIsToldThePrimaryGroupAndNotThatOfNewgrp(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getuid() < loginUIDMin {
		t.Skipf("uid %d is not a person's", os.Getuid())
	}
	uid := uint32(1500)
	if os.Getuid() != 0 {
		uid = uint32(os.Getuid())
	}
	p := newLoginPlane(t)
	d := vouching(t, p, time.Now)
	peer := person(t, uid)
	peer.GID = 4711 // newgrp(1), or a program with another group
	if _, err := d.Token(t.Context(), peer, false); err != nil {
		t.Fatal(err)
	}
	if asked := p.last.Load(); asked.Gid != int64(uid) {
		t.Errorf("the server was told group %d", asked.Gid)
	}
	who, err := d.account(t.Context(), uid)
	if err != nil || who.GID != uid {
		t.Errorf("%+v %v", who, err)
	}
}
