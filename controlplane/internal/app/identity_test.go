package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

type answer struct {
	code int
	body []byte
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

func send(t *testing.T, method, url, token string, body any) answer {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := caller(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{code: resp.StatusCode, body: out.Bytes()}
}

func TestRegisterLoginRefreshLogoutOverHTTP(t *testing.T) {
	a := boot(t, testConfig(t))
	cred := map[string]string{"username": "alice", "password": "correct horse battery"}
	if got := send(t, "POST", a.URL()+"/auth/register", "", cred); got.code != 201 {
		t.Fatalf("register %d %s", got.code, got.body)
	}
	if got := send(t, "POST", a.URL()+"/auth/register", "", cred); got.code != 409 {
		t.Errorf("second register %d", got.code)
	}
	var pair, next api.TokenPair
	send(t, "POST", a.URL()+"/auth/login", "", cred).into(t, &pair)
	got := send(t, "GET", a.URL()+"/me", pair.AccessToken, nil)
	var me api.Me
	got.into(t, &me)
	if got.code != 200 || me.User.Username != "alice" || me.Quota.LimitBytes == 0 {
		t.Fatalf("me %d %s", got.code, got.body)
	}
	send(t, "POST", a.URL()+"/auth/refresh", "", map[string]string{"refresh_token": pair.RefreshToken}).into(t, &next)
	if next.RefreshToken == pair.RefreshToken || next.SessionId != pair.SessionId {
		t.Error("the refresh token was not rotated")
	}
	if got := send(t, "POST", a.URL()+"/auth/logout", next.AccessToken, nil); got.code != 204 {
		t.Errorf("logout %d %s", got.code, got.body)
	}
	if got := send(t, "GET", a.URL()+"/me", next.AccessToken, nil); got.code != 401 {
		t.Errorf("after logout %d", got.code)
	}
	if got := send(t, "POST", a.URL()+"/auth/refresh", "", map[string]string{"refresh_token": next.RefreshToken}); got.code != 401 {
		t.Errorf("refresh after logout %d", got.code)
	}
}

func TestAdminCommandsWorkBesideARunningServer(t *testing.T) {
	cfg := testConfig(t)
	a := boot(t, cfg)
	ctx := context.Background()
	base, err := OpenBaseShared(ctx, cfg, testDeps())
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	deps := testDeps()
	deps.Rand = rand.Reader
	svc, err := NewIdentity(ctx, cfg, base, deps, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.CreateUser(ctx, "root1", "a long enough password", principal.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	var pair api.TokenPair
	send(t, "POST", a.URL()+"/auth/login", "", map[string]string{"username": "root1", "password": "a long enough password"}).into(t, &pair)
	var me api.Me
	send(t, "GET", a.URL()+"/me", pair.AccessToken, nil).into(t, &me)
	if me.User.Role != "admin" {
		t.Errorf("role %q", me.User.Role)
	}
}
