package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
	"github.com/ergon-hpc/ergon/shared/api"
)

func TestTheCodeIsShownAndTheLoginComesFromTheBrowser(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.agent(&fakeAgent{status: socket.Status{Cluster: "lab"}})
	var said api.StartDeviceJSONRequestBody
	d.routes["POST /auth/device"] = func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		d.answer(w, 200, api.DeviceCodes{DeviceCode: "s\x1b", UserCode: "WDJB-\x1b[2JMJHT", VerificationUri: d.server.URL + "/device", ExpiresIn: 600, Interval: 1})
	}
	d.routes["POST /auth/device/token"] = func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, 200, api.TokenPair{AccessToken: "a", RefreshToken: "r", TokenType: "Bearer", ExpiresIn: 600})
	}
	if code := d.run("login", "--server", d.server.URL, "--device"); code != 0 {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	if text := d.err.String(); !strings.Contains(text, d.server.URL+"/device\n") || !strings.Contains(text, "WDJB-") || strings.Contains(text, "\x1b") {
		t.Errorf("shown: %q", text)
	}
	if *said.Cluster != "lab" || *said.Host == "" || !strings.Contains(d.out.String(), "Logged in at "+d.server.URL) {
		t.Errorf("%+v, %q", said, d.out.String())
	}
	if code := d.run("whoami"); code != 0 {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
}

func TestWithoutATerminalAPasswordIsAskedForByName(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	if code := d.run("login", "--server", d.server.URL); code != exitUsage || !strings.Contains(d.err.String(), "--password-stdin") {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
	if code := d.run("login", "--server", d.server.URL, "--device", "--password"); code == 0 {
		t.Error("two ways at once were taken")
	}
}

func TestAnInvitationReachesTheServer(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	var got api.Credentials
	d.routes["POST /auth/register"] = func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		d.answer(w, 201, api.User{Username: "alice"})
	}
	d.in = "right horse\nergi_x\n"
	if code := d.run("login", "--server", d.server.URL, "--register", "--password-stdin", "--invitation", "-"); code != 0 {
		t.Fatalf("exit %d: %s", code, d.err.String())
	}
	if got.Invitation == nil || *got.Invitation != "ergi_x" || got.Password != "right horse" {
		t.Errorf("%+v", got)
	}
}

func TestTokensAreMadeListedAndEnded(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.login()
	id := uuid.New()
	info := api.PersonalToken{Id: id, Name: "night\x1bly", Scopes: []api.TokenScope{api.JobsRead, api.FilesRead}, ExpiresAt: time.Now().Add(time.Hour)}
	var asked api.CreateTokenJSONRequestBody
	d.routes["POST /auth/tokens"] = func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&asked)
		d.answer(w, 201, map[string]any{"token": "ergpat_secret", "info": info})
	}
	d.routes["GET /auth/tokens"] = func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, 200, map[string]any{"tokens": []api.PersonalToken{info}})
	}
	ended := false
	d.routes["DELETE /auth/tokens/"+id.String()] = func(w http.ResponseWriter, _ *http.Request) { ended = true; w.WriteHeader(204) }
	if code := d.run("token", "create", "nightly", "--scope", "jobs:read,files:read", "--expires", "2d"); code != 0 || d.out.String() != "ergpat_secret\n" {
		t.Errorf("exit %d: %q %s", code, d.out.String(), d.err.String())
	}
	if asked.Name != "nightly" || asked.ExpiresInS != 2*24*3600 || len(asked.Scopes) != 2 {
		t.Errorf("%+v", asked)
	}
	if code := d.run("token", "list"); code != 0 || !strings.Contains(d.out.String(), id.String()) || strings.Contains(d.out.String(), "\x1b") || !strings.Contains(d.out.String(), "last used never") {
		t.Errorf("exit %d: %q", code, d.out.String())
	}
	if code := d.run("token", "revoke", id.String()); code != 0 || !ended {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
	for _, life := range []string{"0d", "-1d", "1s", "soon", "9d9"} {
		if code := d.run("token", "create", "x", "--expires="+life); code != exitUsage {
			t.Errorf("--expires %s: exit %d", life, code)
		}
	}
	if code := d.run("token", "revoke", "x"); code != exitUsage {
		t.Errorf("no id: exit %d", code)
	}
}

func TestErgonTokenLogsAProgramIn(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	var header string
	me := d.routes["GET /me"]
	d.routes["GET /me"] = func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get("Authorization")
		me(w, r)
	}
	d.env["ERGON_TOKEN"] = "ergpat_x\n"
	if code := d.run("whoami"); code != exitFailed || !strings.Contains(d.err.String(), "ERGON_SERVER") {
		t.Errorf("without a server: exit %d: %s", code, d.err.String())
	}
	d.env["ERGON_SERVER"] = d.server.URL
	if code := d.run("whoami"); code != 0 || header != "Bearer ergpat_x" {
		t.Errorf("exit %d: %s; sent %q", code, d.err.String(), header)
	}
}

func TestSessionsAndPassword(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.login()
	id, method, agent := uuid.New(), "device", "ergon\x1b/1"
	d.routes["GET /auth/sessions"] = func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, 200, map[string]any{"sessions": []api.Session{{Id: id, CreatedAt: time.Now(), Method: &method, UserAgent: &agent, Current: true}}})
	}
	d.routes["DELETE /auth/sessions/"+id.String()] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }
	var change api.ChangePasswordJSONRequestBody
	d.routes["POST /auth/password"] = func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&change)
		w.WriteHeader(204)
	}
	if code := d.run("sessions"); code != 0 || !strings.Contains(d.out.String(), id.String()) || !strings.Contains(d.out.String(), "(this one)") || strings.Contains(d.out.String(), "\x1b") {
		t.Errorf("exit %d: %q", code, d.out.String())
	}
	if code := d.run("sessions", "revoke", id.String()); code != 0 {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
	d.in = "right horse\nbetter horse battery\n"
	if code := d.run("password", "--password-stdin"); code != 0 || change.OldPassword != "right horse" || change.NewPassword != "better horse battery" {
		t.Errorf("exit %d: %s; %+v", code, d.err.String(), change)
	}
}

func TestANewPasswordIsTypedTwice(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	d.login()
	var changes []api.ChangePasswordJSONRequestBody
	d.routes["POST /auth/password"] = func(w http.ResponseWriter, r *http.Request) {
		var c api.ChangePasswordJSONRequestBody
		_ = json.NewDecoder(r.Body).Decode(&c)
		changes = append(changes, c)
		w.WriteHeader(204)
	}
	if code := d.runAtTerminal("right horse\nbetter horse\nbetter hose\n", "password"); code != exitFailed || len(changes) > 0 || !strings.Contains(d.err.String(), "differ") {
		t.Errorf("exit %d: %s; %+v", code, d.err.String(), changes)
	}
	if code := d.runAtTerminal("right horse\nbetter horse\nbetter horse\n", "password"); code != exitOK || len(changes) != 1 ||
		changes[0].OldPassword != "right horse" || changes[0].NewPassword != "better horse" {
		t.Errorf("exit %d: %s; %+v", code, d.err.String(), changes)
	}
	if code := d.run("password"); code != exitUsage || !strings.Contains(d.err.String(), "--password-stdin") {
		t.Errorf("without a terminal: exit %d: %s", code, d.err.String())
	}
}

func TestTheAgentsLoginIsUsedWhereTheSiteHasIt(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	l, err := server.Listen(t.Context(), d.env["ERGON_AGENT_SOCKET"])
	if err != nil {
		t.Fatal(err)
	}
	answer := func() (socket.Token, error) {
		return socket.Token{Server: d.server.URL, Username: "alice@lab", AccessToken: "unix", ExpiresAt: time.Now().Add(10 * time.Minute)}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ctx, l, server.Options{
			Backend: &fakeAgent{}, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now,
			Token: func(context.Context, socket.Peer, bool) (socket.Token, error) { return answer() },
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	if code := d.run("whoami"); code != 0 || !strings.Contains(d.out.String(), d.server.URL) {
		t.Errorf("exit %d: %s", code, d.err.String())
	}
	answer = func() (socket.Token, error) { return socket.Token{}, &socket.Error{Status: 403, Message: "not here"} }
	if code := d.run("whoami"); code != exitNotLoggedIn {
		t.Errorf("a site without it: exit %d: %s", code, d.err.String())
	}
	answer = func() (socket.Token, error) {
		return socket.Token{}, &socket.Error{Status: 502, Message: "server away"}
	}
	if code := d.run("whoami"); code != exitFailed || !strings.Contains(d.err.String(), "server away") {
		t.Errorf("a server that is away: exit %d: %s", code, d.err.String())
	}
}
