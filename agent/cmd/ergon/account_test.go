package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/google/uuid"
)

// seat is one user at one terminal, with a server and perhaps an agent.
type seat struct {
	t        *testing.T
	env      map[string]string
	out, err bytes.Buffer
	in       string
	server   *httptest.Server
	routes   map[string]http.HandlerFunc
}

func newSeat(t *testing.T) *seat {
	t.Helper()
	home := t.TempDir()
	d := &seat{t: t, env: map[string]string{"HOME": home, "USER": "alice", "ERGON_AGENT_SOCKET": filepath.Join(home, "r", "a.sock")}, routes: map[string]http.HandlerFunc{}}
	d.routes["POST /auth/login"] = func(w http.ResponseWriter, r *http.Request) {
		var c api.Credentials
		if json.NewDecoder(r.Body).Decode(&c) != nil || c.Password != "right horse" {
			detail := "name or password is wrong"
			d.answer(w, 401, api.Problem{Code: "invalid_credentials", Status: 401, Detail: &detail})
			return
		}
		d.answer(w, 200, api.TokenPair{AccessToken: "a", RefreshToken: "r", TokenType: "Bearer", ExpiresIn: 600})
	}
	d.routes["POST /auth/register"] = func(w http.ResponseWriter, _ *http.Request) { d.answer(w, 201, api.User{Username: "alice"}) }
	d.routes["POST /auth/logout"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }
	d.routes["GET /me"] = func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, 200, api.Me{User: api.User{Username: "ali\x1b[31mce", Role: "user"}, Links: []api.Link{{UnixName: "al\nice", Uid: 7, Cluster: "lab"}}, Quota: api.Quota{UsedBytes: 1536, LimitBytes: 1 << 30}})
	}
	d.routes["POST /links/challenges"] = func(w http.ResponseWriter, _ *http.Request) { d.answer(w, 201, api.LinkChallenge{Challenge: "c"}) }
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := d.routes[r.Method+" "+r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		w.WriteHeader(404)
	}))
	t.Cleanup(d.server.Close)
	return d
}

func (d *seat) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		d.t.Error(err)
	}
}

func (d *seat) run(args ...string) int {
	d.t.Helper()
	d.out.Reset()
	d.err.Reset()
	a := &app{In: strings.NewReader(d.in), Out: &d.out, Err: &d.err, Env: func(n string) string { return d.env[n] }, Now: time.Now}
	return a.execute(d.t.Context(), args)
}

func (d *seat) login() {
	d.t.Helper()
	d.in = "right horse\n"
	if code := d.run("login", "--server", d.server.URL, "--user", "alice", "--password-stdin"); code != 0 {
		d.t.Fatalf("exit %d: %s", code, d.err.String())
	}
	d.in = ""
}

// fakeAgent is an agent that answers what the test wants.
type fakeAgent struct {
	server.Backend
	status    socket.Status
	challenge string
	unlinked  bool
}

func (p *fakeAgent) Status(context.Context, socket.Peer) (socket.Status, error) { return p.status, nil }

func (p *fakeAgent) Link(_ context.Context, _ socket.Peer, challenge string) (socket.Linked, error) {
	p.challenge = challenge
	return socket.Linked{Cluster: "lab", UID: 7, UnixName: "alice"}, nil
}
func (p *fakeAgent) Unlink(context.Context, socket.Peer) error { p.unlinked = true; return nil }

func (d *seat) agent(p *fakeAgent) {
	d.t.Helper()
	l, err := server.Listen(d.t.Context(), d.env["ERGON_AGENT_SOCKET"])
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ctx, l, server.Options{Backend: p, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now})
	}()
	d.t.Cleanup(func() { cancel(); <-done })
}

func TestLoginWhoamiLogout(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	if code := d.run("whoami"); code != exitNotLoggedIn || !strings.Contains(d.err.String(), "ergon login") {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	d.login()
	if code := d.run("whoami"); code != 0 {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	if got := d.out.String(); strings.ContainsAny(got, "\x1b") || !strings.Contains(got, "al ice") || !strings.Contains(got, "1.5 KiB of 1.0 GiB") {
		t.Fatalf("got %q", got)
	}
	if code := d.run("logout"); code != 0 {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	if code := d.run("logout"); code != exitNotLoggedIn {
		t.Fatalf("exit %d", code)
	}
}

func TestALogoutEverywhereSaysWhatStays(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	one := []api.PersonalToken{{Id: id, Name: "ci"}}
	own := api.Link{Id: id, UnixName: "al\x1bice", Uid: 7, Cluster: "lab", SelfAsserted: true}
	proven := api.Link{Id: uuid.New(), UnixName: "alice", Uid: 7, Cluster: "lab"}
	for name, c := range map[string]struct {
		tokens []api.PersonalToken
		links  []api.Link
		want   string
	}{
		"nothing":  {nil, []api.Link{proven}, "no tokens of programs and no agents of your own"},
		"a token":  {one, nil, "Still working: 1 token of your programs; after ergon login, ergon logout --everything"},
		"an agent": {nil, []api.Link{proven, own}, "Still working: 1 agent of your own;"},
		"both":     {append(one, one...), []api.Link{own, own}, "2 tokens of your programs and 2 agents of your own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newSeat(t)
			d.routes["GET /auth/tokens"] = func(w http.ResponseWriter, _ *http.Request) { d.answer(w, 200, map[string]any{"tokens": c.tokens}) }
			d.routes["GET /links"] = func(w http.ResponseWriter, _ *http.Request) { d.answer(w, 200, map[string]any{"links": c.links}) }
			d.login()
			if code := d.run("logout", "--everywhere"); code != 0 || !strings.Contains(d.out.String(), c.want) {
				t.Errorf("exit %d: %s%s, want %q", code, d.out.String(), d.err.String(), c.want)
			}
		})
	}
	d := newSeat(t) // a server that cannot count them
	d.login()
	if code := d.run("logout", "--everywhere"); code != 0 || !strings.Contains(d.out.String(), "if there are any, still work") {
		t.Errorf("exit %d: %s%s", code, d.out.String(), d.err.String())
	}
}

func TestALogoutOfEverythingKeepsTheSessionUntilTheServerHasDoneIt(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	status, asked := 403, api.LogoutRequest{}
	d.routes["POST /auth/logout"] = func(w http.ResponseWriter, r *http.Request) {
		asked = api.LogoutRequest{}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		if status != 204 {
			hint := "log in again with `ergon login`, then repeat it"
			d.answer(w, status, api.Problem{Code: "forbidden", Status: status, Detail: &hint})
			return
		}
		w.WriteHeader(204)
	}
	d.login()
	if code := d.run("logout", "--everything"); code != exitFailed || !strings.Contains(d.err.String(), "ergon login") {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
	if code := d.run("whoami"); code != 0 {
		t.Errorf("the session was forgotten, and nothing has ended: %s", d.err.String())
	}
	status = 204
	if code := d.run("logout", "--everything"); code != 0 || asked.Everything == nil || !*asked.Everything || !strings.Contains(d.out.String(), "every token") {
		t.Errorf("exit %d, asked for %+v: %s%s", code, asked, d.out.String(), d.err.String())
	}
	if code := d.run("whoami"); code != exitNotLoggedIn {
		t.Errorf("afterwards whoami ends with %d", code)
	}
	d.env["ERGON_TOKEN"] = "ergpat_x"
	if code := d.run("logout", "--everything", "--server", d.server.URL); code != exitFailed || !strings.Contains(d.err.String(), "ERGON_TOKEN") {
		t.Errorf("a program: exit %d: %s", code, d.err.String())
	}
}

func TestOwnAgentsAreListedAndEndedAndNoLinkIs(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	own := api.Link{Id: uuid.New(), UnixName: "al\x1bice", Uid: 7, Cluster: "lab", SelfAsserted: true}
	proven := api.Link{Id: uuid.New(), UnixName: "alice", Uid: 7, Cluster: "lab"}
	d.routes["GET /links"] = func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, 200, map[string]any{"links": []api.Link{proven, own}})
	}
	var ended []string
	for _, l := range []api.Link{own, proven} {
		d.routes["DELETE /links/"+l.Id.String()] = func(w http.ResponseWriter, r *http.Request) {
			ended = append(ended, r.URL.Path)
			w.WriteHeader(204)
		}
	}
	d.login()
	if code := d.run("agent", "list"); code != 0 || !strings.Contains(d.out.String(), own.Id.String()) || strings.Contains(d.out.String(), proven.Id.String()) || strings.Contains(d.out.String(), "\x1b") {
		t.Errorf("exit %d: %q", code, d.out.String())
	}
	if code := d.run("agent", "revoke", proven.Id.String()); code != exitNotFound || len(ended) != 0 {
		t.Errorf("a link: exit %d, ended %v: %s", code, ended, d.err.String())
	}
	if code := d.run("agent", "revoke", own.Id.String()); code != 0 || len(ended) != 1 || !strings.Contains(d.out.String(), "has ended") {
		t.Errorf("exit %d, ended %v: %s", code, ended, d.err.String())
	}
}

func TestExitCodesTellWhatWentWrong(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.in = "wrong\n"
	if code := d.run("login", "--server", d.server.URL, "--user", "alice", "--password-stdin"); code != exitFailed || !strings.Contains(d.err.String(), "name or password is wrong") {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"no server":     {[]string{"login", "--user", "a", "--password-stdin"}, exitUsage, "--server"},
		"plain http":    {[]string{"login", "--server", "http://ergon.example.org", "--password-stdin"}, exitUsage, "https"},
		"unknown flag":  {[]string{"login", "--nope"}, exitUsage, "nope"},
		"no terminal":   {[]string{"login", "--server", d.server.URL, "--user", "a"}, exitUsage, "--password-stdin"},
		"no agent":      {[]string{"status"}, exitFailed, "no ergon agent"},
		"server is off": {[]string{"login", "--server", "http://127.0.0.1:1", "--user", "a", "--password-stdin"}, exitUnreachable, "cannot reach"},
	}
	for name, c := range cases {
		d.in = "some password\n"
		if code := d.run(c.args...); code != c.code || !strings.Contains(d.err.String(), c.want) {
			t.Errorf("%s: exit %d: %s", name, code, d.err.String())
		}
	}
}

func TestThePasswordIsReadWholeAndNeverShown(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.login()
	if text := d.out.String() + d.err.String(); strings.Contains(text, "right horse") || !strings.Contains(text, "as alice") {
		t.Fatalf("got %q", text)
	}
}

func TestLinkNamesBothIdentitiesAndNeedsConsent(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	p := &fakeAgent{status: socket.Status{Mode: "system", Enrolled: true, Server: d.server.URL, Cluster: "lab", UID: 7, UnixName: "alice"}}
	d.agent(p)
	if code := d.run("link", "--yes"); code != exitNotLoggedIn {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	d.login()
	if code := d.run("link"); code != exitUsage || p.challenge != "" {
		t.Fatalf("without a terminal and --yes: exit %d: %s", code, d.err.String())
	}
	challenges := 0
	challenge := d.routes["POST /links/challenges"]
	d.routes["POST /links/challenges"] = func(w http.ResponseWriter, r *http.Request) { challenges++; challenge(w, r) }
	question := "Link unix account alice (uid 7) on cluster lab to Ergon account alice at " + d.server.URL + "? [y/N]"
	for _, no := range []string{"n\n", "\n", "yea\n"} {
		if code := d.runAtTerminal(no, "link"); code == exitOK || challenges != 0 || p.challenge != "" {
			t.Fatalf("answered %q: exit %d, %d challenges: %s", no, code, challenges, d.err.String())
		}
		wantTexts(t, d.err.String(), question, "nothing was changed")
	}
	if code := d.runAtTerminal("y\n", "link"); code != exitOK || challenges != 1 || p.challenge != "c" {
		t.Fatalf("answered y: exit %d, %d challenges: %s", code, challenges, d.err.String())
	}
	wantTexts(t, d.err.String(), question)
	p.challenge = ""
	if code := d.run("link", "--yes"); code != 0 || p.challenge != "c" || !strings.Contains(d.out.String(), "alice (uid 7) on lab") {
		t.Fatalf("exit %d: %s%s", code, d.out.String(), d.err.String())
	}
	p.status.Server = "https://other.example.org"
	if code := d.run("link", "--yes"); code != exitFailed || !strings.Contains(d.err.String(), "other.example.org") {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	if code := d.run("unlink", "--yes"); code != 0 || !p.unlinked {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
}

func TestStatusShowsProblemsWithoutControlCharacters(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	since := time.Now().Add(-time.Minute)
	no := false
	d.agent(&fakeAgent{status: socket.Status{
		Version: "v", Mode: "system", Enrolled: true, Server: "https://s", UnixName: "a\x1b[2Jb", Linked: &no, OutboxEvents: 3, OutboxSince: &since,
		Problems: []string{"squeue failed\nx"}, Jobs: map[string]int{"VERIFIED": 2, "RUNNING": 1},
		Sending: []socket.Sending{{SlurmJobID: "7_1", Files: 3, FilesTotal: 7, Bytes: 1 << 20, BytesTotal: 4 << 20, Current: "x\x1b.nc"}},
	}})
	if code := d.run("status"); code != 0 {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	got := d.out.String()
	for _, want := range []string{"3 events wait", "not linked; run: ergon link", "squeue failed x", "running 1, verified 2", "has not answered yet", "job 7_1: 3 of 7 files, 1.0 MiB of 4.0 MiB, now x"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("an escape came through: %q", got)
	}
}

func TestAUsersOwnAgentIsEnrolledWithHisToken(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	id := uuid.New()
	d.routes["POST /agents/enrolments"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		d.answer(w, 201, map[string]any{"token": "once", "expires_at": time.Now()})
	}
	d.routes["POST /agents/enrol"] = func(w http.ResponseWriter, r *http.Request) {
		var body api.EnrolRequest
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Token != "once" || body.Uid == nil {
			t.Errorf("got %+v", body)
		}
		d.answer(w, 201, api.Agent{Id: id, Cluster: "lab", Kind: "user", Name: body.Name, Scopes: []api.AgentScopes{}})
	}
	d.login()
	if code := d.run("agent", "enrol", "--cluster", "lab"); code != 0 || !strings.Contains(d.out.String(), "ergon-agent run") {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
}

func TestWatchTellsHowFarTheAgentOfThisNodeIs(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.agent(&fakeAgent{status: socket.Status{Cluster: "lab", Sending: []socket.Sending{
		{SlurmJobID: "8", Files: 1, FilesTotal: 1}, {SlurmJobID: "7", Files: 3, FilesTotal: 7, Bytes: 1 << 20, BytesTotal: 4 << 20},
	}}})
	a := &app{Env: func(name string) string { return d.env[name] }, Out: &d.out, Now: time.Now}
	s := sight{job: efficiency.Job{JobID: "7", SlurmState: "COMPLETED"}, phase: api.UploadPhaseUploading}
	for cluster, want := range map[string]string{"": "3 of 7 files, 1.0 MiB of 4.0 MiB", "lab": "3 of 7 files, 1.0 MiB of 4.0 MiB", "other": ""} {
		w := &watcher{app: a, cluster: cluster}
		if got := w.sent(t.Context(), s); got != want {
			t.Errorf("cluster %q: got %q", cluster, got)
		}
	}
	w := &watcher{app: a}
	s.sent = w.sent(t.Context(), s)
	w.tell(s)
	if !strings.Contains(d.out.String(), "(3 of 7 files") {
		t.Errorf("printed %q", d.out.String())
	}
	s.phase = api.UploadPhaseVerified
	if got := w.sent(t.Context(), s); got != "" {
		t.Errorf("after the upload: %q", got)
	}
}
