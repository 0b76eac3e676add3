package confirm

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

// Package app tries the page with a browser; here the database fails under somebody who is signed in.
func TestWhoCannotBeLookedUpIsNotTakenForSignedOut(t *testing.T) {
	st, secret := storetest.SQLite(t), []byte("0123456789abcdef0123456789abcdef")
	log, err := audit.New(st, time.Now, secret)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := identity.New(identity.Config{
		Issuer: "ergon", AccessTTL: time.Minute, Params: identity.Params{MemoryKiB: 64, Time: 1, Threads: 1}, ParallelHashes: 1,
	}, identity.Deps{
		Stores: identity.Stores{Users: st, Sessions: st, Throttle: st, Keys: st, Agents: st, Pages: st, Personal: st},
		Audit:  log, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Secret: secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	page := New(Config{Service: svc, Log: slog.New(slog.DiscardHandler), Now: time.Now, Path: "/device"})
	ask := func(method, path string) *httptest.ResponseRecorder {
		const cookie = "ergp_somebody"
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("csrf="+svc.PageCSRF(cookie)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: cookiePlain, Value: cookie})
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		return w
	}
	if w := ask(http.MethodGet, "/device"); w.Code != http.StatusOK {
		t.Fatalf("a cookie that opens nothing: %d", w.Code)
	}
	if w := ask(http.MethodPost, "/device/logout"); w.Code != http.StatusSeeOther {
		t.Fatalf("the same signs out: %d", w.Code)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if w := ask(http.MethodGet, "/device"); w.Code != http.StatusInternalServerError {
		t.Errorf("the page: %d", w.Code)
	}
	if w := ask(http.MethodPost, "/device/logout"); w.Code != http.StatusInternalServerError || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("signing out: %d %q", w.Code, w.Header().Get("Set-Cookie"))
	}
}

func TestAPageHasTheStatusThatTheAPIWouldAnswer(t *testing.T) {
	for code, want := range map[apperr.Code]int{
		apperr.Unauthorized: 401, apperr.InvalidCredentials: 401, apperr.Forbidden: 403, apperr.NotFound: 404, apperr.Conflict: 409,
		apperr.AlreadyExists: 409, apperr.RateLimited: 429, apperr.Busy: 503, apperr.Internal: 500, apperr.InvalidRequest: 400,
	} {
		if got := statusOf(apperr.New(code, "x")); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}
