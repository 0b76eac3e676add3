package confirm

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func newPage(t *testing.T, st *gormstore.Store) (*identity.Service, http.Handler) {
	t.Helper()
	secret := []byte("0123456789abcdef0123456789abcdef")
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
	return svc, New(Config{Service: svc, Log: slog.New(slog.DiscardHandler), Now: time.Now, Path: "/device"})
}

// Who signs in where somebody is signed in takes that one's place: the cookie of before opens nothing, wherever a copy of it is.
func TestASecondSignInEndsTheFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		svc, page := newPage(t, st)
		cookie, err := svc.NewPageCookie()
		if err != nil {
			t.Fatal(err)
		}
		var had []string
		for _, name := range []string{"alice", "bob1"} {
			const password = "correct horse battery"
			if _, err := svc.CreateUser(t.Context(), name, password, principal.RoleUser); err != nil {
				t.Fatal(err)
			}
			form := url.Values{"csrf": {svc.PageCSRF(cookie)}, "username": {name}, "password": {password}}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/device/login", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.AddCookie(&http.Cookie{Name: cookiePlain, Value: cookie})
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			answer := w.Result()
			_ = answer.Body.Close()
			if w.Code != http.StatusSeeOther || len(answer.Cookies()) != 1 {
				t.Fatalf("%s: %d %v", name, w.Code, answer.Cookies())
			}
			cookie = answer.Cookies()[0].Value
			had = append(had, cookie)
		}
		if _, _, err := svc.Page(t.Context(), had[0]); !apperr.Is(err, apperr.Unauthorized) {
			t.Errorf("the first cookie: %v", err)
		}
		if _, name, err := svc.Page(t.Context(), had[1]); err != nil || name != "bob1" {
			t.Errorf("the second: %s %v", name, err)
		}
	})
}

// Package app tries the page with a browser; here the database fails under somebody who is signed in.
func TestWhoCannotBeLookedUpIsNotTakenForSignedOut(t *testing.T) {
	st := storetest.SQLite(t)
	svc, page := newPage(t, st)
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
