package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/apitest"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/identityapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

// fakeAuth knows the tokens "user" and "agent".
type fakeAuth struct{}

func (fakeAuth) Authenticate(_ context.Context, token string) (principal.Principal, error) {
	switch token {
	case "user":
		return principal.Principal{Kind: principal.User, ID: "u"}, nil
	case "operator", "admin":
		return principal.Principal{Kind: principal.User, ID: token, Role: principal.Role(token)}, nil
	case "agent":
		return principal.Principal{Kind: principal.Agent, ID: "a", Scopes: []principal.Scope{principal.ScopeJobsLinked}}, nil
	}
	return principal.Principal{}, apperr.New(apperr.Unauthorized, "no such token")
}

// fakeIdentity answers through functions; what a test does not set panics, which is a test of its own.
type fakeIdentity struct {
	identityapi.StrictServerInterface
	login func(ctx context.Context, r identityapi.LoginRequestObject) (identityapi.LoginResponseObject, error)
	me    func(ctx context.Context) error
}

func (f fakeIdentity) Login(ctx context.Context, r identityapi.LoginRequestObject) (identityapi.LoginResponseObject, error) {
	return f.login(ctx, r)
}

func (f fakeIdentity) GetMe(ctx context.Context, _ identityapi.GetMeRequestObject) (identityapi.GetMeResponseObject, error) {
	return nil, f.me(ctx)
}

type fakeAgentJobs struct{ AgentJobs }

func (fakeAgentJobs) PutNodes(context.Context, agentapi.PutNodesRequestObject) (agentapi.PutNodesResponseObject, error) {
	return agentapi.PutNodes204Response{}, nil
}

func newTest(t *testing.T, change func(*Config)) http.Handler {
	t.Helper()
	cfg := Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Authenticator: fakeAuth{}}
	cfg.Handlers = panicHandlers()
	cfg.Handlers.AgentJobs = fakeAgentJobs{}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return apitest.Check(t, s)
}

type call struct {
	method, path, body, token string
	header                    map[string]string
}

func do(t *testing.T, h http.Handler, c call) (*httptest.ResponseRecorder, api.Problem) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var p api.Problem
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		}
	}
	return w, p
}

func TestEveryOperationIsRoutedAndNothingElse(t *testing.T) {
	s, err := New(Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Authenticator: fakeAuth{}, Handlers: panicHandlers()})
	if err != nil {
		t.Fatal(err)
	}
	routed := map[string]bool{}
	for _, r := range s.engine.Routes() {
		routed[routeKey(r.Method, r.Path)] = true
	}
	wanted := map[string]bool{}
	for key := range s.contract {
		wanted[key] = true
	}
	for _, key := range pageRoutes() {
		wanted[key] = true
	}
	if len(wanted) < 39 {
		t.Fatalf("the document has only %d operations", len(wanted))
	}
	if diff := cmp.Diff(wanted, routed); diff != "" {
		t.Errorf("document (-) and router (+) differ:\n%s", diff)
	}
}

func TestEveryCodeHasAPlaceInTheTable(t *testing.T) {
	for _, code := range apperr.Codes() {
		k, ok := table[code]
		if !ok || k.status < 400 || k.title == "" {
			t.Errorf("%s: %+v", code, k)
		}
	}
	if len(table) != len(apperr.Codes()) {
		t.Errorf("%d codes in the table, %d in the contract", len(table), len(apperr.Codes()))
	}
}

func TestAHoleInTheContractIsNamed(t *testing.T) {
	h := panicHandlers()
	h.AgentFiles, h.Jobs = nil, nil
	err := h.Check()
	if panicHandlers().Check() != nil || err == nil || !strings.Contains(err.Error(), "AgentFiles") || !strings.Contains(err.Error(), "Jobs") {
		t.Errorf("got %v", err)
	}
}

func TestThreat_T14_EveryRouteRefusesWhoIsNotNamed(t *testing.T) {
	doc, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	h := newTest(t, nil)
	for key, op := range doc {
		for _, who := range []principal.Kind{principal.Anonymous, principal.User, principal.Agent} {
			if op.allows(who) || op.allows(principal.Anonymous) {
				continue
			}
			t.Run(key+" as "+string(who), func(t *testing.T) {
				c := call{method: op.method, path: examplePath(op.route)}
				want := http.StatusUnauthorized
				if who != principal.Anonymous {
					c.token, want = string(who), http.StatusForbidden
				}
				if w, _ := do(t, h, c); w.Code != want {
					t.Errorf("got %d, want %d", w.Code, want)
				}
			})
		}
	}
}

func examplePath(route string) string {
	parts := strings.Split(route, "/")
	for i, p := range parts {
		switch {
		case p == ":uid":
			parts[i] = "1000"
		case strings.HasPrefix(p, ":"):
			parts[i] = "6f1d7f0e-5f0c-4ee0-9d1c-6c4d8a4d9f10"
		}
	}
	return strings.Join(parts, "/")
}

func TestErrorsAreProblemDocuments(t *testing.T) {
	h := newTest(t, func(c *Config) {
		c.Handlers.Identity = fakeIdentity{
			login: func(context.Context, identityapi.LoginRequestObject) (identityapi.LoginResponseObject, error) {
				return nil, &apperr.Error{Code: apperr.RateLimited, Message: "slow down", Hint: "wait", RetryAfter: 1500 * time.Millisecond}
			},
			me: func(context.Context) error { return errors.New("dial tcp 10.0.0.7: secret detail") },
		}
	})
	credentials := `{"username":"a","password":"b"}`
	cases := map[string]struct {
		call   call
		status int
		code   api.ErrorCode
		detail string
	}{
		"unknown path":         {call{method: "GET", path: "/nope"}, 404, api.NotFound, "no such path"},
		"path with a slash":    {call{method: "GET", path: "/livez/"}, 404, api.NotFound, "no such path"},
		"unknown method":       {call{method: "DELETE", path: "/livez"}, 405, api.InvalidRequest, "does not take"},
		"own code":             {call{method: "POST", path: "/auth/login", body: credentials}, 429, api.RateLimited, "slow down; wait"},
		"internal text hidden": {call{method: "GET", path: "/me", token: "user"}, 500, api.Internal, "request id"},
		"a panic":              {call{method: "GET", path: "/links", token: "user"}, 500, api.Internal, "request id"},
		"bad path parameter":   {call{method: "DELETE", path: "/links/xyz", token: "user"}, 400, api.InvalidRequest, "link_id"},
		"no token":             {call{method: "GET", path: "/me"}, 401, api.Unauthorized, "ergon login"},
		"two words of token":   {call{method: "GET", path: "/me", token: "a b"}, 401, api.Unauthorized, "Bearer TOKEN"},
		"token over 4 KiB":     {call{method: "GET", path: "/me", token: strings.Repeat("x", 5000)}, 401, api.Unauthorized, "too long"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, p := do(t, h, c.call)
			if w.Code != c.status || p.Status != c.status || p.Code != c.code {
				t.Fatalf("got %d %+v", w.Code, p)
			}
			if p.Detail == nil || !strings.Contains(*p.Detail, c.detail) || strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("body %s", w.Body)
			}
			if p.Instance == nil || *p.Instance != w.Header().Get("X-Request-Id") {
				t.Errorf("no request id in %s", w.Body)
			}
		})
	}
	if w, _ := do(t, h, cases["own code"].call); w.Header().Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
}

func TestThreat_T30_BodiesAreHeldToTheContract(t *testing.T) {
	h := newTest(t, func(c *Config) {
		c.Handlers.Identity = fakeIdentity{login: func(_ context.Context, r identityapi.LoginRequestObject) (identityapi.LoginResponseObject, error) {
			return nil, apperr.New(apperr.InvalidCredentials, "reached "+r.Body.Username)
		}}
	})
	deep := `{"username":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`
	cases := map[string]struct {
		body   string
		header map[string]string
		status int
	}{
		"good":                    {`{"username":"a","password":"b"}`, nil, 401},
		"unknown member":          {`{"username":"a","password":"b","x":1}`, nil, 400},
		"member in another case":  {`{"username":"a","password":"b","PASSWORD":"c"}`, nil, 400},
		"duplicate member":        {`{"username":"a","username":"b","password":"c"}`, nil, 400},
		"duplicate inside":        {`{"username":"a","password":"b","x":{"y":1,"y":2}}`, nil, 400},
		"missing member":          {`{"username":"a"}`, nil, 400},
		"wrong type":              {`{"username":1,"password":"b"}`, nil, 400},
		"null":                    {`{"username":null,"password":"b"}`, nil, 400},
		"too long":                {`{"username":"` + strings.Repeat("a", 65) + `","password":"b"}`, nil, 400},
		"something after":         {`{"username":"a","password":"b"} {}`, nil, 400},
		"cut off":                 {`{"username":"a","password":"b"`, nil, 400},
		"not JSON":                {`username=a`, nil, 400},
		"array":                   {`[]`, nil, 400},
		"empty":                   {``, nil, 400},
		"deep":                    {deep, nil, 400},
		"over 1 MiB":              {`{"username":"` + strings.Repeat("a", 1<<20) + `"}`, nil, 413},
		"form":                    {`{"username":"a","password":"b"}`, map[string]string{"Content-Type": "text/plain"}, 415},
		"compressed":              {`{"username":"a","password":"b"}`, map[string]string{"Content-Encoding": "gzip"}, 415},
		"JSON with a charset":     {`{"username":"a","password":"b"}`, map[string]string{"Content-Type": "application/json; charset=utf-8"}, 401},
		"Kelvin sign for k":       {`{"username":"a","password":"b","\u212a":1,"k":2}`, nil, 400},
		"invalid UTF-8 in a name": {"{\"\xff\":1}", nil, 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, _ := do(t, h, call{method: "POST", path: "/auth/login", body: c.body, header: c.header})
			if w.Code != c.status {
				t.Errorf("got %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if (name == "deep") != strings.Contains(w.Body.String(), "deeper") {
				t.Errorf("another reason: %s", w.Body)
			}
		})
	}
}

func TestAgentRoutesIgnoreUnknownMembers(t *testing.T) {
	h := newTest(t, nil)
	cases := map[string]struct {
		body   string
		status int
	}{
		"unknown member":          {`{"slurm_version":"22.05.8","nodes":[{"name":"n1","new":1}],"later":true}`, 204},
		"known in another case":   {`{"slurm_version":"22.05.8","nodes":[],"Cgroup_Version":"v9"}`, 400},
		"duplicates all the same": {`{"slurm_version":"22.05.8","nodes":[],"nodes":[]}`, 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if w, _ := do(t, h, call{method: "PUT", path: "/agent/nodes", body: c.body, token: "agent"}); w.Code != c.status {
				t.Errorf("got %d, want %d: %s", w.Code, c.status, w.Body)
			}
		})
	}
}

func TestLogsHoldNoQueryTokenOrBody(t *testing.T) {
	var out bytes.Buffer
	h := newTest(t, func(c *Config) {
		c.Log = slog.New(slog.NewJSONHandler(&out, nil))
		c.Handlers.Identity = fakeIdentity{login: func(context.Context, identityapi.LoginRequestObject) (identityapi.LoginResponseObject, error) {
			return nil, apperr.New(apperr.InvalidCredentials, "wrong")
		}}
	})
	do(t, h, call{
		method: "GET", path: "/files/list?prefix=QUERYWORD", token: "TOKENWORD",
		header: map[string]string{"X-Request-Id": "bad\u001b[31m id"},
	})
	do(t, h, call{method: "POST", path: "/auth/login", body: `{"username":"BODYWORD","password":"BODYWORD"}`})
	for _, word := range []string{"QUERYWORD", "TOKENWORD", "BODYWORD", "\x1b"} {
		if strings.Contains(out.String(), word) {
			t.Errorf("the log holds %q:\n%s", word, out.String())
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines for 2 requests:\n%s", n, out.String())
	}
}

func TestThreat_T17_ForgedForwardedForCountsOnlyFromTrustedProxies(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		t.Run(fmt.Sprint("trusted=", trusted), func(t *testing.T) {
			seen := ""
			h := newTest(t, func(c *Config) {
				if trusted {
					c.TrustedProxies = []string{"192.0.2.0/24"} // httptest's peer is 192.0.2.1
				}
				c.Handlers.Identity = fakeIdentity{me: func(ctx context.Context) error {
					seen = principal.OriginFrom(ctx).IP.String()
					return apperr.New(apperr.Gone, "x")
				}}
			})
			do(t, h, call{method: "GET", path: "/me", token: "user", header: map[string]string{"X-Forwarded-For": "203.0.113.9"}})
			want := map[bool]string{false: "192.0.2.1", true: "203.0.113.9"}[trusted]
			if seen != want {
				t.Errorf("address %s, want %s", seen, want)
			}
		})
	}
}

func TestThreat_T28_OnlyListedOriginsGetCORS(t *testing.T) {
	const listed = "https://grafana.example.org"
	h := newTest(t, func(c *Config) { c.CORSOrigins = []string{listed} })
	origins := []string{
		listed, "null", "*", "NULL", "file://", "https://", "http://grafana.example.org", "https://GRAFANA.example.org", // case, scheme
		"https://grafana.example.org.evil.example", "https://evilgrafana.example.org", "https://a.grafana.example.org", // suffix, prefix, below
		"https://example.org", "https://grafana.example.org.", "https://grafana.example.orgx", "https://grafanaXexample.org", // above, dots
		"https://grafana.example.org:443", "https://grafana.example.org:444", "https://grafana.example.org:80@evil.example", // ports
		"https://grafana.example.org@evil.example", "https://user@grafana.example.org", "https://evil.example#grafana.example.org", // userinfo
		"https://evil.example/https://grafana.example.org", "https://grafana.example.org/", "https://grafana.example.org%60.evil.example",
		"https://grafana.example.org,https://evil.example", "https://evil.example https://grafana.example.org", "https://grafana.example.org\t",
	}
	for _, origin := range origins {
		for _, method := range []string{"", http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace} {
			t.Run(method+" "+origin, func(t *testing.T) { preflight(t, h, origin, method, origin == listed) })
		}
	}
}

// preflight asks before a call of a method, or with none just calls.
func preflight(t *testing.T, h http.Handler, origin, method string, allowed bool) {
	t.Helper()
	c := call{method: http.MethodGet, path: "/version", header: map[string]string{"Origin": origin}}
	if method != "" { // of a route that needs a token, which a preflight never has
		c = call{method: http.MethodOptions, path: "/me", header: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,x-other",
		}}
	}
	w, _ := do(t, h, c)
	got := w.Header()
	if want := map[bool]string{true: origin}[allowed]; got.Get("Access-Control-Allow-Origin") != want {
		t.Errorf("allowed for %q", got.Get("Access-Control-Allow-Origin"))
	}
	if got.Get("Access-Control-Allow-Credentials") != "" || got.Get("Vary") != "Origin" {
		t.Errorf("headers %v", got)
	}
	methods, headers := got.Get("Access-Control-Allow-Methods"), got.Get("Access-Control-Allow-Headers")
	if told := methods != "" || headers != ""; told != (allowed && method != "") {
		t.Errorf("methods %q, headers %q", methods, headers)
	}
	if strings.Contains(methods+headers, "*") || strings.Contains(methods, http.MethodPatch) || strings.Contains(methods, http.MethodTrace) || strings.Contains(strings.ToLower(headers), "x-other") {
		t.Errorf("more than is needed: %q, %q", methods, headers)
	}
	if method != "" && (w.Code != http.StatusNoContent || w.Body.Len() != 0) {
		t.Errorf("a preflight was answered with %d %s", w.Code, w.Body)
	}
}

func TestEveryAnswerCarriesSecurityHeaders(t *testing.T) {
	for _, path := range []string{"/livez", "/nope", "/me"} {
		w, _ := do(t, newTest(t, nil), call{method: "GET", path: path})
		for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "Referrer-Policy", "Cache-Control"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
	}
}

func TestADroppedClientCancelsTheHandler(t *testing.T) {
	reached, ended := make(chan struct{}), make(chan error, 1)
	handlers := panicHandlers()
	handlers.Identity = fakeIdentity{me: func(ctx context.Context) error {
		close(reached)
		select {
		case <-ctx.Done():
			ended <- ctx.Err()
		case <-time.After(10 * time.Second):
			ended <- errors.New("the context was never done")
		}
		return nil
	}}
	s, err := New(Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Authenticator: fakeAuth{},
		Handlers: handlers,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/me", nil)
	r.Header.Set("Authorization", "Bearer user")
	go func() {
		<-reached
		cancel()
	}()
	resp, err := srv.Client().Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		t.Fatal("the request came back")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestARequestThatTakesTooLongIsEnded(t *testing.T) {
	h := newTest(t, func(c *Config) {
		c.RequestTimeout = 50 * time.Millisecond
		c.Handlers.Identity = fakeIdentity{me: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return apperr.Wrap(apperr.Busy, "too slow", ctx.Err())
			case <-time.After(10 * time.Second):
				return nil
			}
		}}
	})
	if w, _ := do(t, h, call{method: "GET", path: "/me", token: "user"}); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "too slow") {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}

func TestThreat_T30_AgentsMaySendMoreThanPeopleAndNotWithoutEnd(t *testing.T) {
	h := newTest(t, nil)
	facts := func(size int) string {
		return `{"slurm_version":"22.05.8","nodes":[],"later":"` + strings.Repeat("a", size) + `"}`
	}
	for size, status := range map[int]int{1<<20 + 1: 204, 8<<20 + 1: 413} {
		if w, _ := do(t, h, call{method: "PUT", path: "/agent/nodes", body: facts(size), token: "agent"}); w.Code != status {
			t.Errorf("%d bytes are answered with %d, want %d: %s", size, w.Code, status, w.Body)
		}
	}
}

func TestAFailingCheckIsLoggedWhenItBeginsAndEndsAndNowAndThen(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var cause error
	s := system{
		checks: []Check{{Name: "disk", Run: func(context.Context) error { return cause }}},
		report: newOutcomes(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }).report,
	}
	ask := func(minutes int, err error) (lines []string) {
		log.Reset()
		cause = err
		for range minutes * 12 {
			now = now.Add(5 * time.Second)
			s.run(t.Context())
		}
		return strings.FieldsFunc(log.String(), func(r rune) bool { return r == '\n' })
	}
	if lines := ask(5, nil); len(lines) != 0 {
		t.Errorf("a good check is logged: %q", lines)
	}
	if lines := ask(9, errors.New("no room")); len(lines) != 1 || !strings.Contains(lines[0], "no room") || !strings.Contains(lines[0], "WARN") {
		t.Errorf("a check that fails for nine minutes: %q", lines)
	}
	if lines := ask(2, errors.New("no room")); len(lines) != 1 {
		t.Errorf("the next two minutes: %q", lines)
	}
	if lines := ask(20, nil); len(lines) != 1 || !strings.Contains(lines[0], "ready again") {
		t.Errorf("when it works again: %q", lines)
	}
}

func TestReadinessNamesTheFailingCheckAndHidesTheCause(t *testing.T) {
	broken := false
	h := newTest(t, func(c *Config) {
		c.Checks = []Check{
			{Name: "database", Run: func(context.Context) error { return nil }},
			{Name: "store", Run: func(context.Context) error {
				if broken {
					panic("secret detail")
				}
				return nil
			}},
		}
	})
	if w, _ := do(t, h, call{method: "GET", path: "/readyz"}); w.Code != 200 {
		t.Errorf("got %d", w.Code)
	}
	broken = true
	w, _ := do(t, h, call{method: "GET", path: "/readyz", token: "admin"})
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"store":"failing"`) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for _, token := range []string{"", "user", "operator", "agent", "nobody's"} { // and none of them is turned away
		if w, _ := do(t, h, call{method: "GET", path: "/readyz", token: token}); w.Code != 503 || strings.TrimSpace(w.Body.String()) != `{"status":"failing"}` {
			t.Errorf("%q gets %d %s", token, w.Code, w.Body)
		}
	}
	if w, _ := do(t, h, call{method: "GET", path: "/livez"}); w.Code != 200 {
		t.Error("a broken store must not fail liveness")
	}
}

// listening serves until the test ends, and gives a connection to it.
func listening(t *testing.T, srv *http.Server) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestThreat_T30_ASlowBodyIsCutOffAndReachesNoHandler(t *testing.T) {
	t.Parallel()
	h, err := New(Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Authenticator: fakeAuth{}, Handlers: panicHandlers()})
	if err != nil {
		t.Fatal(err)
	}
	srv := NewHTTPServer(h, slog.New(slog.DiscardHandler))
	if srv.ReadTimeout != readTimeout || readTimeout > time.Minute || srv.WriteTimeout == 0 || srv.IdleTimeout == 0 {
		t.Errorf("limits of the listener: %v %v %v", srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout)
	}
	srv.ReadTimeout = time.Second
	conn := listening(t, srv)
	if _, err := io.WriteString(conn, "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), "could not be read to its end") {
		t.Errorf("%.900s, %v", answer, err)
	}
}

func TestThreat_T30_LargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]string{maxHeaderBytes / 2: "HTTP/1.1 200 ", 2*maxHeaderBytes + 4096: "HTTP/1.1 431 "} {
		conn := listening(t, NewHTTPServer(newTest(t, nil), slog.New(slog.DiscardHandler)))
		_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: "+strings.Repeat("a", size)+"\r\n\r\n") // may be cut off
		first := make([]byte, len(want))
		if _, err := io.ReadFull(conn, first); err != nil || string(first) != want {
			t.Errorf("%d bytes: %q, %v", size, first, err)
		}
	}
}

func TestThreat_T30_ASlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	conn := listening(t, NewHTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler)))
	start := time.Now()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(start.Add(4 * readHeaderTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
	if took := time.Since(start); took < readHeaderTimeout/2 || took > 3*readHeaderTimeout {
		t.Errorf("closed after %v", took)
	}
}
