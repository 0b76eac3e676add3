package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// deviceServer answers polls with what the test lines up.
type deviceServer struct {
	*httptest.Server
	answers []func(w http.ResponseWriter)
	client  api.StartDeviceJSONRequestBody
	page    string
}

func grant(code api.GrantErrorError) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		_ = json.NewEncoder(w).Encode(api.GrantError{Error: code})
	}
}

func newDeviceServer(t *testing.T, answers ...func(http.ResponseWriter)) *deviceServer {
	t.Helper()
	s := &deviceServer{answers: answers}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/device", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&s.client)
		answer(w, 200, api.DeviceCodes{DeviceCode: "secret", UserCode: "WDJB-MJHT", VerificationUri: s.page, ExpiresIn: 600, Interval: 5})
	})
	mux.HandleFunc("POST /auth/device/token", func(w http.ResponseWriter, r *http.Request) {
		var body api.PollDeviceJSONRequestBody
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.DeviceCode != "secret" || string(body.GrantType) != grantDevice || len(s.answers) == 0 {
			problem(w, 500, "internal")
			return
		}
		next := s.answers[0]
		s.answers = s.answers[1:]
		next(w)
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, api.Me{User: api.User{Username: "alice"}, Links: []api.Link{}})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func tokens(w http.ResponseWriter) {
	answer(w, 200, api.TokenPair{AccessToken: "a", RefreshToken: "r", TokenType: "Bearer", ExpiresIn: 600})
}

// impatient notes how long it was told to wait, and moves a clock instead.
func impatient(t *testing.T) (*Manager, *[]time.Duration) {
	t.Helper()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	m := manager(t, func() time.Time { return now })
	var waited []time.Duration
	m.wait = func(ctx context.Context, d time.Duration) error {
		waited = append(waited, d)
		now = now.Add(d)
		return ctx.Err()
	}
	return m, &waited
}

func TestTheDeviceFlowWaitsAsTheServerSays(t *testing.T) {
	t.Parallel()
	busy := func(w http.ResponseWriter) { problem(w, 503, "busy") }
	s := newDeviceServer(t, grant(api.AuthorizationPending), grant(api.SlowDown), grant(api.AuthorizationPending), busy, tokens)
	m, waited := impatient(t)
	var prompt DevicePrompt
	state, err := m.LoginDevice(t.Context(), s.URL, DeviceClient{Host: "login1", Cluster: "hpc"}, func(p DevicePrompt) { prompt = p })
	if err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{5 * time.Second, 5 * time.Second, 10 * time.Second, 10 * time.Second, 20 * time.Second}; !slices.Equal(*waited, want) {
		t.Errorf("waited %v, want %v", *waited, want)
	}
	if prompt.UserCode != "WDJB-MJHT" || prompt.Page != s.URL+"/device" || prompt.Life != 10*time.Minute || *s.client.Host != "login1" || *s.client.Cluster != "hpc" {
		t.Errorf("%+v %+v", prompt, s.client)
	}
	if stored, err := m.State(t.Context()); err != nil || state.Username != "alice" || stored.Username != "alice" || stored.RefreshToken != "r" {
		t.Errorf("%+v %v", stored, err)
	}
}

func TestADeviceFlowThatEndsSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []func(http.ResponseWriter)
		want    string
	}{
		"refused":      {[]func(http.ResponseWriter){grant(api.AccessDenied)}, "refused"},
		"expired":      {[]func(http.ResponseWriter){grant(api.ExpiredToken)}, "in time"},
		"unknown":      {[]func(http.ResponseWriter){grant(api.InvalidGrant)}, "in time"},
		"never":        {slices.Repeat([]func(http.ResponseWriter){grant(api.AuthorizationPending)}, 1000), "in time"},
		"not allowed":  {[]func(http.ResponseWriter){func(w http.ResponseWriter) { problem(w, 403, "forbidden") }}, "forbidden"},
		"empty answer": {[]func(http.ResponseWriter){func(w http.ResponseWriter) { w.WriteHeader(200) }}, "without tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := impatient(t)
			_, err := m.LoginDevice(t.Context(), newDeviceServer(t, c.answers...).URL, DeviceClient{}, func(DevicePrompt) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := m.State(t.Context()); !errors.Is(err, ErrNotLoggedIn) {
				t.Errorf("a session was stored: %v", err)
			}
		})
	}
}

func TestAPageThatPeopleMustNotBeSentToIsNotShown(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"https://ergon.example.org/device": "https://ergon.example.org/device",
		"http://ergon.example.org/device":  "https://base/device",
		"javascript:alert(1)":              "https://base/device",
		"https://user@evil.example/device": "https://base/device",
		"":                                 "https://base/device",
	} {
		if got := page("https://base", said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestAPersonalTokenNeedsNoSessionAndIsNeverRefreshed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := manager(t, time.Now)
	m.Token = "ergpat_x"
	if _, err := m.State(t.Context()); err == nil || !strings.Contains(err.Error(), "ERGON_SERVER") {
		t.Errorf("without a server: %v", err)
	}
	m.Server = s.URL
	s.access = "ergpat_x"
	if err := me(t.Context(), m); err != nil {
		t.Error(err)
	}
	s.access = "another"
	if err := me(t.Context(), m); err == nil || s.refreshes != 0 {
		t.Errorf("got %v after %d refreshes", err, s.refreshes)
	}
	if err := m.Logout(t.Context(), false); err == nil || !strings.Contains(err.Error(), "ERGON_TOKEN") {
		t.Errorf("logout: %v", err)
	}
	if _, err := os.Stat(m.store.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was stored: %v", err)
	}
}

func TestTheUnixIdentityIsALoginWhenThereIsNoSession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.access = "local-2"
	m := manager(t, time.Now)
	var asked []string
	m.Local = func(_ context.Context, stale string) (State, error) {
		asked = append(asked, stale)
		return State{Server: s.URL, Username: "alice@hpc", AccessToken: fmt.Sprint("local-", len(asked)), ExpiresAt: time.Now().Add(10 * time.Minute)}, nil
	}
	if err := me(t.Context(), m); err != nil {
		t.Error(err)
	}
	if err := me(t.Context(), m); err != nil || !slices.Equal(asked, []string{"", "local-1"}) {
		t.Errorf("%v, the agent was asked with %q", err, asked)
	}
	login(t, m, s)
	if state, err := m.State(t.Context()); err != nil || state.Username != "alice" {
		t.Errorf("a session comes first: %+v %v", state, err)
	}
}

// TestMain is also the program that TestTwentyProcessesUseTheRefreshTokenOnce starts.
func TestMain(m *testing.M) {
	dir := os.Getenv("ERGON_TEST_SESSION_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	own := NewManager(dir, outbound.NewClient(time.Minute), time.Now)
	if err := me(context.Background(), own); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestTwentyProcessesUseTheRefreshTokenOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := manager(t, time.Now)
	login(t, m, s)
	state, err := m.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	state.ExpiresAt = time.Now().Add(-time.Minute)
	if err := m.store.Save(state); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			c.Env = append(os.Environ(), "ERGON_TEST_SESSION_DIR="+m.store.dir)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if s.refreshes != 1 {
		t.Errorf("%d refreshes, one is right", s.refreshes)
	}
	for path, mode := range map[string]os.FileMode{m.store.dir: 0o700, m.store.path(): 0o600, filepath.Join(m.store.dir, "session.lock"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(m.store.dir, "*")); err != nil || len(left) != 2 {
		t.Errorf("%v were left behind", left)
	}
}
