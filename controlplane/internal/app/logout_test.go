package app

import (
	"net/http"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func TestALogoutOfEverythingOverHTTP(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		alice, second := w.person(t, "alice", "user"), w.person(t, "alice", "user")
		program := w.call(t, request{method: http.MethodPost, path: "/auth/tokens", token: alice.token, body: tokenBody}).field("token")
		agent := w.agent(t, "hpc", principal.AgentUser, "alice")
		logout := func(token, body string) reply {
			return w.call(t, request{method: http.MethodPost, path: "/auth/logout", token: token, body: body, key: "l1"})
		}
		asks := map[string]request{
			"this session":      {method: http.MethodGet, path: "/auth/sessions", token: alice.token},
			"the other session": {method: http.MethodGet, path: "/auth/sessions", token: second.token},
			"the program":       {method: http.MethodGet, path: "/jobs", token: program},
			"the agent":         {method: http.MethodGet, path: "/agent/self", token: agent},
		}
		answers := func(when string, status int) {
			t.Helper()
			for name, r := range asks {
				if got := w.call(t, r); got.status != status {
					t.Errorf("%s, %s: %d %s", when, name, got.status, got.body)
				}
			}
		}
		if got := logout(program, `{"everything":true}`); got.status != http.StatusForbidden {
			t.Errorf("by a program: %d %s", got.status, got.body)
		}
		if got := logout(alice.token, `{"everything":"yes"}`); got.status != http.StatusBadRequest {
			t.Errorf("no boolean: %d %s", got.status, got.body)
		}
		answers("before", http.StatusOK)
		if got := logout(alice.token, `{"everything":true}`); got.status != http.StatusNoContent {
			t.Fatalf("%d %s", got.status, got.body)
		}
		answers("after", http.StatusUnauthorized)
		if got := logout(alice.token, `{"everything":true}`); got.status != http.StatusUnauthorized { // nobody is left who could ask
			t.Errorf("again: %d %s", got.status, got.body)
		}
	})
}
