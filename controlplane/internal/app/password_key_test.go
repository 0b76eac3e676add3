package app

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// A fingerprint of the body would be a plain hash of two passwords, kept for a day.
func TestAPasswordLeavesNoFingerprint(t *testing.T) {
	w := newWorld(t)
	alice := w.person(t, "alice", "user")
	r := w.call(t, request{
		method: http.MethodPost, path: "/auth/password", token: alice.token, key: uuid.NewString(),
		body: `{"old_password":"` + worldPassword + `","new_password":"another good password"}`,
	})
	if r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	var n int
	if err := w.app.store.SQL().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM idempotency").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d records of calls, %v", n, err)
	}
}
