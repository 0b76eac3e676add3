package httpapi

import (
	"context"
	"net/http"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// The table and the document are held to each other: New refuses an operation without a row, and this refuses a row that
// cannot be.
func TestRowsOfTheTableFitTheirOperations(t *testing.T) {
	doc, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	for key, op := range doc {
		users, agents := op.allows(principal.User), op.allows(principal.Agent)
		if op.token != "" && !users || op.agent != "" && !agents {
			t.Errorf("%s: the row speaks of callers that the document does not name", key)
		}
		if op.key != noKey && op.method == http.MethodGet {
			t.Errorf("%s: a read takes an Idempotency-Key", key)
		}
		if op.owned && op.allows(principal.Anonymous) {
			t.Errorf("%s: what belongs to somebody is open to all", key)
		}
		if op.presign && op.audit == "" {
			t.Errorf("%s: presigns are audited", key)
		}
	}
}

func TestTokensOfLimitedRightsReachWhatTheirScopeNames(t *testing.T) {
	person := principal.Principal{Kind: principal.User, Role: principal.RoleUser}
	reader, bound := person, person
	reader.Scopes = []principal.Scope{principal.ScopeJobsRead}
	bound.Scopes, bound.Cluster = []principal.Scope{principal.ScopeJobsRead, principal.ScopeFilesRead}, "hpc"
	cases := []struct {
		op   string
		who  principal.Principal
		want bool
	}{
		{"getJob", person, true},
		{"changePassword", person, true},
		{"getJob", reader, true},
		{"listFiles", reader, false},
		{"changePassword", reader, false},
		{"createToken", reader, false},
		{"getJob", bound, true},
		{"listFiles", bound, false}, // it is not held to a cluster
	}
	for _, c := range cases {
		p, ok := policyOf(c.op)
		if !ok {
			t.Fatalf("no row for %s", c.op)
		}
		err := permit(&operation{id: c.op, principals: []principal.Kind{principal.User}, policy: p}, c.who)
		if (err == nil) != c.want {
			t.Errorf("%s with %v: %v", c.op, c.who.Scopes, err)
		}
	}
}

func TestAnAgentNeedsTheScope(t *testing.T) {
	p, _ := policyOf("exchangeUnix")
	op := &operation{principals: []principal.Kind{principal.Agent}, policy: p}
	who := principal.Principal{Kind: principal.Agent, Scopes: []principal.Scope{principal.ScopeJobsLinked}}
	if err := permit(op, who); !apperr.Is(err, apperr.Forbidden) {
		t.Errorf("without: %v", err)
	}
	who.Scopes = append(who.Scopes, principal.ScopeIdentityAssert)
	if err := permit(op, who); err != nil {
		t.Errorf("with: %v", err)
	}
}

func TestRolesAreInOrder(t *testing.T) {
	if !principal.RoleAdmin.AtLeast(principal.RoleOperator) || principal.RoleUser.AtLeast(principal.RoleOperator) || principal.Role("").AtLeast(principal.RoleUser) {
		t.Error("roles are out of order")
	}
}

func TestFloodsAreShedByAddressCallerAndRoute(t *testing.T) {
	cases := map[string]Limits{
		"address": {PerAddress: 3}, "caller": {PerCaller: 3}, "route": {PerRoute: 3},
	}
	for name, limits := range cases {
		t.Run(name, func(t *testing.T) {
			h := newTest(t, func(c *Config) {
				c.Limits = limits
				c.Handlers.Identity = fakeIdentity{me: func(context.Context) error { return apperr.New(apperr.Conflict, "x") }}
			})
			for i := range 5 {
				w, _ := do(t, h, call{method: http.MethodGet, path: "/me", token: "user"})
				if want := map[bool]int{true: http.StatusConflict, false: http.StatusTooManyRequests}[i < 3]; w.Code != want {
					t.Errorf("call %d: %d, want %d", i, w.Code, want)
				}
				if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
			if w, _ := do(t, h, call{method: http.MethodGet, path: "/livez"}); w.Code != http.StatusOK {
				t.Errorf("livez: %d", w.Code)
			}
		})
	}
}
