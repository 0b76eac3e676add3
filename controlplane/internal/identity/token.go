package identity

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/strictjson"
)

const (
	// maxTokenLife is enforced when a token is issued and when it is verified.
	maxTokenLife = 10 * time.Minute
	// leeway for clocks that differ.
	leeway = 30 * time.Second
	// maxTokenBytes: longer ones are refused before they are parsed.
	maxTokenBytes = 4 << 10
	accessType    = "at+jwt" // RFC 9068
)

// The audiences keep the tokens of users and of agents apart.
const (
	audienceUser  = "ergon-user"
	audienceAgent = "ergon-agent"
)

// claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	SID   string `json:"sid,omitempty"`
	Scope string `json:"scope"`
	// Key is the thumbprint of the key by which an agent got the token; tokens of versions before have none.
	Key string `json:"agent_key,omitempty"`
}

// tokens issues and verifies access tokens.
type tokens struct {
	ring   *Keyring
	issuer string
	life   time.Duration
	now    func() time.Time
}

// grant is what a token says beside whose it is.
type grant struct{ SID, Scope, Key string }

func (t tokens) issue(audience, subject string, g grant) (string, error) {
	if t.life <= 0 || t.life > maxTokenLife {
		return "", errors.New("issuing a token: its life must be more than nothing and at most ten minutes")
	}
	now := t.now()
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: t.issuer, Subject: subject, Audience: jwt.ClaimStrings{audience}, ID: uuid.NewString(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(t.life)),
		},
		SID: g.SID, Scope: g.Scope, Key: g.Key,
	}
	kid, key := t.ring.signer()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	token.Header["typ"], token.Header["kid"] = accessType, kid
	return token.SignedString(key)
}

var errToken = apperr.New(apperr.Unauthorized, "the access token is not valid").WithHint("log in again with `ergon login`")

// verify checks everything about a token that needs no database.
func (t tokens) verify(ctx context.Context, token string) (claims, error) {
	var c claims
	if err := checkTokenText(token); err != nil {
		return c, refused(err)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(t.issuer), jwt.WithLeeway(leeway), jwt.WithTimeFunc(t.now), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(token, &c, func(tok *jwt.Token) (any, error) { return t.key(ctx, tok) })
	if errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		e := apperr.New(apperr.TokenExpired, "the access token has expired").WithHint("refresh it")
		e.Err = err
		return c, e
	}
	if err != nil {
		return c, refused(err)
	}
	return c, refused(c.check())
}

func refused(err error) error {
	if err == nil {
		return nil
	}
	e := *errToken
	e.Err = err
	return &e
}

// check: the library does not require iat, knows no longest life, and takes any of several audiences.
func (c claims) check() error {
	switch {
	case c.IssuedAt == nil:
		return errors.New("no iat")
	case c.ExpiresAt.Sub(c.IssuedAt.Time) > maxTokenLife:
		return errors.New("exp is more than ten minutes after iat")
	case len(c.Audience) != 1 || (c.Audience[0] != audienceUser && c.Audience[0] != audienceAgent):
		return errors.New("another audience")
	case c.Subject == "" || c.ID == "":
		return errors.New("no sub or no jti")
	case (c.Audience[0] == audienceUser) != (c.SID != ""):
		return errors.New("sid and audience do not belong together")
	}
	return nil
}

// key chooses the key by kid, from memory and from nowhere else.
func (t tokens) key(ctx context.Context, tok *jwt.Token) (any, error) {
	if typ, _ := tok.Header["typ"].(string); !strings.EqualFold(typ, accessType) {
		return nil, errors.New("typ is not at+jwt")
	}
	kid, _ := tok.Header["kid"].(string)
	key, ok := t.ring.verifier(ctx, kid)
	if !ok {
		return nil, errors.New("unknown kid")
	}
	return key, nil
}

// headerMembers that a token may have; jku, x5u, jwk, crit and anything else are refused.
var headerMembers = []string{"alg", "typ", "kid"}

// checkTokenText refuses what must not reach the library: too long, duplicate members, headers that name keys.
func checkTokenText(token string) error {
	if len(token) > maxTokenBytes {
		return errors.New("longer than 4 KiB")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("not three parts")
	}
	for _, part := range parts[:2] {
		text, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return errors.New("not base64url")
		}
		if err := strictjson.Check(text); err != nil {
			return err
		}
	}
	return checkHeader(parts[0])
}

func checkHeader(part string) error {
	members, err := strictjson.Members(part)
	if err != nil {
		return err
	}
	for _, name := range members {
		if !slices.Contains(headerMembers, name) {
			return errors.New("the header has a member that is not taken")
		}
	}
	return nil
}

// scopesText and parseScopes are the scope claim (RFC 8693 §4.2: words with spaces between).
func scopesText(list []principal.Scope) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

func parseScopes(text string) []principal.Scope {
	var list []principal.Scope
	for _, word := range strings.Fields(text) {
		list = append(list, principal.Scope(word))
	}
	return list
}
