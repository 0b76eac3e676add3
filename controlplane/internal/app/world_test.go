package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

const worldPassword = "correct horse battery"

// world is a server with callers of every kind, for tests that speak HTTP.
type world struct {
	app    *App
	svc    *identity.Service // a second replica on the same database
	secret []byte
}

func newWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	return newWorldWith(t, testDeps(), environ...)
}

func newWorldWith(t *testing.T, deps Deps, environ ...string) *world {
	t.Helper()
	cfg := testConfig(t, append([]string{
		"ERGON_AUTH_ARGON2_MEMORY_KIB=8", "ERGON_AUTH_ARGON2_TIME=1", "ERGON_AUTH_LOGIN_PER_MINUTE=100000",
	}, environ...)...)
	a := bootWith(t, cfg, deps)
	secret := []byte(cfg.Auth.Secret.Reveal())
	if len(secret) == 0 {
		var err error
		if secret, err = a.dir.Key("auth.key", rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	svc, err := NewIdentity(t.Context(), cfg, &Base{Store: a.store, Dir: a.dir, Secret: secret}, testDeps(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{app: a, svc: svc, secret: secret}
	for _, name := range []string{"hpc", "other"} {
		if _, err := svc.CreateCluster(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

type person struct {
	id, session, token string
}

// person makes an account of a role once, and logs in.
func (w *world) person(t *testing.T, name, role string) person {
	t.Helper()
	_, _ = w.svc.CreateUser(t.Context(), name, worldPassword, principal.Role(role)) // it may be there
	ctx := principal.WithOrigin(t.Context(), principal.Origin{IP: netip.MustParseAddr("127.0.0.1"), RequestID: "world"})
	pair, err := w.svc.Login(ctx, identity.Credentials{Username: name, Password: worldPassword})
	if err != nil {
		t.Fatal(err)
	}
	return person{pair.UserID, pair.SessionID, pair.AccessToken}
}

// agent enrols one and gets its access token.
func (w *world) agent(t *testing.T, cluster string, kind principal.AgentKind, owner string) string {
	t.Helper()
	token, _ := w.agentWithKey(t, cluster, kind, owner)
	return token
}

func (w *world) agentWithKey(t *testing.T, cluster string, kind principal.AgentKind, owner string) (string, ed25519.PrivateKey) {
	t.Helper()
	token, _, err := w.svc.EnrolToken(t.Context(), cluster, kind, owner)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := api.EnrolRequest{Token: token, Name: "login1", PublicKey: base64.RawURLEncoding.EncodeToString(public), Version: "1"}
	if kind == principal.AgentUser {
		uid, name := int64(1000), "alice"
		r.Uid, r.UnixName = &uid, &name
	}
	var a api.Agent
	w.want(t, http.StatusCreated, request{method: http.MethodPost, path: "/agents/enrol"}, r, &a)
	now := time.Now()
	assertion, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Issuer: a.Id.String(), Subject: a.Id.String(), Audience: jwt.ClaimStrings{"ergon"}, ID: uuid.NewString(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	}).SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	var access api.AccessToken
	w.want(t, http.StatusOK, request{method: http.MethodPost, path: "/agents/token"},
		map[string]string{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": assertion}, &access)
	return access.AccessToken, private
}

// want sends in as the body, and decodes the answer into out where there is one.
func (w *world) want(t *testing.T, status int, r request, in, out any) {
	t.Helper()
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r.body = string(body)
	}
	got := w.call(t, r)
	if got.status != status {
		t.Fatalf("%s %s answers %d, want %d: %s %s", r.method, r.path, got.status, status, got.field("code"), got.field("detail"))
	}
	if out != nil {
		if err := json.Unmarshal([]byte(got.body), out); err != nil {
			t.Fatalf("%s %s: %v", r.method, r.path, err)
		}
	}
}

// as is a context of the caller that a token names, for calls of the service itself.
func (w *world) as(t *testing.T, token string) context.Context {
	t.Helper()
	p, err := w.svc.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return principal.With(t.Context(), p)
}

type request struct{ method, path, token, body, key, id string }

type reply struct {
	status int
	header http.Header
	body   string
}

// field is a member of the answer as text; empty when it has none.
func (r reply) field(name string) string { return r.nested(name) }

func (r reply) nested(names ...string) string {
	var v any
	if json.Unmarshal([]byte(r.body), &v) != nil {
		return ""
	}
	for _, n := range names {
		m, _ := v.(map[string]any)
		v = m[n]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (w *world) call(t *testing.T, r request) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, w.app.URL()+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.id != "" {
		req.Header.Set("X-Request-Id", r.id)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	resp, err := caller(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// store puts a file of the owner into the object store and gives its id.
func (w *world) store(t *testing.T, token string) string {
	t.Helper()
	up := w.call(t, request{method: http.MethodPost, path: "/files/presign/upload", token: token, body: strings.Replace(wish, "a.txt", "stored.txt", 1)})
	var ticket struct {
		UploadID string `json:"upload_id"`
		Put      struct {
			URL     string            `json:"url"`
			Headers map[string]string `json:"headers"`
		} `json:"put"`
	}
	if err := json.Unmarshal([]byte(up.body), &ticket); err != nil || ticket.Put.URL == "" {
		t.Fatalf("%d %v", up.status, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, ticket.Put.URL, bytes.NewReader([]byte("abc")))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range ticket.Put.Headers {
		req.Header.Set(k, v)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal("the upload failed") // the error would quote the URL
	}
	resp.Body.Close()
	done := w.call(t, request{method: http.MethodPost, path: "/files/uploads/" + ticket.UploadID + "/complete", token: token})
	if resp.StatusCode != http.StatusOK || done.status != http.StatusOK {
		t.Fatalf("%d, then %d %s", resp.StatusCode, done.status, done.body)
	}
	return done.field("id")
}

// nothingSecretKept looks for what answers held in the records of calls.
func (w *world) nothingSecretKept(t *testing.T, answers ...string) {
	t.Helper()
	rows, err := w.app.store.SQL().QueryContext(t.Context(), "SELECT caller || ' ' || route || ' ' || key_hash || ' ' || fingerprint || ' ' || resource_id FROM idempotency")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"X-Amz", "k1 ", "ergl_", "ergpat_", "erge_"} {
			if strings.Contains(text, secret) {
				t.Errorf("a record holds more than it should: %s", text)
			}
		}
	}
	if err := rows.Err(); err != nil || n == 0 || len(answers) == 0 {
		t.Errorf("%d records, %v", n, err)
	}
}
