package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// cli runs the command line in a data directory of its own.
type cli struct {
	t       *testing.T
	environ []string
}

func newCLI(t *testing.T) cli {
	t.Helper()
	return cli{t: t, environ: []string{"ERGON_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "ERGON_AUTH_ARGON2_MEMORY_KIB=64"}}
}

func (c cli) try(stdin string, args ...string) (string, error) {
	c.t.Helper()
	var out, errs bytes.Buffer
	root := newRoot(process{
		args: args, environ: c.environ, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs,
		executable: func() (string, error) { return "/nowhere/ergon-server", nil },
	})
	err := root.ExecuteContext(context.Background())
	return out.String() + errs.String(), err
}

func (c cli) run(stdin string, args ...string) string {
	c.t.Helper()
	out, err := c.try(stdin, args...)
	if err != nil {
		c.t.Fatalf("%v: %v", args, err)
	}
	return out
}

func TestAccountsAreManagedFromTheCommandLine(t *testing.T) {
	c := newCLI(t)
	c.run("a long enough password\n", "admin", "user", "create", "alice", "--role", "admin")
	c.run("", "admin", "user", "set-role", "alice", "operator")
	c.run("another long password\n", "admin", "user", "set-password", "alice")
	c.run("", "admin", "user", "disable", "alice")
	var users []map[string]string
	if err := json.Unmarshal([]byte(c.run("", "admin", "user", "list", "-o", "json")), &users); err != nil {
		t.Fatal(err)
	}
	if len(users) != 1 || users[0]["role"] != "operator" || users[0]["state"] != "disabled" {
		t.Errorf("%v", users)
	}
	c.run("", "admin", "user", "enable", "alice")
	if out := c.run("", "admin", "audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Error(out)
	}
}

func TestMistakesSayWhatToDo(t *testing.T) {
	c := newCLI(t)
	cases := map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no password":        {"", []string{"admin", "user", "create", "bob"}, "standard input"},
		"short password":     {"short\n", []string{"admin", "user", "create", "bob"}, "12 to 128 characters"},
		"role that is none":  {"a long enough password\n", []string{"admin", "user", "create", "bob", "--role", "root"}, "operator or admin"},
		"bad name":           {"a long enough password\n", []string{"admin", "user", "create", "Bob Smith"}, "a-z 0-9"},
		"nobody":             {"", []string{"admin", "user", "disable", "nobody1"}, "no account"},
		"unknown cluster":    {"", []string{"admin", "enrol", "--cluster", "moon"}, "no cluster of that name"},
		"user without owner": {"", []string{"admin", "enrol", "--cluster", "moon", "--kind", "user"}, "owner"},
		"output":             {"", []string{"admin", "user", "list", "-o", "xml"}, "text and json"},
		"unknown key":        {"", []string{"admin", "key", "revoke", "x"}, "no such"},
	}
	for name, k := range cases {
		if _, err := c.try(k.stdin, k.args...); err == nil || !strings.Contains(describe(err), k.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnrolmentAndKeysFromTheCommandLine(t *testing.T) {
	c := newCLI(t)
	c.run("", "admin", "cluster", "create", "hpc")
	if out := c.run("", "admin", "cluster", "list"); !strings.Contains(out, "hpc") {
		t.Error(out)
	}
	if out := c.run("", "admin", "enrol", "--cluster", "hpc"); !strings.Contains(out, "erge_") {
		t.Error(out)
	}
	if out := c.run("", "admin", "key", "rotate"); !strings.Contains(out, "next") || !strings.Contains(out, "active") {
		t.Error(out)
	}
	if _, err := c.try("", "admin", "key", "rotate"); err == nil {
		t.Error("two rotations at once")
	}
	if out := c.run("", "admin", "agent", "list"); !strings.Contains(out, "CLUSTER") {
		t.Error(out)
	}
}

func TestAQuotaIsSetFromTheCommandLine(t *testing.T) {
	c := newCLI(t)
	c.run("correct horse battery\n", "admin", "user", "create", "ada")
	c.run("", "admin", "user", "set-quota", "ada", "--bytes", "5G", "--objects", "10")
	for _, args := range [][]string{
		{"admin", "user", "set-quota", "nobody", "--bytes", "5G", "--objects", "10"},
		{"admin", "user", "set-quota", "ada", "--bytes", "much", "--objects", "10"},
		{"admin", "user", "set-quota", "ada", "--bytes", "5G"},
	} {
		if _, err := c.try("", args...); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestSchemaAndConfigurationCommands(t *testing.T) {
	c := newCLI(t)
	if _, err := c.try("", "migrate", "--check"); err == nil || !strings.Contains(describe(err), "ergon-server migrate") {
		t.Errorf("check of an empty database: %v", err)
	}
	c.run("", "migrate")
	c.run("", "migrate", "--check")
	if out := c.run("", "config", "print"); !strings.Contains(out, "ERGON_HTTP_LISTEN=127.0.0.1:8080") {
		t.Error(out)
	}
	if out := c.run("", "config", "names"); !strings.Contains(out, "ERGON_AUTH_SECRET") {
		t.Error(out)
	}
	if out := c.run("", "--version"); !strings.Contains(out, "ergon-server version") {
		t.Error(out)
	}
}

func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" && cmd.Name() != "help" {
			t.Errorf("%s has no description", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(process{executable: func() (string, error) { return "", nil }}))
}

func TestNamesFromOutsideCannotDriveTheTerminal(t *testing.T) {
	if got := clean("a\x1b[31mb\tc\n\u009bd"); got != "a[31mb\tcd" {
		t.Errorf("%q", got)
	}
}

// Each act of the command line names who ran it: the uid in clear, names sealed.
func TestActsOfTheCommandLineNameTheirOperator(t *testing.T) {
	c := newCLI(t)
	c.environ = append(c.environ, "SUDO_USER=olga")
	c.run("a long enough password\n", "admin", "user", "create", "alice")
	c.run("", "admin", "cluster", "create", "hpc")
	c.run("", "admin", "key", "rotate")
	uid := fmt.Sprint("uid:", os.Getuid())
	rows := 0
	for line := range strings.Lines(c.run("", "admin", "audit", "export")) {
		var row struct {
			Kind    string            `json:"actor_kind"`
			ID      string            `json:"actor_id"`
			Action  string            `json:"action"`
			Private map[string]string `json:"private"`
		}
		if json.Unmarshal([]byte(line), &row) != nil || row.Action == "audit.heads" {
			continue // the count of rows, on standard error
		}
		rows++
		if row.Kind != "admin_cli" || row.ID != uid || row.Private["os_user"] == "" || (os.Getuid() == 0) != (row.Private["sudo_user"] == "olga") {
			t.Errorf("who did it? %s", line)
		}
	}
	if rows != 4 {
		t.Errorf("%d acts", rows)
	}
}

func TestLinksSessionsAgentsAndTheAuditLogFromTheCommandLine(t *testing.T) {
	c := newCLI(t)
	c.run("a long enough password\n", "admin", "user", "create", "alice")
	c.run("", "admin", "cluster", "create", "hpc")
	for _, args := range [][]string{{"link", "list"}, {"session", "list", "alice"}, {"agent", "list"}} {
		if out := c.run("", append(append([]string{"admin"}, args...), "-o", "json")...); strings.TrimSpace(out) != "[]" {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := c.run("", "admin", "session", "revoke", "alice", "-o", "json"); !strings.Contains(out, `"ended": "0"`) {
		t.Error(out)
	}
	for want, args := range map[string][]string{
		"no such link":         {"link", "suspend", "none"},
		"no such agent":        {"agent", "scopes", "none", "jobs:linked"},
		"no such live session": {"session", "revoke", "alice", "none"},
		"there is no account":  {"session", "list", "bob"},
		"is no time":           {"audit", "export", "--from", "yesterday"},
	} {
		if out, err := c.try("", append([]string{"admin"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %s %v", args, out, err)
		}
	}
	out := c.run("", "admin", "audit", "export", "--from", "2026-01-01")
	if !strings.Contains(out, `"action":"user.create"`) || !strings.Contains(out, `"action":"audit.export"`) {
		t.Errorf("the export lacks rows: %s", out)
	}
	if out := c.run("", "admin", "audit", "verify", "-o", "json"); !strings.Contains(out, "unbroken") {
		t.Error(out)
	}
}
