package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// auditRow is what counts of an exported row.
type auditRow struct {
	Kind    string `json:"actor_kind"`
	Actor   string `json:"actor_id"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Outcome string `json:"outcome"`
	Request string `json:"request_id"`
	IP      string `json:"remote_addr"`
}

// acts does one thing after the other, and writes down the row that each must leave.
type acts struct {
	*walk
	want map[string]auditRow // by what was done
}

// over calls with a request id of its own. The subject that is not known before is a member of the answer.
func (a *acts) over(t *testing.T, name string, r request, status int, row auditRow, made ...string) reply {
	t.Helper()
	r.id = "audit-" + strings.ReplaceAll(name, " ", "-")
	got := a.world.call(t, r)
	if got.status != status {
		t.Fatalf("%s: %d, want %d: %s", name, got.status, status, got.body)
	}
	if len(made) > 0 {
		row.Subject = got.nested(made...)
	}
	row.Request, row.IP = r.id, "127.0.0.1"
	if row.Outcome == "" {
		row.Outcome = audit.OK
	}
	a.want[name] = row
	return got
}

// operator does what has no route.
func (a *acts) operator(t *testing.T, action, subject string, do func(ctx context.Context) error) {
	t.Helper()
	ctx := principal.With(t.Context(), principal.Principal{Kind: principal.AdminCLI, ID: "uid:4711"})
	if err := do(ctx); err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	a.want[action] = auditRow{Kind: "admin_cli", Actor: "uid:4711", Action: action, Subject: subject, Outcome: audit.OK}
}

func TestEveryActOfTheIssueLeavesItsRow(t *testing.T) {
	eachWorld(t, func(t *testing.T, plain *world) {
		a := &acts{walk: newWalk(t, plain), want: map[string]auditRow{}}
		a.logins(t)
		a.files(t)
		a.links(t)
		a.deletion(t)
		a.operators(t)
		rows := a.export(t)
		for name, want := range a.want {
			if n := rows[want]; n != 1 {
				t.Errorf("%s: %d rows like %+v", name, n, want)
			}
		}
	}, walkEnviron...)
}

func (a *acts) logins(t *testing.T) {
	t.Helper()
	login := func(name, password string) request {
		return request{method: http.MethodPost, path: "/auth/login", body: `{"username":"` + name + `","password":"` + password + `"}`}
	}
	owner := a.ids["owner"]
	a.over(t, "a login", login("alice", worldPassword), http.StatusOK, auditRow{Kind: "user", Actor: owner, Action: "session.login"}, "session_id")
	a.over(t, "a wrong password", login("alice", "not that battery"), http.StatusUnauthorized,
		auditRow{Kind: "user", Actor: owner, Action: "session.login", Subject: owner, Outcome: "invalid_credentials"})
	a.over(t, "an unknown name", login("nobody-at-all", worldPassword), http.StatusUnauthorized,
		auditRow{Kind: "anonymous", Action: "session.login", Outcome: "invalid_credentials"})
}

func (a *acts) files(t *testing.T) {
	t.Helper()
	owner, token := a.ids["owner"], a.tokens["owner"]
	by := func(action, subject string) auditRow {
		return auditRow{Kind: "user", Actor: owner, Action: action, Subject: subject}
	}
	a.over(t, "an upload", request{method: http.MethodPost, path: "/files/presign/upload", token: token, body: strings.Replace(wish, "a.txt", "b.txt", 1)},
		http.StatusCreated, by("file.presign_upload", ""), "upload_id")
	big := a.over(t, "a big upload", request{method: http.MethodPost, path: "/files/presign/upload", token: token, body: strings.NewReplacer("a.txt", "c.bin", `"size":3`, `"size":209715200`).Replace(wish)},
		http.StatusCreated, by("file.presign_upload", ""), "upload_id").field("upload_id")
	part := strings.Replace(a.bodies()["presignParts"], `"size":3`, `"size":16777216`, 1)
	a.over(t, "its parts", request{method: http.MethodPost, path: "/files/uploads/" + big + "/parts", token: token, body: part},
		http.StatusOK, by("file.presign_parts", big))
	file := a.ids["file_id"]
	a.over(t, "a download", request{method: http.MethodGet, path: "/files/presign/download?id=" + file, token: token}, http.StatusOK, by("file.presign_download", file))
	a.over(t, "a strangers download", request{method: http.MethodGet, path: "/files/presign/download?id=" + file, token: a.tokens["stranger"]}, http.StatusNotFound,
		auditRow{Kind: "user", Actor: a.idOf(t, "stranger"), Action: "file.presign_download", Subject: file, Outcome: "not_found"})
	a.over(t, "a deletion of a file", request{method: http.MethodDelete, path: "/files/" + file, token: token}, http.StatusNoContent, by("file.delete", file))
	a.over(t, "uploads of a job", request{method: http.MethodPost, path: "/agent/jobs/" + a.ids["job_id"] + "/uploads", token: a.tokens["system_agent"], body: a.bodies()["presignJobUploads"]},
		http.StatusOK, auditRow{Kind: "agent", Actor: a.idOf(t, "system_agent"), Action: "job.presign_uploads", Subject: a.ids["job_id"]})
}

func (a *acts) links(t *testing.T) {
	t.Helper()
	challenge, _, err := a.svc.CreateChallenge(a.as(t, a.tokens["stranger"]), "hpc")
	if err != nil {
		t.Fatal(err)
	}
	body := strings.NewReplacer("ergl_x", challenge, "1000", "1002", "alice", "bob").Replace(a.bodies()["confirmLink"])
	by := auditRow{Kind: "agent", Actor: a.idOf(t, "system_agent"), Action: "link.create"}
	a.over(t, "a link", request{method: http.MethodPost, path: "/agent/links", token: a.tokens["system_agent"], body: body}, http.StatusCreated, by, "id")
	by.Outcome = "challenge_expired"
	a.over(t, "a made up challenge", request{method: http.MethodPost, path: "/agent/links", token: a.tokens["system_agent"], body: a.bodies()["confirmLink"]}, http.StatusGone, by)
}

// operators come last: the key by which everybody's tokens were signed is revoked.
func (a *acts) operators(t *testing.T) {
	t.Helper()
	clerk := a.person(t, "clerk", "user").id
	a.operator(t, "user.role", clerk, func(ctx context.Context) error { return a.svc.SetRole(ctx, "clerk", principal.RoleOperator) })
	a.operator(t, "user.disable", clerk, func(ctx context.Context) error { return a.svc.SetDisabled(ctx, "clerk", true) })
	keys, err := a.svc.SigningKeys(t.Context())
	if err != nil || len(keys) == 0 {
		t.Fatal(err)
	}
	a.operator(t, "key.revoke", keys[0].KID, func(ctx context.Context) error { return a.svc.RevokeKey(ctx, keys[0].KID) })
}

// deletion looks for its row by itself: the address is gone with the key of the person, sooner or later.
func (a *acts) deletion(t *testing.T) {
	t.Helper()
	leaver := a.person(t, "leaver", "user")
	r := request{method: http.MethodDelete, path: "/me", token: leaver.token, id: "audit-the-end"}
	if got := a.world.call(t, r); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	n := 0
	for row, times := range a.export(t) {
		row.IP = ""
		if row == (auditRow{Kind: "user", Actor: leaver.id, Action: "user.erase", Subject: leaver.id, Outcome: audit.OK, Request: r.id}) {
			n += times
		}
	}
	if n != 1 {
		t.Errorf("%d rows of the deletion", n)
	}
}

// idOf is the account or agent that a token is of.
func (a *acts) idOf(t *testing.T, who string) string {
	t.Helper()
	p, err := a.svc.Authenticate(t.Context(), a.tokens[who])
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// export reads the log as the command line does, and counts the rows that are alike.
func (a *acts) export(t *testing.T) map[auditRow]int {
	t.Helper()
	var text bytes.Buffer
	if _, err := audit.Export(t.Context(), a.app.store, a.secret, time.Time{}, &text); err != nil {
		t.Fatal(err)
	}
	rows := map[auditRow]int{}
	for in := json.NewDecoder(&text); ; {
		var row auditRow
		err := in.Decode(&row)
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows[row]++
	}
}
