package app

import (
	"net/http"
	"testing"
)

// Whatever signs URLs counts against the exact limit of its caller: the contract's routes, archives, and the routes of the
// original client.
func TestThreat_T16_EveryRouteThatSignsMeetsTheLimitOfPresigns(t *testing.T) {
	const limit = 3
	ways := map[string]func(t *testing.T, w *world, token string) request{
		"upload": func(_ *testing.T, _ *world, token string) request {
			return request{method: http.MethodPost, path: "/files/presign/upload", token: token, body: wish}
		},
		"archive": func(t *testing.T, w *world, token string) request {
			id := w.call(t, request{method: http.MethodPost, path: "/me/export", token: token}).field("export_id")
			return request{method: http.MethodGet, path: "/me/exports/" + id, token: token}
		},
		"original client": func(_ *testing.T, _ *world, token string) request {
			return request{method: http.MethodPost, path: "/api/storage/presign/upload?object_name=a", token: token}
		},
	}
	eachWorld(t, func(t *testing.T, w *world) {
		for name, way := range ways {
			r := way(t, w, w.person(t, "u-"+name[:4], "user").token)
			passed, refused := 0, 0
			for range 2*limit + 1 { // a minute may end in between
				switch got := w.call(t, r); {
				case got.status < http.StatusMultipleChoices:
					passed++
				case got.status == http.StatusTooManyRequests && got.field("code") == "rate_limited" && got.header.Get("Retry-After") != "":
					refused++
				default:
					t.Errorf("%s: %d %s", name, got.status, got.body)
				}
			}
			if passed < limit || refused == 0 {
				t.Errorf("%s: %d of %d a minute passed", name, passed, limit)
			}
		}
	}, "ERGON_LIMIT_PRESIGNS=3", "ERGON_COMPAT_BENCHWRAP=true")
}

func TestRoutesOfTheOriginalClientAreShedAsOthers(t *testing.T) {
	w := newWorld(t, "ERGON_LIMIT_PER_ROUTE=2", "ERGON_COMPAT_BENCHWRAP=true")
	alice := w.person(t, "alice", "user")
	for name, r := range map[string]request{
		"of an account":  {method: http.MethodGet, path: "/api/storage/list", token: alice.token},
		"of an address":  {method: http.MethodPost, path: "/api/auth/password?u=nobody&p=nothing"},
		"of another too": {method: http.MethodPost, path: "/api/auth/refresh?rid=noise"},
	} {
		last := 0
		for range 12 { // two more a minute come in while they are called
			last = w.call(t, r).status
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("%s: %d", name, last)
		}
	}
}
