package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// server gives tokens as the control plane does: a refresh token works once.
type server struct {
	*httptest.Server
	mu        sync.Mutex
	access    string
	refresh   string
	n         int
	refreshes int
	ended     bool
	loggedOut bool
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/login", func(w http.ResponseWriter, r *http.Request) {
		var c api.Credentials
		if json.NewDecoder(r.Body).Decode(&c) != nil || c.Password != "right" {
			problem(w, 401, "invalid_credentials")
			return
		}
		s.pair(w)
	})
	mux.HandleFunc("POST /auth/register", func(w http.ResponseWriter, _ *http.Request) { answer(w, 201, api.User{Username: "alice"}) })
	mux.HandleFunc("POST /auth/refresh", func(w http.ResponseWriter, r *http.Request) {
		var body api.RefreshRequest
		s.mu.Lock()
		good := json.NewDecoder(r.Body).Decode(&body) == nil && body.RefreshToken == s.refresh && !s.ended
		s.refreshes++
		s.mu.Unlock()
		if !good {
			problem(w, 401, "refresh_reused")
			return
		}
		s.pair(w)
	})
	mux.HandleFunc("POST /auth/logout", func(w http.ResponseWriter, r *http.Request) {
		if s.allowed(w, r) {
			s.loggedOut = true
			w.WriteHeader(204)
		}
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		if s.allowed(w, r) {
			answer(w, 200, api.Me{User: api.User{Username: "alice"}, Links: []api.Link{}})
		}
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, code api.ErrorCode) {
	answer(w, status, api.Problem{Code: code, Status: status, Title: string(code), Type: "about:blank"})
}

func (s *server) pair(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.access, s.refresh = fmt.Sprintf("access-%d", s.n), fmt.Sprintf("refresh-%d", s.n)
	answer(w, 200, api.TokenPair{AccessToken: s.access, RefreshToken: s.refresh, TokenType: "Bearer", ExpiresIn: 600, UserId: uuid.New(), SessionId: uuid.New()})
}

func (s *server) allowed(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+s.access || s.ended {
		problem(w, 401, "token_expired")
		return false
	}
	return true
}

func manager(t *testing.T, now func() time.Time) *Manager {
	t.Helper()
	return NewManager(filepath.Join(t.TempDir(), "ergon"), outbound.NewClient(5*time.Second), now)
}

func login(t *testing.T, m *Manager, s *server) {
	t.Helper()
	if _, err := m.Login(t.Context(), Credentials{Server: s.URL, Username: "alice", Password: "right"}); err != nil {
		t.Fatal(err)
	}
}

func me(ctx context.Context, m *Manager) error {
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	resp, err := client.GetMeWithResponse(ctx)
	if err != nil {
		return outbound.Explain("srv", err)
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, 200)
}

func TestLoginStoresASessionThatOnlyItsOwnerCanRead(t *testing.T) {
	t.Parallel()
	s, m := newServer(t), manager(t, time.Now)
	if _, err := m.State(t.Context()); !errors.Is(err, ErrNotLoggedIn) {
		t.Fatalf("got %v", err)
	}
	if _, err := m.Login(t.Context(), Credentials{Server: s.URL, Username: "alice", Password: "wrong"}); err == nil {
		t.Fatal("a wrong password was taken")
	}
	login(t, m, s)
	path := m.store.path()
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Fatalf("%s: %v", name, info.Mode())
		}
	}
	if err := me(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := m.State(t.Context()); err == nil || errors.Is(err, ErrNotLoggedIn) {
		t.Fatalf("a file that others can read was taken: %v", err)
	}
}

func TestATokenThatEndsIsReplacedBeforeItDoes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newServer(t)
	m := manager(t, func() time.Time { return now })
	login(t, m, s)
	now = now.Add(9 * time.Minute)
	if err := me(t.Context(), m); err != nil || s.refreshes != 0 {
		t.Fatalf("%d refreshes, %v", s.refreshes, err)
	}
	now = now.Add(40 * time.Second)
	if err := me(t.Context(), m); err != nil || s.refreshes != 1 {
		t.Fatalf("%d refreshes, %v", s.refreshes, err)
	}
}

func TestManyCommandsAtOnceUseTheRefreshTokenOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newServer(t)
	clock := func() time.Time { return now }
	first := manager(t, clock)
	login(t, first, s)
	now = now.Add(time.Hour)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			own := NewManager(first.store.dir, outbound.NewClient(5*time.Second), clock) // as another process
			errs[i] = me(t.Context(), own)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || s.refreshes != 1 {
		t.Fatalf("%d refreshes, %v", s.refreshes, err)
	}
}

func TestASessionThatTheServerEndedIsForgotten(t *testing.T) {
	t.Parallel()
	s, m := newServer(t), manager(t, time.Now)
	login(t, m, s)
	s.ended = true
	if err := me(t.Context(), m); !errors.Is(err, ErrNotLoggedIn) {
		t.Fatalf("got %v", err)
	}
	if _, err := m.State(t.Context()); !errors.Is(err, ErrNotLoggedIn) {
		t.Fatalf("got %v", err)
	}
}

func TestARefreshThatCannotReachTheServerKeepsTheSession(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newServer(t)
	m := manager(t, func() time.Time { return now })
	login(t, m, s)
	now = now.Add(time.Hour)
	s.Close()
	if err := me(t.Context(), m); !errors.Is(err, outbound.ErrUnreachable) {
		t.Fatalf("got %v", err)
	}
	if state, err := m.State(t.Context()); err != nil || state.RefreshToken == "" {
		t.Fatalf("got %+v, %v", state, err)
	}
}

func TestLogoutForgetsHereEvenWithoutTheServer(t *testing.T) {
	t.Parallel()
	s, m := newServer(t), manager(t, time.Now)
	login(t, m, s)
	if err := m.Logout(t.Context(), false); err != nil || !s.loggedOut {
		t.Fatalf("got %v", err)
	}
	if err := m.Logout(t.Context(), false); !errors.Is(err, ErrNotLoggedIn) {
		t.Fatalf("got %v", err)
	}
	login(t, m, s)
	s.Close()
	if err := m.Logout(t.Context(), false); err == nil {
		t.Fatal("the failure was hidden")
	}
	if _, err := m.State(t.Context()); !errors.Is(err, ErrNotLoggedIn) {
		t.Fatalf("got %v", err)
	}
}

func TestAnotherServerThanTheSessionsIsRefused(t *testing.T) {
	t.Parallel()
	s, m := newServer(t), manager(t, time.Now)
	login(t, m, s)
	m.Server = "https://other.example.org"
	if _, err := m.API(t.Context()); err == nil {
		t.Fatal("the token would go to another server")
	}
}

func TestServerComesFromFlagThenEnvironmentThenSession(t *testing.T) {
	t.Parallel()
	s, m := newServer(t), manager(t, time.Now)
	none := func(string) string { return "" }
	if _, err := m.ServerFrom("", none); err == nil {
		t.Fatal("no server must be an error")
	}
	login(t, m, s)
	env := func(string) string { return "https://env.example.org" }
	cases := []struct {
		flag string
		env  func(string) string
		want string
	}{{"https://flag.example.org/", env, "https://flag.example.org"}, {"", env, "https://env.example.org"}, {"", none, s.URL}}
	for _, c := range cases {
		if got, err := m.ServerFrom(c.flag, c.env); err != nil || got != c.want {
			t.Errorf("got %q, %v; want %q", got, err, c.want)
		}
	}
}

func TestADamagedSessionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s, m := newServer(t), manager(t, time.Now)
	login(t, m, s)
	if err := os.WriteFile(m.store.path(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.State(t.Context()); err == nil {
		t.Fatal("a damaged file was taken")
	}
	login(t, m, s) // and a new login mends it
	if err := me(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestDirFollowsTheEnvironment(t *testing.T) {
	t.Parallel()
	env := func(values map[string]string) func(string) string { return func(n string) string { return values[n] } }
	cases := map[string]map[string]string{
		"/c":               {"ERGON_CONFIG_DIR": "/c", "HOME": "/h"},
		"/x/ergon":         {"XDG_CONFIG_HOME": "/x", "HOME": "/h"},
		"/h/.config/ergon": {"HOME": "/h", "XDG_CONFIG_HOME": "relative"},
	}
	for want, values := range cases {
		if got, err := Dir(env(values)); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := Dir(env(nil)); err == nil {
		t.Error("no HOME must be an error")
	}
}
