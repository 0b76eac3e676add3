package app

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/api"
)

// shows posts accounting in which a uid has a name.
func (w *walk) shows(t *testing.T, agent, job, uid, name string, submit time.Time) {
	t.Helper()
	at := func(after time.Duration) string { return submit.Add(after).Format("2006-01-02T15:04:05") }
	body, err := json.Marshal(map[string]any{
		"columns": []string{"JobID", "JobIDRaw", "UID", "User", "Account", "State", "Submit", "Start", "End", "ElapsedRaw", "ExitCode", "AllocCPUS", "NNodes"},
		"rows":    [][]string{{job, job, uid, name, "physics", "COMPLETED", at(0), at(time.Second), at(61 * time.Second), "60", "0:0", "1", "1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.world.call(t, request{method: http.MethodPost, path: "/agent/accounting", token: w.tokens[agent], body: string(body)})
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
}

// suspended says whether the owner's link is, as the owner sees it.
func (w *walk) suspended(t *testing.T) bool {
	t.Helper()
	var list struct {
		Links []api.Link `json:"links"`
	}
	w.world.want(t, http.StatusOK, request{method: http.MethodGet, path: "/links", token: w.tokens["owner"]}, nil, &list)
	for _, l := range list.Links {
		if l.Id.String() == w.ids["link_id"] {
			return l.Suspended != nil && *l.Suspended
		}
	}
	t.Fatal("the link is gone")
	return false
}

// A uid that accounting shows under another name has gone to somebody else, who must not be taken for the account.
func TestAccountingThatShowsAnotherNameSuspendsTheLink(t *testing.T) {
	eachWorld(t, func(t *testing.T, plain *world) {
		w := newWalk(t, plain)
		later := time.Now().Add(48 * time.Hour) // after the link, in whichever zone the cluster writes
		for _, c := range []struct {
			what, agent, uid, name string
			submit                 time.Time
			want                   bool
		}{
			{"the same name", "system_agent", "1000", "alice", later, false},
			{"another uid", "system_agent", "1001", "mallory", later, false},
			{"before the link", "system_agent", "1000", "mallory", later.AddDate(-1, 0, 0), false},
			{"the same uid of another cluster", "other_agent", "1000", "mallory", later, false},
			{"another name", "system_agent", "1000", "mallory", later, true},
		} {
			w.shows(t, c.agent, "4"+c.uid, c.uid, c.name, c.submit)
			if got := w.suspended(t); got != c.want {
				t.Errorf("%s: suspended %v", c.what, got)
			}
		}
	}, walkEnviron...)
}
