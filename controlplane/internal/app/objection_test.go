package app

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

const objecting = "/agent/objections/"

// accounted tells accounting of one job of a person.
func (w *world) accounted(t *testing.T, agent, number, uid, name string) {
	t.Helper()
	w.want(t, http.StatusOK, request{method: http.MethodPost, path: "/agent/accounting", token: agent}, api.AccountingBatch{
		Columns: []string{"JobID", "JobIDRaw", "UID", "User", "JobName", "Account", "State", "Submit", "Start", "End", "ElapsedRaw", "ExitCode", "AllocCPUS", "NNodes"},
		Rows: [][]string{{
			number, number, uid, name, name + "work", "physics", "COMPLETED", "2026-03-04T05:06:07", "2026-03-04T05:06:08", "2026-03-04T05:07:08", "60", "0:0", "1", "1",
		}},
	}, nil)
}

// named counts rows that name somebody, wherever jobs are stored.
func (w *world) named(t *testing.T, name string) int {
	t.Helper()
	like := "'%" + name + "%'"
	return w.app.count(t, "SELECT (SELECT COUNT(*) FROM jobs WHERE unix_user LIKE "+like+" OR name LIKE "+like+") + (SELECT COUNT(*) FROM accounting_rows WHERE fields LIKE "+like+
		") + (SELECT COUNT(*) FROM job_snapshots WHERE snapshot LIKE "+like+") + (SELECT COUNT(*) FROM job_events WHERE message LIKE "+like+")")
}

func (w *world) stands(t *testing.T, method, agent, uid string) (o api.Objection) {
	t.Helper()
	w.want(t, http.StatusOK, request{method: method, path: objecting + uid, token: agent}, nil, &o)
	return o
}

func TestWhoHasNoAccountObjectsOnALoginNode(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		agent := w.agent(t, "hpc", principal.AgentSystem, "")
		w.accounted(t, agent, "7", "2001", "carol")
		w.accounted(t, agent, "8", "2001", "carol")
		w.accounted(t, agent, "9", "2002", "dave")
		if o := w.stands(t, http.MethodGet, agent, "2001"); o.Objected || o.Linked || o.JobsNamed != 2 || w.named(t, "carol") == 0 {
			t.Fatalf("before: %+v", o)
		}
		first := w.stands(t, http.MethodPut, agent, "2001")
		if !first.Objected || first.Since == nil || first.JobsHidden != 2 || first.JobsNamed != 0 || first.Uid != 2001 {
			t.Errorf("objected: %+v", first)
		}
		again := w.stands(t, http.MethodPut, agent, "2001")
		if again.JobsHidden != 0 || !again.Objected || !again.Since.Equal(*first.Since) {
			t.Errorf("objected again: %+v", again)
		}
		if n := w.named(t, "carol"); n != 0 || w.named(t, "dave") == 0 {
			t.Errorf("%d rows name carol, %d dave", n, w.named(t, "dave"))
		}
		if n := w.app.count(t, "SELECT COUNT(*) FROM jobs WHERE account = 'physics'"); n != 3 {
			t.Errorf("%d jobs are left for the sums", n)
		}
		// What is told of the person later names nobody either.
		w.accounted(t, agent, "10", "2001", "carol")
		if o := w.eventOf(t, agent, 2001, "carol"); o.Status != api.EventResultStatusRefused || o.Detail == nil {
			t.Errorf("an event: %+v", o)
		}
		if n := w.named(t, "carol"); n != 0 {
			t.Errorf("%d later rows name carol", n)
		}
		if n := w.app.count(t, "SELECT COUNT(*) FROM audit WHERE action = 'objection.add' AND outcome = 'ok' AND actor_kind = 'agent' AND detail LIKE '%2001%'"); n != 2 {
			t.Errorf("%d audit rows of the agent", n)
		}
		for range 2 {
			if o := w.stands(t, http.MethodDelete, agent, "2001"); o.Objected || o.Since != nil {
				t.Errorf("taken back: %+v", o)
			}
		}
		w.accounted(t, agent, "11", "2001", "carol")
		if o := w.stands(t, http.MethodGet, agent, "2001"); o.JobsNamed != 1 {
			t.Errorf("after it was taken back: %+v", o)
		}
	})
}

// eventOf is an event about a job of a person that waits.
func (w *world) eventOf(t *testing.T, agent string, uid int64, name string) api.EventResult {
	t.Helper()
	submit := time.Now().UTC().Truncate(time.Second)
	var out struct {
		Results []api.EventResult `json:"results"`
	}
	w.want(t, http.StatusOK, request{method: http.MethodPost, path: "/agent/events", token: agent}, api.PostEventsJSONRequestBody{Events: []api.AgentEvent{{
		EventId: uuid.New(), JobId: jobkey.Untagged("hpc", "12", submit.Unix()), Seq: 1, Type: "state", At: submit,
		Job: api.JobSnapshot{SlurmJobId: "12", JobIdRaw: "12", Uid: uid, UnixUser: name, State: "PENDING", SlurmState: "PENDING", SubmitAt: submit},
	}}}, &out)
	if len(out.Results) != 1 {
		t.Fatalf("%+v", out)
	}
	return out.Results[0]
}

func TestThreat_T23_NobodyObjectsForAnother(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		agent, other := w.agent(t, "hpc", principal.AgentSystem, ""), w.agent(t, "other", principal.AgentSystem, "")
		alice := w.person(t, "alice", "user")
		own := w.agent(t, "hpc", principal.AgentUser, "alice")
		w.accounted(t, agent, "7", "2001", "carol")
		for who, token := range map[string]string{"a user's own agent": own, "a user": alice.token, "an administrator": w.person(t, "the-admin", "admin").token} {
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
				if got := w.call(t, request{method: method, path: objecting + "2001", token: token}); got.status != http.StatusForbidden {
					t.Errorf("%s as %s: %d %s", method, who, got.status, got.body)
				}
			}
		}
		if got := w.call(t, request{method: http.MethodPut, path: objecting + "999", token: agent}); got.status != http.StatusForbidden {
			t.Errorf("a uid of the system: %d %s", got.status, got.body)
		}
		w.stands(t, http.MethodPut, other, "2001")
		if o := w.stands(t, http.MethodGet, agent, "2001"); o.Objected || o.JobsNamed != 1 {
			t.Errorf("an agent of another cluster reached this one: %+v", o)
		}
		w.linked(t, alice, agent, 1001)
		got := w.call(t, request{method: http.MethodPut, path: objecting + "1001", token: agent})
		if got.status != http.StatusConflict || got.field("code") != "conflict" {
			t.Errorf("a linked uid: %d %s", got.status, got.body)
		}
		if o := w.stands(t, http.MethodGet, agent, "1001"); !o.Linked || o.Objected {
			t.Errorf("a linked uid stands %+v", o)
		}
	})
}

// linked links a uid of the cluster hpc to an account.
func (w *world) linked(t *testing.T, p person, agent string, uid int64) {
	t.Helper()
	var c api.LinkChallenge
	w.want(t, http.StatusCreated, request{method: http.MethodPost, path: "/links/challenges", token: p.token}, map[string]string{"cluster": "hpc"}, &c)
	proof, err := json.Marshal(map[string]any{"uid": uid, "gid": 100, "unix_name": "u" + strconv.FormatInt(uid, 10), "challenge": c.Challenge, "nonce": uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	w.want(t, http.StatusCreated, request{method: http.MethodPost, path: "/agent/links", token: agent, body: string(proof)}, nil, nil)
}
