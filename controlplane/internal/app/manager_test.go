package app

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

// managed is alice, who coordinates physics as the agent tells it, and two persons with a job in it; bob is a person with an account.
func managed(t *testing.T, environ ...string) (w *world, alice, bob person) {
	t.Helper()
	w = newWorld(t, append(environ, "ERGON_ROLES_COORDINATORS=true")...)
	alice, bob = w.person(t, "alice", "user"), w.person(t, "bob", "user")
	agent := w.agent(t, "hpc", principal.AgentSystem, "")
	w.linked(t, alice, agent, 1000)
	w.linked(t, bob, agent, 1001)
	w.accounted(t, agent, "1", "1001", "u1001")
	w.accounted(t, agent, "2", "1002", "u1002")
	w.want(t, http.StatusOK, request{method: http.MethodPut, path: "/agent/coordinators", token: agent},
		map[string]any{"coordinators": []api.Coordinator{{Account: "physics", UnixName: "u1000"}}}, nil)
	return w, alice, bob
}

const physics = "/accounts/usage?cluster=hpc&account=physics&metrics=job_count&by="

// The sums of single persons are behind a switch of the site, and whoever was looked at sees who looked.
func TestACoordinatorSeesPersonsOnlyWhereTheSiteLetsHer(t *testing.T) {
	w, alice, bob := managed(t)
	w.want(t, http.StatusForbidden, request{method: http.MethodGet, path: physics + "user", token: alice.token}, nil, nil)
	var sums api.Usage
	w.want(t, http.StatusOK, request{method: http.MethodGet, path: physics + "none", token: alice.token}, nil, &sums)
	if len(sums.Groups) != 1 || *sums.Groups[0].Values["job_count"] != 2 {
		t.Errorf("sums of the account: %+v", sums.Groups)
	}
	w.want(t, http.StatusNotFound, request{method: http.MethodGet, path: physics + "none", token: bob.token}, nil, nil)
	if viewers := looksAt(t, w, bob); slices.Contains(viewers, "alice") {
		t.Errorf("she saw no person, and bob is told of %v", viewers)
	}

	w, alice, bob = managed(t, "ERGON_ROLES_COORDINATORS_SEE_PERSONS=true")
	w.want(t, http.StatusOK, request{method: http.MethodGet, path: physics + "user", token: alice.token}, nil, &sums)
	var names []string
	for _, g := range sums.Groups {
		names = append(names, *g.Key)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"u1001", "u1002"}) {
		t.Errorf("persons of the account: %v", names)
	}
	if viewers := looksAt(t, w, bob); !slices.Equal(viewers, []string{"alice"}) {
		t.Errorf("bob is told of %v", viewers)
	}
	w.want(t, http.StatusNotFound, request{method: http.MethodGet, path: "/accounts/usage?cluster=hpc&account=chemistry&by=user", token: alice.token}, nil, nil)
}

// A requeued run counts in the account that it ran in, also when the job was moved to another one since.
func TestALookAtTheAccountOfAnEarlierRunIsTold(t *testing.T) {
	w, alice, bob := managed(t, "ERGON_ROLES_COORDINATORS_SEE_PERSONS=true")
	if n := w.app.count(t, "SELECT COUNT(*) FROM attempts WHERE account = 'physics'"); n != 2 {
		t.Fatalf("%d runs", n)
	}
	w.exec(t, "UPDATE jobs SET account = 'chemistry'")
	var sums api.Usage
	w.want(t, http.StatusOK, request{method: http.MethodGet, path: physics + "user", token: alice.token}, nil, &sums)
	if len(sums.Groups) != 2 {
		t.Errorf("persons of the account: %+v", sums.Groups)
	}
	if viewers := looksAt(t, w, bob); !slices.Equal(viewers, []string{"alice"}) {
		t.Errorf("bob is told of %v", viewers)
	}
}

func looksAt(t *testing.T, w *world, p person) (viewers []string) {
	t.Helper()
	var list struct {
		Looks []api.Look `json:"looks"`
	}
	w.want(t, http.StatusOK, request{method: http.MethodGet, path: "/me/looks", token: p.token}, nil, &list)
	for _, l := range list.Looks {
		viewers = append(viewers, l.Viewer)
	}
	return viewers
}
