package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
)

// objecting is an agent of the site: said is what its server answers, err what that refuses.
type objecting struct {
	said socket.Objection
	err  error
	acts []string
}

func (o *objecting) answer(act string, change func(*socket.Objection)) (socket.Objection, error) {
	o.acts = append(o.acts, act)
	if o.err == nil {
		change(&o.said)
	}
	return o.said, o.err
}

func (o *objecting) Standing(context.Context, socket.Peer) (socket.Objection, error) {
	return o.said, nil
}

func (o *objecting) Object(context.Context, socket.Peer) (socket.Objection, error) {
	return o.answer("object", func(s *socket.Objection) {
		since := time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)
		s.Objected, s.Since, s.JobsHidden, s.JobsNamed = true, &since, s.JobsNamed-1, 1
	})
}

func (o *objecting) TakeBack(context.Context, socket.Peer) (socket.Objection, error) {
	return o.answer("take back", func(s *socket.Objection) { s.Objected, s.Since = false, nil })
}

// objections starts an agent that takes them; nil is an agent that does not.
func (d *seat) objections(o server.Objections) {
	d.t.Helper()
	l, err := server.Listen(d.t.Context(), d.env["ERGON_AGENT_SOCKET"])
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ctx, l, server.Options{Backend: &fakeAgent{}, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now, Objections: o})
	}()
	d.t.Cleanup(func() { cancel(); <-done })
}

func newObjecting(d *seat) *objecting {
	o := &objecting{said: socket.Objection{Server: "https://e\x1b[2J.org", Cluster: "lab", UID: 2001, UnixName: "carol", JobsNamed: 12}}
	d.objections(o)
	return o
}

// said runs a command and gives all that it printed; no escape comes through.
func (d *seat) said(code int, args ...string) string {
	d.t.Helper()
	got := d.run(args...)
	text := d.out.String() + d.err.String()
	if got != code || strings.ContainsRune(text, '\x1b') {
		d.t.Errorf("ergon %s: exit %d, want %d: %q", strings.Join(args, " "), got, code, text)
	}
	return text
}

func wantTexts(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("lacks %q:\n%s", w, text)
		}
	}
}

func TestOptoutSaysWhatGoesAndWhatStaysAndNeedsConsent(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	o := newObjecting(d)
	wantTexts(t, d.said(0, "optout", "--status"), "carol (uid 2001) on cluster lab does not object", "in 12 jobs")
	wantTexts(t, d.said(exitUsage, "optout"), "job name, submit line, directory, comment or event", "Resources, times, states and Slurm account stay", "does not come back", "--yes")
	if d.runAtTerminal("n\n", "optout") == 0 || len(o.acts) != 0 {
		t.Errorf("without consent: %q %s", o.acts, d.err.String())
	}
	if code := d.runAtTerminal("y\n", "optout"); code != 0 || len(o.acts) != 1 || !strings.Contains(d.err.String(), "Take carol (uid 2001) on cluster lab out") {
		t.Errorf("exit %d, %q: %s", code, o.acts, d.err.String())
	}
	wantTexts(t, d.out.String(), "carol (uid 2001) on cluster lab objects", "out of 11 jobs", "within minutes: 1 job;")
	wantTexts(t, d.said(0, "optout", "--status"), "objects since 2026-11-29", "within minutes: 1 job.")
	o.said.JobsNamed = 0
	wantTexts(t, d.said(0, "optout"), "objects since 2026-11-29") // nothing is left to be done, so that nothing is asked
	if len(o.acts) != 1 {
		t.Errorf("acts %q", o.acts)
	}
}

func TestOptoutIsTakenBack(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	o := newObjecting(d)
	wantTexts(t, d.said(0, "optout", "--undo"), "does not object")
	d.said(0, "optout", "--yes")
	wantTexts(t, d.said(exitUsage, "optout", "--undo"), "--yes")
	wantTexts(t, d.said(0, "optout", "--undo", "--yes"), "does not object")
	if got := strings.Join(o.acts, ", "); got != "object, take back" {
		t.Errorf("acts %q", got)
	}
	d.said(exitUsage, "optout", "--undo", "--status")
}

func TestOptoutTellsWhoHasAnAccountWhatToUse(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	o := newObjecting(d)
	o.said.Linked = true
	for _, args := range [][]string{{"optout", "--yes"}, {"optout", "--status"}} {
		code := map[bool]int{true: 0, false: exitFailed}[args[1] == "--status"]
		wantTexts(t, d.said(code, args...), "ergon account export", "ergon account delete", "ergon unlink")
	}
	o.said.Linked, o.err = false, &socket.Error{Status: 409, Message: "uid 2001 is linked to an account"} // linked meanwhile
	wantTexts(t, d.said(exitFailed, "optout", "--yes"), "is linked to an account")
}

func TestOptoutNeedsTheAgentOfTheSite(t *testing.T) {
	t.Parallel()
	d := newSeat(t)
	wantTexts(t, d.said(exitFailed, "optout", "--status"), "no ergon agent of the site")
	d.objections(nil)
	wantTexts(t, d.said(exitFailed, "optout", "--yes"), "ask an operator")
}

func TestOptoutPassesTheUsersOwnAgentBy(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/run/ergon/agent.sock"); err == nil {
		t.Skip("this node has an agent of its own")
	}
	d := newSeat(t)
	own := filepath.Join(d.env["HOME"], ".local", "state", "ergon")
	d.env["ERGON_AGENT_SOCKET"] = filepath.Join(own, "agent.sock")
	o := newObjecting(d)
	delete(d.env, "ERGON_AGENT_SOCKET")
	wantTexts(t, d.said(0, "status"), own) // it is found where an own agent will do
	wantTexts(t, d.said(exitFailed, "optout", "--yes"), "no ergon agent of the site")
	if len(o.acts) != 0 {
		t.Errorf("acts %q", o.acts)
	}
}
