package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

// liar is a provider that signs what a test wants. Package app tries a real one.
type liar struct {
	*httptest.Server
	t          *testing.T
	claims     jwt.MapClaims
	header     map[string]any
	method     jwt.SigningMethod
	signer     any
	userinfo   map[string]any
	verifier   string
	discovered atomic.Int32
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	key := newKey(t)
	point, err := key.PublicKey.Bytes() // 4, X, Y (SEC 1 §2.3.3)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{t: t, method: jwt.SigningMethodES256, signer: key, header: map[string]any{"kid": "1"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		l.discovered.Add(1)
		l.answer(w, map[string]any{
			"issuer": l.URL, "authorization_endpoint": l.URL + "/auth", "token_endpoint": l.URL + "/token", "jwks_uri": l.URL + "/keys",
			"userinfo_endpoint": l.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		l.verifier = r.PostFormValue("code_verifier")
		if r.PostFormValue("code") != "code" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			l.answer(w, map[string]string{"error": "invalid_grant", "error_description": "token=secret-in-an-answer"})
			return
		}
		out := map[string]any{"access_token": "opaque", "token_type": "Bearer"}
		if l.claims != nil {
			token := jwt.NewWithClaims(l.method, l.claims)
			for name, value := range l.header {
				token.Header[name] = value
			}
			text, err := token.SignedString(l.signer)
			if err != nil {
				l.t.Error(err)
			}
			out["id_token"] = text
		}
		l.answer(w, out)
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		l.answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1",
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		}}})
	})
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, _ *http.Request) { l.answer(w, l.userinfo) })
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	now := time.Now()
	l.claims = jwt.MapClaims{
		"iss": l.URL, "aud": "ergon", "sub": "42", "nonce": "n", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "preferred_username": "alice",
		"auth_time": now.Add(-time.Minute).Unix(),
	}
	return l
}

func (l *liar) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		l.t.Error(err)
	}
}

func (l *liar) provider(t *testing.T) *Provider {
	t.Helper()
	p, err := New(Config{
		Issuer: l.URL, ClientID: "ergon", ClientSecret: "s", Name: "University", RedirectURL: "https://ergon.example.org/device/oidc",
		UsernameClaim: "preferred_username", MaxAge: 5 * time.Minute, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var bound = identity.Binding{State: "s", Nonce: "n", Verifier: strings.Repeat("v", 43)}

func TestACodeBecomesWhoSignedIn(t *testing.T) {
	l := newLiar(t)
	got, err := l.provider(t).Exchange(t.Context(), "code", bound)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(l.claims["auth_time"].(int64), 0)
	if got != (identity.Subject{Issuer: l.URL, Subject: "42", Username: "alice", AuthAt: at}) || l.verifier != bound.Verifier {
		t.Errorf("%+v, verifier %q", got, l.verifier)
	}
}

func TestTheNameIsAskedWhereTheTokenHoldsNone(t *testing.T) {
	l := newLiar(t)
	delete(l.claims, "preferred_username")
	l.userinfo = map[string]any{"sub": "42", "preferred_username": "carol"}
	p := l.provider(t)
	if got, err := p.Exchange(t.Context(), "code", bound); err != nil || got.Username != "carol" {
		t.Errorf("%+v %v", got, err)
	}
	l.userinfo["sub"] = "43"
	if _, err := p.Exchange(t.Context(), "code", bound); err == nil {
		t.Error("somebody else's userinfo was taken")
	}
}

func TestIDTokensThatProveNothingAreRefused(t *testing.T) {
	other := newKey(t)
	for name, change := range map[string]func(*liar){
		"another nonce":       func(l *liar) { l.claims["nonce"] = "x" },
		"no nonce":            func(l *liar) { delete(l.claims, "nonce") },
		"another audience":    func(l *liar) { l.claims["aud"] = "other" },
		"of several, unnamed": func(l *liar) { l.claims["aud"] = []string{"ergon", "other"} },
		"given to another":    func(l *liar) { l.claims["aud"], l.claims["azp"] = []string{"ergon", "other"}, "other" },
		"ours, by another":    func(l *liar) { l.claims["azp"] = "other" },
		"another issuer":      func(l *liar) { l.claims["iss"] = "https://evil.example" },
		"expired":             func(l *liar) { l.claims["exp"] = time.Now().Add(-time.Hour).Unix() },
		"another key":         func(l *liar) { l.signer = other },
		"HS256 by the secret": func(l *liar) { l.method, l.signer = jwt.SigningMethodHS256, []byte("s") },
		"no signature":        func(l *liar) { l.method, l.signer = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType },
		"no auth_time":        func(l *liar) { delete(l.claims, "auth_time") },
		"an old sign-in":      func(l *liar) { l.claims["auth_time"] = time.Now().Add(-6 * time.Minute).Unix() },
		"a sign-in to come":   func(l *liar) { l.claims["auth_time"] = time.Now().Add(2 * time.Minute).Unix() },
		"no ID token":         func(l *liar) { l.claims = nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			change(l)
			if got, err := l.provider(t).Exchange(t.Context(), "code", bound); err == nil {
				t.Errorf("it proved %+v", got)
			}
		})
	}
	l := newLiar(t)
	l.claims["aud"], l.claims["azp"] = []string{"other", "ergon"}, "ergon"
	if _, err := l.provider(t).Exchange(t.Context(), "code", bound); err != nil {
		t.Errorf("of several audiences, and given to us: %v", err)
	}
	l = newLiar(t)
	none := bound
	none.Nonce = ""
	delete(l.claims, "nonce")
	if _, err := l.provider(t).Exchange(t.Context(), "code", none); err == nil {
		t.Error("no nonce on either side was taken for equal")
	}
}

func TestTheProvidersAnswerStaysOutOfTheError(t *testing.T) {
	_, err := newLiar(t).provider(t).Exchange(t.Context(), "wrong", bound)
	if err == nil || strings.Contains(err.Error(), "secret-in-an-answer") || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("got %v", err)
	}
}

func TestAProviderThatIsAwayIsAskedAgainLater(t *testing.T) {
	l := newLiar(t)
	now := time.Now()
	p := l.provider(t)
	p.cfg.Now = func() time.Time { return now }
	p.cfg.Issuer = l.URL + "/nothing"
	for range 3 {
		if _, err := p.AuthURL(t.Context(), bound); err == nil {
			t.Fatal("it was found")
		}
	}
	p.cfg.Issuer = l.URL
	if _, err := p.AuthURL(t.Context(), bound); err == nil {
		t.Error("it was asked again at once")
	}
	now = now.Add(retryAfter)
	ctx, cancel := context.WithCancel(t.Context())
	address, err := p.AuthURL(ctx, bound)
	cancel() // the request that found the provider ends; its keys are still fetched
	if err != nil || !strings.Contains(address, "code_challenge_method=S256") || strings.Contains(address, bound.Verifier) {
		t.Errorf("%q %v", address, err)
	}
	if _, err := p.Exchange(t.Context(), "code", bound); err != nil || l.discovered.Load() != 1 {
		t.Errorf("%v after %d discoveries", err, l.discovered.Load())
	}
}

func TestCertificatesThatCannotBeReadStopTheStart(t *testing.T) {
	if _, err := New(Config{CAFile: "/nowhere"}); err == nil {
		t.Error("a file that is not there was taken")
	}
	if _, err := New(Config{CAFile: "provider_test.go"}); err == nil {
		t.Error("a file without certificates was taken")
	}
}
