package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func newLog(t testing.TB, st audit.Store, now func() time.Time) *audit.Log {
	t.Helper()
	log, err := audit.New(st, now, secret)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func asUser(id string) context.Context {
	ctx := principal.With(context.Background(), principal.Principal{Kind: principal.User, ID: id})
	return principal.WithOrigin(ctx, principal.Origin{RequestID: "request-1", IP: netip.MustParseAddr("192.0.2.77")})
}

// fill writes two chains of 20 rows; the second begins with a note of the first.
func fill(t *testing.T, st *gormstore.Store) {
	t.Helper()
	for range 2 {
		log := newLog(t, st, time.Now)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				e := audit.Event{Action: "test.act", Subject: fmt.Sprint(i), Outcome: audit.OK, Detail: map[string]string{"n": fmt.Sprint(i)}}
				if err := log.Record(asUser("u1"), e); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

// eachOr runs on both databases, or on SQLite alone: the checks are the same code, and a database costs a second.
func eachOr(t *testing.T, both bool, fn func(t *testing.T, st *gormstore.Store)) {
	t.Helper()
	if both {
		storetest.Each(t, fn)
		return
	}
	fn(t, storetest.SQLite(t))
}

// forceful removes what keeps rows from being changed, as somebody can who owns the database.
func forceful(t *testing.T, st *gormstore.Store, statements ...string) {
	t.Helper()
	unlock := []string{"ALTER TABLE audit DISABLE TRIGGER ALL"}
	if st.Dialect() == gormstore.SQLite {
		unlock = []string{"DROP TRIGGER IF EXISTS audit_no_update", "DROP TRIGGER IF EXISTS audit_no_delete"}
	}
	for _, s := range append(unlock, statements...) {
		if err := st.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(s).Error }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThreat_T32_AChangedOrMissingRowIsFoundAtThatRow(t *testing.T) {
	harm := map[string]string{
		"outcome":        "UPDATE audit SET outcome = 'no' WHERE seq = 7",
		"actor":          "UPDATE audit SET actor_id = 'u2' WHERE seq = 7",
		"one byte":       "UPDATE audit SET detail = replace(detail, '\"n\"', '\"m\"') WHERE seq = 7",
		"borders moved":  "UPDATE audit SET action = action || subject, subject = '' WHERE seq = 7",
		"sealed address": "UPDATE audit SET remote_addr = '' WHERE seq = 7",
		"whose it is":    "UPDATE audit SET person = 'u2' WHERE seq = 7",
		"made old":       "UPDATE audit SET version = 1 WHERE seq = 7",
		"removed":        "DELETE FROM audit WHERE seq = 7",
		"first removed":  "DELETE FROM audit WHERE seq = 1",
		"hash rewritten": "UPDATE audit SET hash = prev_hash WHERE seq = 7",
	}
	for name, statement := range harm {
		t.Run(name, func(t *testing.T) {
			eachOr(t, name == "one byte", func(t *testing.T, st *gormstore.Store) {
				fill(t, st)
				if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != 41 || v.Chains != 2 {
					t.Fatalf("untouched: %+v, %v", v, err)
				}
				forceful(t, st, statement)
				_, err := audit.Verify(t.Context(), st, secret)
				row := map[string]string{"removed": "row 8", "first removed": "row 2"}[name]
				if row == "" {
					row = "row 7"
				}
				if err == nil || !strings.Contains(err.Error(), row+" ") {
					t.Errorf("got %v, want %s named", err, row)
				}
			})
		})
	}
}

func TestThreat_T32_ACutOffEndIsMissed(t *testing.T) {
	const (
		cut   = "DELETE FROM audit WHERE seq > 5"
		heads = "DELETE FROM audit_heads"
		first = "(SELECT chain FROM audit WHERE action = 'test.act' AND seq = 1)" // the chain without a note
	)
	harm := map[string][]string{
		"the end":                      {cut},
		"the end and the heads":        {cut, heads},
		"the head of a whole chain":    {"DELETE FROM audit_heads WHERE chain IN " + first},
		"a whole chain":                {"DELETE FROM audit WHERE chain IN " + first},
		"an older head put back":       {"UPDATE audit_heads SET seq = 5, hash = (SELECT hash FROM audit a WHERE a.chain = audit_heads.chain AND a.seq = 5)", cut},
		"a chain and its head, noted":  {"CREATE TABLE gone AS SELECT " + first + " AS chain", "DELETE FROM audit WHERE chain IN (SELECT chain FROM gone)", "DELETE FROM audit_heads WHERE chain IN (SELECT chain FROM gone)"},
		"a row added behind the head":  {"INSERT INTO audit (id, chain, seq, prev_hash, hash, at, actor_kind, actor_id, action, outcome) SELECT 'x', chain, seq + 1, hash, 'h', at, '', '', '', '' FROM audit WHERE seq = 21"},
		"the head of another moved on": {"UPDATE audit_heads SET seq = seq - 1"},
	}
	for name, statements := range harm {
		t.Run(name, func(t *testing.T) {
			eachOr(t, name == "the end and the heads", func(t *testing.T, st *gormstore.Store) {
				fill(t, st)
				forceful(t, st, statements...)
				if v, err := audit.Verify(t.Context(), st, secret); err == nil {
					t.Errorf("nothing was missed: %+v", v)
				} else {
					t.Log(err)
				}
			})
		})
	}
}

func TestThreat_T32_AChainComputedAnewDoesNotFitItsHead(t *testing.T) {
	st, other := storetest.SQLite(t), []byte("another secret of thirty-two bytes")
	fill(t, st)
	forged, err := audit.New(st, time.Now, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := forged.Record(t.Context(), audit.Event{Action: "x.y", Outcome: audit.OK}); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(t.Context(), st, secret); err == nil || !strings.Contains(err.Error(), "not signed with this server's secret") {
		t.Errorf("got %v", err)
	}
}

// T32: who owns the database writes every row anew as of the version that signed no heads, whose hashes anybody can compute, and
// removes the heads.
func TestThreat_T32_ALogWrittenAnewAsAnOldVersionIsFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		fill(t, st)
		forceful(t, st, "DELETE FROM audit_heads")
		chains, err := st.AuditChains(t.Context())
		if err != nil || len(chains) != 2 {
			t.Fatalf("%v %v", chains, err)
		}
		for _, chain := range chains {
			rows, err := st.AuditChain(t.Context(), chain, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			prev := ""
			for _, r := range rows {
				r.PrevHash, r.Action, r.Detail = prev, "test.forged", "{}"
				prev = plainHash(r)
				err := st.Tx(t.Context(), func(tx *gorm.DB) error {
					return tx.Exec("UPDATE audit SET version = 1, person = '', sealed = '', action = ?, detail = ?, prev_hash = ?, hash = ? WHERE id = ?",
						r.Action, r.Detail, r.PrevHash, prev, r.ID).Error
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if v, err := audit.Verify(t.Context(), st, secret); err == nil || !strings.Contains(err.Error(), "has no head") {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// plainHash is the hash of a row of version 1, which needs no secret.
func plainHash(r audit.Row) string {
	h := sha256.New()
	for _, s := range []string{
		r.PrevHash, r.ID, r.Chain, strconv.FormatInt(r.Seq, 10), strconv.FormatInt(r.At.UnixMicro(), 10),
		r.ActorKind, r.ActorID, r.Action, r.Subject, r.Outcome, r.RequestID, r.RemoteAddr, r.Detail,
	} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestThreat_T32_RowsAreOnlyEverInserted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		fill(t, st)
		for _, s := range []string{"UPDATE audit SET outcome = 'no'", "DELETE FROM audit", "DELETE FROM audit WHERE seq = 1"} {
			err := st.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(s).Error })
			if err == nil || !strings.Contains(err.Error(), "only ever inserted") {
				t.Errorf("%s: %v", s, err)
			}
		}
		if st.Dialect() == gormstore.Postgres {
			if err := st.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("TRUNCATE audit").Error }); err == nil {
				t.Error("TRUNCATE passed")
			}
		}
		if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != 41 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

func TestThreat_T32_NamesAndAddressesGoWithTheirKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		log := newLog(t, st, time.Now)
		private := map[string]string{"unix_name": "alice-of-physics"}
		for _, id := range []string{"u1", "u2"} {
			if err := log.Record(asUser(id), audit.Event{Action: "link.create", Outcome: audit.OK, Private: private}); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Record(asUser("u2"), audit.Event{Action: "user.role", Outcome: audit.OK, Person: "u1", Private: private}); err != nil {
			t.Fatal(err)
		}
		inClear(t, st, "alice-of-physics", "192.0.2.77")
		if text := export(t, st); strings.Count(text, "alice-of-physics") != 3 || strings.Count(text, "192.0.2.77") != 3 {
			t.Fatalf("export: %s", text)
		}
		for range 2 { // it may be repeated
			if err := audit.ForgetUser(t.Context(), st, "u1", time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Record(asUser("u1"), audit.Event{Action: "late.act", Outcome: audit.OK, Private: private}); err != nil {
			t.Fatal(err)
		}
		if text := export(t, st); strings.Count(text, "alice-of-physics") != 1 || strings.Count(text, "192.0.2.77") != 2 || !strings.Contains(text, `"forgotten":true`) {
			t.Errorf("after u1 was forgotten: %s", text)
		}
		if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != 4 {
			t.Errorf("forgetting changed a row: %+v, %v", v, err)
		}
	})
}

func inClear(t *testing.T, st *gormstore.Store, words ...string) {
	t.Helper()
	chains, err := st.AuditChains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chains {
		rows, err := st.AuditChain(t.Context(), c, 0, 100)
		if err != nil || len(rows) == 0 {
			t.Fatal(len(rows), err)
		}
		for _, w := range words {
			if strings.Contains(fmt.Sprintf("%+v", rows), w) {
				t.Errorf("%s stands in the rows", w)
			}
		}
	}
}

func export(t *testing.T, st *gormstore.Store) string {
	t.Helper()
	var out strings.Builder
	n, err := audit.Export(t.Context(), st, secret, time.Time{}, &out)
	if err != nil || n != int64(strings.Count(out.String(), "\n")) {
		t.Fatalf("%d rows, %v", n, err)
	}
	return out.String()
}

// Who acted, and with what, stands in each row.
func TestARowSaysWhoActedAndWithWhat(t *testing.T) {
	request := principal.WithOrigin(context.Background(), principal.Origin{RequestID: "request-1", IP: netip.MustParseAddr("192.0.2.77")})
	as := func(p principal.Principal) context.Context { return principal.With(request, p) }
	cases := map[string]struct {
		ctx    context.Context
		event  audit.Event
		want   string // kind, id and detail
		sealed string
	}{
		"nobody yet":  {request, audit.Event{}, "anonymous  {}", ""},
		"a login":     {request, audit.Event{Actor: "u1"}, "user u1 {}", ""},
		"a session":   {as(principal.Principal{Kind: principal.User, ID: "u1", SessionID: "s1"}), audit.Event{}, `user u1 {"credential":"session:s1"}`, ""},
		"an agent":    {as(principal.Principal{Kind: principal.Agent, ID: "a1", KeyID: "k1"}), audit.Event{}, `agent a1 {"credential":"key:k1"}`, ""},
		"a program":   {as(principal.Principal{Kind: principal.User, ID: "u1", TokenID: "t1"}), audit.Event{Detail: map[string]string{"n": "1"}}, `user u1 {"credential":"token:t1","n":"1"}`, ""},
		"the server":  {context.Background(), audit.Event{}, "server  {}", ""},
		"an operator": {principal.With(context.Background(), principal.Principal{Kind: principal.AdminCLI, ID: "uid:7", Private: map[string]string{"os_user": "olga"}}), audit.Event{}, "admin_cli uid:7 {}", "os_user:olga"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			st := storetest.SQLite(t)
			c.event.Action, c.event.Outcome = "x.y", audit.OK
			if err := newLog(t, st, time.Now).Record(c.ctx, c.event); err != nil {
				t.Fatal(err)
			}
			inClear(t, st, "olga")
			var row struct {
				ActorKind string            `json:"actor_kind"`
				ActorID   string            `json:"actor_id"`
				Detail    json.RawMessage   `json:"detail"`
				Private   map[string]string `json:"private"`
			}
			if err := json.Unmarshal([]byte(export(t, st)), &row); err != nil {
				t.Fatal(err)
			}
			if got := row.ActorKind + " " + row.ActorID + " " + string(row.Detail); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(row.Private), "map["), "]"); got != c.sealed {
				t.Errorf("sealed: %s, want %s", got, c.sealed)
			}
		})
	}
}

func TestAnExportMayBeginLater(t *testing.T) {
	st := storetest.SQLite(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	log := newLog(t, st, func() time.Time { at = at.Add(time.Second); return at })
	for range 3 {
		if err := log.Record(t.Context(), audit.Event{Action: "x.y", Outcome: audit.OK}); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if n, err := audit.Export(t.Context(), st, secret, at.Add(time.Hour), &out); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// failing answers one append with an error, after it was done or without doing it.
type failing struct {
	audit.Store
	next error
	done bool
}

func (f *failing) AppendAudit(ctx context.Context, r audit.Row, h audit.Head) error {
	err := f.next
	f.next = nil
	if err != nil && !f.done {
		return err
	}
	return errors.Join(f.Store.AppendAudit(ctx, r, h), err)
}

func TestAfterAFailedWriteTheLogGoesOn(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprint("row stored all the same: ", done), func(t *testing.T) {
			st := storetest.SQLite(t)
			f := &failing{Store: st, done: done}
			log := newLog(t, f, time.Now)
			for i := range 4 {
				if i == 1 {
					f.next = context.DeadlineExceeded
				}
				err := log.Record(t.Context(), audit.Event{Action: "x.y", Outcome: audit.OK})
				if (err != nil) != (i == 1) {
					t.Errorf("write %d: %v", i, err)
				}
			}
			want := map[bool]int64{false: 4, true: 5}[done] // one of them notes the chain that was left
			if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != want {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

func TestACallerThatWentAwayIsAuditedAllTheSame(t *testing.T) {
	st := storetest.SQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newLog(t, st, time.Now).Record(ctx, audit.Event{Action: "x.y", Outcome: audit.OK}); err != nil {
		t.Error(err)
	}
}

// docs/security.md tells a site to do this: another role owns the schema, and the server's may only insert.
func TestThreat_T32_TheApplicationsRoleCanOnlyInsert(t *testing.T) {
	st := storetest.Postgres(t)
	fill(t, st)
	conn, err := st.SQL().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	role := "ergon_app_" + fmt.Sprint(time.Now().UnixNano())
	run := func(s string) error { _, err := conn.ExecContext(t.Context(), s); return err }
	for _, s := range []string{
		"CREATE ROLE " + role, "GRANT USAGE ON SCHEMA public TO " + role, "GRANT SELECT, INSERT ON audit TO " + role,
		"GRANT SELECT, INSERT, UPDATE ON audit_heads, audit_keys TO " + role, "SET ROLE " + role,
	} {
		if err := run(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{
		"UPDATE audit SET outcome = 'x'", "DELETE FROM audit", "TRUNCATE audit", "ALTER TABLE audit DISABLE TRIGGER ALL", "DROP TABLE audit",
		"DELETE FROM audit_heads", "SET session_replication_role = replica",
	} {
		if err := run(s); err == nil {
			t.Errorf("the application's role may: %s", s)
		}
	}
	if err := run("INSERT INTO audit (id, chain, seq, prev_hash, hash, at, actor_kind, actor_id, action, outcome) VALUES ('x', 'y', 1, '', '', now(), '', '', '', '')"); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"RESET ROLE", "DROP OWNED BY " + role, "DROP ROLE " + role} {
		if err := run(s); err != nil {
			t.Error(err)
		}
	}
}
