package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

var b64 = base64.RawURLEncoding

// forger makes tokens with the server's own key, and breaks one thing at a time.
type forger struct {
	kid    string
	key    ed25519.PrivateKey
	header map[string]any
	claims map[string]any
}

func (f forger) part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b64.EncodeToString(text)
}

func (f forger) sign(head, body string) string {
	return head + "." + body + "." + b64.EncodeToString(ed25519.Sign(f.key, []byte(head+"."+body)))
}

func (f forger) token(header, claims map[string]any) string {
	h, c := maps.Clone(f.header), maps.Clone(f.claims)
	for k, v := range header {
		h[k] = v
	}
	for k, v := range claims {
		c[k] = v
		if v == nil {
			delete(c, k)
		}
	}
	return f.sign(f.part(h), f.part(c))
}

func newForger(s *identity.Service, sub, sid string) forger {
	kid, key := s.Signer()
	now := s.Now().Unix()
	return forger{
		kid: kid, key: key,
		header: map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": kid},
		claims: map[string]any{
			"iss": "ergon", "aud": identity.AudienceUser, "sub": sub, "sid": sid, "jti": uuid.NewString(), "iat": now, "exp": now + 600, "scope": "user",
		},
	}
}

func (f forger) hmacWith(secret []byte) string {
	head := f.part(map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": f.kid})
	body := f.part(f.claims)
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(head + "." + body))
	return head + "." + body + "." + b64.EncodeToString(m.Sum(nil))
}

func TestThreat_T08_ConfusedTokensAreRefused(t *testing.T) {
	st := openSQLite(t)
	c := newClock()
	s := replica(t, st, c, nil)
	pair := login(t, s, "alice")
	f := newForger(s, pair.UserID, pair.SessionID)
	if _, err := s.Authenticate(ctx(), f.token(nil, nil)); err != nil {
		t.Fatalf("the honest token of the forger is refused, so the table would prove nothing: %v", err)
	}
	now := c.now().Unix()
	public := f.key.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(public)}
	head, body := f.part(f.header), f.part(f.claims)
	twiceHead := b64.EncodeToString([]byte(`{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"` + f.kid + `"}`))
	claimsText, _ := b64.DecodeString(body)
	twiceBody := b64.EncodeToString([]byte(strings.Replace(string(claimsText), "{", `{"sub":"`+uuid.NewString()+`",`, 1)))
	_, agentToken := enrolled(t, s, "system")
	_ = agentToken
	table := map[string]string{
		"alg none":                 f.part(map[string]any{"alg": "none", "typ": "at+jwt", "kid": f.kid}) + "." + body + ".",
		"alg none, old signature":  f.token(map[string]any{"alg": "none"}, nil),
		"alg nOnE":                 f.token(map[string]any{"alg": "nOnE"}, nil),
		"HS256 with the raw key":   f.hmacWith(public),
		"HS256 with the PEM":       f.hmacWith(pemKey),
		"HS256 with x":             f.hmacWith([]byte(b64.EncodeToString(public))),
		"ES256":                    f.token(map[string]any{"alg": "ES256"}, nil),
		"embedded jwk":             f.token(map[string]any{"jwk": jwk}, nil),
		"jku":                      f.token(map[string]any{"jku": "https://evil.example/jwks"}, nil),
		"x5u":                      f.token(map[string]any{"x5u": "https://evil.example/x"}, nil),
		"x5c":                      f.token(map[string]any{"x5c": []string{"AAAA"}}, nil),
		"crit":                     f.token(map[string]any{"crit": []string{"exp"}}, nil),
		"unknown kid":              f.token(map[string]any{"kid": "nobody"}, nil),
		"no kid":                   f.token(map[string]any{"kid": nil}, nil),
		"kid with a path":          f.token(map[string]any{"kid": "../../dev/null"}, nil),
		"kid as a number":          f.token(map[string]any{"kid": 1}, nil),
		"typ JWT":                  f.token(map[string]any{"typ": "JWT"}, nil),
		"no typ":                   f.token(map[string]any{"typ": nil}, nil),
		"duplicate alg":            f.sign(twiceHead, body),
		"duplicate sub":            f.sign(head, twiceBody),
		"life of 24 h":             f.token(nil, map[string]any{"exp": now + 86400}),
		"life of 601 s":            f.token(nil, map[string]any{"exp": now + 601}),
		"no exp":                   f.token(nil, map[string]any{"exp": nil}),
		"no iat":                   f.token(nil, map[string]any{"iat": nil}),
		"iat in the future":        f.token(nil, map[string]any{"iat": now + 300, "exp": now + 600}),
		"nbf in the future":        f.token(nil, map[string]any{"nbf": now + 300}),
		"exp as text":              f.token(nil, map[string]any{"exp": "never"}),
		"another issuer":           f.token(nil, map[string]any{"iss": "evil"}),
		"no issuer":                f.token(nil, map[string]any{"iss": nil}),
		"another audience":         f.token(nil, map[string]any{"aud": "other"}),
		"two audiences":            f.token(nil, map[string]any{"aud": []string{identity.AudienceUser, identity.AudienceAgent}}),
		"no audience":              f.token(nil, map[string]any{"aud": nil}),
		"no sub":                   f.token(nil, map[string]any{"sub": nil}),
		"no jti":                   f.token(nil, map[string]any{"jti": nil}),
		"another user's session":   f.token(nil, map[string]any{"sub": uuid.NewString()}),
		"no sid":                   f.token(nil, map[string]any{"sid": nil}),
		"unknown sid":              f.token(nil, map[string]any{"sid": uuid.NewString()}),
		"user as agent":            f.token(nil, map[string]any{"aud": identity.AudienceAgent, "sid": nil}),
		"user as agent, with sid":  f.token(nil, map[string]any{"aud": identity.AudienceAgent}),
		"refresh token as access":  pair.RefreshToken,
		"signature of another":     head + "." + body + "." + b64.EncodeToString(make([]byte, 64)),
		"signature cut":            strings.TrimSuffix(f.token(nil, nil), "A"),
		"no signature":             head + "." + body,
		"four parts":               f.token(nil, nil) + ".x",
		"over 4 KiB":               f.token(nil, map[string]any{"x": strings.Repeat("x", 5000)}),
		"padding":                  f.token(nil, nil) + "=",
		"line end inside":          strings.Replace(f.token(nil, nil), ".", "\n.", 1),
		"empty":                    "",
		"expired beyond leeway":    f.token(nil, map[string]any{"iat": now - 700, "exp": now - 100}),
		"signed by another server": signedBySomebody(f),
	}
	table["signature cut"] = f.token(nil, nil)[:len(f.token(nil, nil))-2]
	delete(table, "no kid")
	table["kid null"] = f.token(map[string]any{"kid": nil}, nil)
	for name, token := range table {
		t.Run(name, func(t *testing.T) {
			_, err := s.Authenticate(ctx(), token)
			if code := apperr.CodeOf(err); err == nil || (code != apperr.Unauthorized && code != apperr.TokenExpired) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func signedBySomebody(f forger) string {
	_, key, _ := ed25519.GenerateKey(nil)
	f.key = key
	return f.token(nil, nil)
}

// An agent's token is no user's and the other way round.
func TestThreat_T08_AgentTokensAreNotUserTokens(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), nil)
	agent, token := enrolled(t, s, "system")
	p, err := s.Authenticate(ctx(), token)
	if err != nil || p.Kind != "agent" || p.ID != agent.ID || p.SessionID != "" || len(p.Scopes) == 0 {
		t.Fatalf("%+v %v", p, err)
	}
	f := newForger(s, agent.ID, uuid.NewString())
	for name, claims := range map[string]map[string]any{
		"agent as user":             {},
		"scopes it never had":       {"aud": identity.AudienceAgent, "sid": nil, "scope": "files:write accounting:cluster"},
		"agent with a user's scope": {"aud": identity.AudienceUser, "scope": "admin"},
	} {
		p, err := s.Authenticate(ctx(), f.token(nil, claims))
		if name == "scopes it never had" {
			if err != nil || p.Has(principal.ScopeFilesWrite) || !p.Has("accounting:cluster") {
				t.Errorf("%s: %+v %v", name, p, err)
			}
			continue
		}
		wantCode(t, name, err, apperr.Unauthorized)
	}
}

func TestThreat_T10_ExpiryIsKeptToTheSecond(t *testing.T) {
	cases := map[time.Duration]bool{
		0: true, 599 * time.Second: true, 600 * time.Second: true, 601 * time.Second: true, 629 * time.Second: true,
		630*time.Second - time.Microsecond: true, 630 * time.Second: false, 631 * time.Second: false, time.Hour: false,
		-29 * time.Second: true, -30 * time.Second: true, -31 * time.Second: false, -time.Hour: false,
	}
	for shift, valid := range cases {
		t.Run(shift.String(), func(t *testing.T) {
			c := newClock()
			s := replica(t, openSQLite(t), c, nil)
			pair := login(t, s, "alice")
			c.add(shift)
			_, err := s.Authenticate(ctx(), pair.AccessToken)
			if (err == nil) != valid {
				t.Errorf("%v", err)
			}
			if shift > 0 && !valid {
				wantCode(t, "expired", err, apperr.TokenExpired)
			}
		})
	}
}

func TestATokenOfMoreThanTenMinutesIsNotIssued(t *testing.T) {
	s := replica(t, openSQLite(t), newClock(), func(c *identity.Config) { c.AccessTTL = 601 * time.Second })
	_, err := s.Register(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
	must(t, err)
	if _, err := s.Login(ctx(), identity.Credentials{Username: "alice", Password: testPassword}); err == nil {
		t.Error("issued")
	}
}

func FuzzVerify(f *testing.F) {
	s := replica(f, openSQLite(f), newClock(), nil)
	pair := login(f, s, "alice")
	f.Add(pair.AccessToken)
	f.Add(pair.AccessToken + ".")
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		sub, err := s.Verify(context.Background(), token)
		if err == nil && sub != pair.UserID {
			t.Errorf("%q was taken for %q", token, sub)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := replica(b, openSQLite(b), newClock(), nil)
	pair := login(b, s, "alice")
	for b.Loop() {
		if _, err := s.Authenticate(ctx(), pair.AccessToken); err != nil {
			b.Fatal(err)
		}
	}
}
