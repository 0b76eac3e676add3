package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// populate gives a data directory what people and agents make of it: alice is logged in and linked through an agent of hpc.
func populate(t *testing.T, c cli) {
	t.Helper()
	c.run("a long enough password\n", "admin", "user", "create", "alice")
	c.run("", "admin", "cluster", "create", "hpc")
	a := &admin{p: &process{
		environ: c.environ, stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{},
		executable: func() (string, error) { return "/nowhere/ergon-server", nil },
	}}
	err := a.with(t.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
		pair, err := s.Login(ctx, identity.Credentials{Username: "alice", Password: "a long enough password"})
		if err != nil {
			return err
		}
		alice, err := s.Authenticate(ctx, pair.AccessToken)
		if err != nil {
			return err
		}
		token, _, err := s.EnrolToken(ctx, "hpc", principal.AgentSystem, "")
		if err != nil {
			return err
		}
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		agent, err := s.Enrol(ctx, identity.EnrolRequest{Token: token, Name: "login1", PublicKey: base64.RawURLEncoding.EncodeToString(public), Version: "1.2"})
		if err != nil {
			return err
		}
		challenge, _, err := s.CreateChallenge(principal.With(ctx, alice), "hpc")
		if err != nil {
			return err
		}
		_, err = s.ConfirmLink(principal.With(ctx, principal.Principal{
			Kind: principal.Agent, ID: agent.ID, ClusterID: agent.ClusterID, AgentKind: principal.AgentSystem, Scopes: agent.Scopes,
		}), identity.Confirmation{Challenge: challenge, UID: 1000, GID: 100, UnixName: "alice", Nonce: "0123456789abcdef"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listed is the JSON of a command that lists things.
func (c cli) listed(args ...string) (rows []map[string]string) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.run("", append(append([]string{"admin"}, args...), "-o", "json")...)), &rows); err != nil {
		c.t.Fatal(err)
	}
	return rows
}

// only is the one row of a list.
func (c cli) only(args ...string) map[string]string {
	c.t.Helper()
	rows := c.listed(args...)
	if len(rows) != 1 {
		c.t.Fatalf("%v: %v", args, rows)
	}
	return rows[0]
}

func TestALinkASessionAnAgentAndAKeyAreHandledFromTheCommandLine(t *testing.T) {
	c := newCLI(t)
	populate(t, c)
	link := c.only("link", "list")
	if link["cluster"] != "hpc" || link["uid"] != "1000" || link["unix_name"] != "alice" || link["account"] != "alice" || link["state"] != "active" {
		t.Errorf("link: %v", link)
	}
	c.run("", "admin", "link", "suspend", link["id"])
	if state := c.only("link", "list")["state"]; !strings.HasPrefix(state, "suspended") {
		t.Errorf("suspended it is %q", state)
	}
	c.run("", "admin", "link", "resume", link["id"], "--gid", "200")
	if state := c.only("link", "list")["state"]; state != "active" {
		t.Errorf("resumed it is %q", state)
	}
	c.run("", "admin", "link", "delete", link["id"])
	if rows := c.listed("link", "list"); len(rows) != 0 {
		t.Errorf("deleted it is still there: %v", rows)
	}
	c.session()
	c.agent()
	c.keys()
	if out := c.run("", "admin", "audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Error(out)
	}
}

func (c cli) session() {
	c.t.Helper()
	s := c.only("session", "list", "alice")
	if _, err := time.Parse(time.RFC3339, s["created"]); err != nil || s["method"] != "password" {
		c.t.Errorf("session: %v", s)
	}
	if out := c.only("session", "revoke", "alice", s["id"]); out["ended"] != "1" {
		c.t.Errorf("revoked: %v", out)
	}
	if rows := c.listed("session", "list", "alice"); len(rows) != 0 {
		c.t.Errorf("revoked it lives: %v", rows)
	}
}

func (c cli) agent() {
	c.t.Helper()
	a := c.only("agent", "list")
	if a["cluster"] != "hpc" || a["host"] != "login1" || a["kind"] != "system" || a["version"] != "1.2" {
		c.t.Errorf("agent: %v", a)
	}
	c.run("", "admin", "agent", "scopes", a["id"], "jobs:linked")
	if got := c.only("agent", "list")["scopes"]; got != "jobs:linked" {
		c.t.Errorf("its scopes are %q", got)
	}
	c.run("", "admin", "agent", "revoke", a["id"])
	if got := c.only("agent", "list")["state"]; got != "revoked" {
		c.t.Errorf("revoked it is %q", got)
	}
}

func (c cli) keys() {
	c.t.Helper()
	first := c.only("key", "list")
	c.run("", "admin", "key", "rotate")
	if rows := c.listed("key", "list"); len(rows) != 2 {
		c.t.Errorf("after a rotation: %v", rows)
	}
	c.run("", "admin", "key", "revoke", first["kid"])
	for _, k := range c.listed("key", "list") {
		if (k["kid"] == first["kid"]) != (k["state"] == "revoked") {
			c.t.Errorf("after a revocation of %s: %v", first["kid"], k)
		}
	}
}
