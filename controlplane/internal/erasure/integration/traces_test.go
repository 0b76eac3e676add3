package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	gormtest "github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// traces leaves a row in each table that a person leaves rows in beside jobs and files.
func (w *world) traces(p *person, cluster string) {
	w.t.Helper()
	now := gormstore.At(w.now())
	later := gormstore.At(w.now().Add(time.Hour))
	session := w.text("SELECT id FROM sessions WHERE user_id = '" + p.id + "'")
	upload := w.text("SELECT MIN(id) FROM uploads WHERE user_id = '" + p.id + "'")
	for _, row := range []struct {
		insert string
		values []any
	}{
		{"refresh_tokens (jti, session_id, user_id, counter, exp, created_at)", []any{uuid.NewString(), session, p.id, 1, later, now}},
		{"invitations (token_hash, created_by, exp, created_at)", []any{uuid.NewString(), p.id, later, now}},
		{"link_challenges (challenge_hash, user_id, cluster_id, exp, created_at)", []any{uuid.NewString(), p.id, cluster, later, now}},
		{
			"left_links (id, cluster_id, uid, gid, unix_name, user_id, agent_id, created_at)",
			[]any{uuid.NewString(), cluster, 8, 8, p.unix, p.id, w.text("SELECT id FROM agents WHERE owner_user_id = '" + p.id + "'"), now},
		},
		{"personal_tokens (id, user_id, name, token_hash, scopes, exp, created_at)", []any{uuid.NewString(), p.id, p.name, p.id, "jobs:read", later, now}},
		{"oidc_subjects (issuer, subject, user_id, created_at)", []any{"https://login.example", p.name, p.id, now}},
		{
			"device_grants (device_hash, user_code_mac, host, cluster, remote_addr, user_agent, state, user_id, interval_s, exp, created_at)",
			[]any{p.id, p.id, p.name, "c", "192.0.2.1", "x", "confirmed", p.id, 5, later, now},
		},
		{"idempotency (caller, route, key_hash, fingerprint, resource_id, lease, exp)", []any{"user:" + p.id, "r", "k", "f", p.id, later, later}},
		{"coordinators (cluster_id, account, unix_name)", []any{cluster, "physics", p.unix}},
		{"looks (id, viewer_id, cluster_id, account, at)", []any{p.job.String(), p.id, cluster, "physics", now}},
		{"benchwrap_uploads (upload_id, user_id, object_name, state, checked_at, created_at)", []any{upload, p.id, p.name, "open", now, now}},
		{
			"exports (id, user_id, status, object_key, expires_at, created_at, updated_at)",
			[]any{uuid.NewString(), p.id, "removed", p.id, later, now, now},
		},
		{"job_snapshots (job_id, attempt, seq, snapshot)", []any{p.job.String(), 0, 1, `{"user":"` + p.unix + `"}`}},
		{"job_samples (job_id, attempt, step, digest, fields, sampled_at)", []any{p.job.String(), 0, "batch", "d", `{"JobID":"1.batch"}`, now}},
		{"job_quotas (job_id)", []any{p.job.String()}},
		{
			"job_ledgers (job_id, resource, allocated, overuse, used, idle, forced, lost, unmeasured, lost_oom, lost_timeout, lost_node_failure, lost_preemption, lost_requeue, lost_user_error)",
			[]any{p.job.String(), "cpu", 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		},
	} {
		w.exec("INSERT INTO "+row.insert+" VALUES (?"+strings.Repeat(", ?", len(row.values)-1)+")", row.values...)
	}
	w.audited(p)
}

func (w *world) text(query string) (text string) {
	w.t.Helper()
	if err := w.db.SQL().QueryRow(query).Scan(&text); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return text
}

// audited lets the person do something that stands in the audit log with a name.
func (w *world) audited(p *person) {
	w.t.Helper()
	ctx := principal.With(context.Background(), principal.Principal{Kind: principal.User, ID: p.id})
	e := audit.Event{Action: "link.create", Outcome: audit.OK, Private: map[string]string{"unix_name": p.unix}}
	if err := w.names.log.Record(ctx, e); err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(w.auditText(), p.unix) {
		w.t.Fatal("the audit log does not show the name even before")
	}
}

func (w *world) auditText() string {
	w.t.Helper()
	var out strings.Builder
	if _, err := audit.Export(context.Background(), w.db, auditSecret, time.Time{}, &out); err != nil {
		w.t.Fatal(err)
	}
	return out.String()
}

// nameForgotten: nobody can read the name in the audit log any more, and the log is whole.
func (w *world) nameForgotten(p *person) {
	w.t.Helper()
	if strings.Contains(w.auditText(), p.unix) {
		w.t.Error("the audit log still gives the name")
	}
	if _, err := audit.Verify(context.Background(), w.db, auditSecret); err != nil {
		w.t.Errorf("the audit log is not in order: %v", err)
	}
}

// begun are tables whose rows come only when a deletion begins.
var begun = []string{"erasures"}

// plantedEverywhere: a deletion that forgets a table is seen only if the person had a row there.
func (w *world) plantedEverywhere(p *person) {
	w.t.Helper()
	of := map[string][]string{}
	for _, c := range w.columns() {
		if slices.Contains(gormtest.Personal, c[1]) && !slices.Contains(begun, c[0]) {
			of[c[0]] = append(of[c[0]], c[1])
		}
	}
	for table, fields := range of {
		n := 0
		for _, field := range fields {
			for _, text := range []string{p.id, p.name, p.unix, p.job.String()} {
				var found int
				if err := w.db.SQL().QueryRow(fmt.Sprintf(`SELECT COUNT(*) FROM %q WHERE CAST(%q AS TEXT) LIKE '%%%s%%'`, table, field, text)).Scan(&found); err != nil {
					w.t.Fatal(err)
				}
				n += found
			}
		}
		if n == 0 {
			w.t.Errorf("person() leaves no row in %s, so no test would see that a deletion leaves it there", table)
		}
	}
}
