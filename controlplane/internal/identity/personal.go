package identity

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// A personal access token is "ergpat_" and base64url of 32 random bytes and their CRC-32 (IEEE, big endian): scanners of leaked
// secrets find it by ergpat_[A-Za-z0-9_-]{48}, and the sum tells it from noise without the database. It protects nothing.
const (
	personalPrefix = "ergpat_"
	maxPersonal    = 100 // living ones an account
	maxTokenName   = 64
	// touchEvery is how exact the last use is.
	touchEvery = time.Minute
)

// PersonalToken is a token for a program, without the token.
type PersonalToken struct {
	ID         string
	UserID     string
	Name       string
	TokenHash  string
	Scopes     []principal.Scope
	Exp        time.Time
	LastUsedAt *time.Time // to the minute
	CreatedAt  time.Time
}

// PersonalState is what each request asks of a token.
type PersonalState struct {
	ID     string
	UserID string
	Role   principal.Role
	Scopes []principal.Scope
	Exp    time.Time
	Live   bool // neither revoked nor of a disabled account
}

// PersonalRequest asks for a token.
type PersonalRequest struct {
	Name   string
	Scopes []principal.Scope
	Life   time.Duration
}

// CreateToken makes a token for programs; the text is shown once. It needs a fresh login of a person.
func (s *Service) CreateToken(ctx context.Context, r PersonalRequest) (PersonalToken, string, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return PersonalToken{}, "", err
	}
	if p.Cluster != "" || p.Method == principal.MethodUnix || p.SessionID == "" {
		return PersonalToken{}, "", apperr.New(apperr.Forbidden, "this needs a login of your own").WithHint("run `ergon login`, then repeat it")
	}
	if err := s.recent(ctx, p); err != nil {
		return PersonalToken{}, "", err
	}
	if err := r.check(s.cfg.TokenMaxTTL); err != nil {
		return PersonalToken{}, "", err
	}
	text, err := newPersonal(s.rand)
	if err != nil {
		return PersonalToken{}, "", err
	}
	now := s.now()
	t := PersonalToken{
		ID: uuid.NewString(), UserID: p.ID, Name: r.Name, TokenHash: digest(text), Scopes: r.Scopes, Exp: now.Add(r.Life), CreatedAt: now,
	}
	e := audit.Event{Action: "token.create", Subject: t.ID, Detail: map[string]string{"scopes": scopesText(r.Scopes), "exp": t.Exp.UTC().Format(time.RFC3339)}}
	err = s.act(ctx, e, func(ctx context.Context) error {
		if err := s.hold(ctx); err != nil {
			return err
		}
		return s.st.Personal.InsertPersonal(ctx, t, maxPersonal)
	})
	if err != nil {
		return PersonalToken{}, "", err
	}
	return t, text, nil
}

func (r PersonalRequest) check(longest time.Duration) error {
	if r.Name == "" || utf8.RuneCountInString(r.Name) > maxTokenName || !utf8.ValidString(r.Name) || strings.ContainsFunc(r.Name, unprintable) {
		return invalid("name", "1 to 64 printable characters")
	}
	if len(r.Scopes) == 0 {
		return invalid("scopes", "at least one of "+scopesText(principal.UserScopes()))
	}
	if err := checkScopes(r.Scopes, principal.UserScopes()); err != nil {
		return err
	}
	if r.Life < time.Minute || r.Life > longest {
		return invalid("expires_in_s", fmt.Sprintf("60 to %d seconds", int64(longest/time.Second)))
	}
	return nil
}

// checkScopes holds a list to those that may be given.
func checkScopes(list, of []principal.Scope) error {
	for i, scope := range list {
		if !slices.Contains(of, scope) || slices.Contains(list[:i], scope) {
			return invalid("scopes", "each once, of "+scopesText(of))
		}
	}
	return nil
}

func newPersonal(rand io.Reader) (string, error) {
	raw := make([]byte, secretBytes)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", fmt.Errorf("drawing a token: %w", err)
	}
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return personalPrefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// wellFormed tells a token from noise.
func wellFormed(token string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(token, personalPrefix))
	return err == nil && len(raw) == secretBytes+4 && crc32.ChecksumIEEE(raw[:secretBytes]) == binary.BigEndian.Uint32(raw[secretBytes:])
}

// Tokens lists the caller's personal access tokens that still work, newest first.
func (s *Service) Tokens(ctx context.Context) ([]PersonalToken, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	return s.st.Personal.ListPersonal(ctx, p.ID, s.now())
}

// RevokeToken ends one of the caller's tokens; other replicas refuse it within ten seconds.
func (s *Service) RevokeToken(ctx context.Context, id string) error {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return err
	}
	err = s.act(ctx, audit.Event{Action: "token.revoke", Subject: id}, func(ctx context.Context) error {
		return s.st.Personal.RevokePersonal(ctx, p.ID, id, s.now())
	})
	s.personal.forget("")
	if apperr.Is(err, apperr.NotFound) {
		return apperr.New(apperr.NotFound, "you have no such token")
	}
	return err
}

var errPersonal = apperr.New(apperr.Unauthorized, "the personal access token is not valid").
	WithHint("`ergon token list` shows yours, `ergon token create` makes a new one")

// authenticatePersonal is Authenticate for a personal access token.
func (s *Service) authenticatePersonal(ctx context.Context, token string) (principal.Principal, error) {
	if !wellFormed(token) {
		return principal.Principal{}, errPersonal
	}
	state, err := s.personal.get(ctx, digest(token))
	if apperr.Is(err, apperr.NotFound) || (err == nil && !state.Live) {
		return principal.Principal{}, errPersonal
	}
	if err != nil {
		return principal.Principal{}, err
	}
	if !s.now().Before(state.Exp) {
		return principal.Principal{}, apperr.New(apperr.TokenExpired, "the personal access token has expired").WithHint("make a new one: `ergon token create`")
	}
	return principal.Principal{Kind: principal.User, ID: state.UserID, Role: state.Role, TokenID: state.ID, Scopes: state.Scopes}, nil
}

// loadPersonal reads a token's state and notes its use; a replica asks at most every ten seconds.
func (s *Service) loadPersonal(ctx context.Context, hash string) (PersonalState, error) {
	state, err := s.st.Personal.PersonalState(ctx, hash)
	if err != nil || !state.Live {
		return state, err
	}
	now := s.now()
	if err := s.st.Personal.TouchPersonal(ctx, state.ID, now, now.Add(-touchEvery)); err != nil {
		s.log.WarnContext(ctx, "the use of a token could not be noted", "token", state.ID, "error", err)
	}
	return state, nil
}

// RevokeTokensOf ends every token of an account; for the server's command line.
func (s *Service) RevokeTokensOf(ctx context.Context, name string) error {
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return err
	}
	err = s.act(ctx, audit.Event{Action: "token.revoke_all", Subject: u.ID}, func(ctx context.Context) error {
		if err := s.st.Personal.RevokePersonal(ctx, u.ID, "", s.now()); !apperr.Is(err, apperr.NotFound) {
			return err
		}
		return nil
	})
	s.personal.forget("")
	return err
}

// PersonalStore keeps personal access tokens.
type PersonalStore interface {
	// InsertPersonal stores a token unless the account has limit living ones: then conflict.
	InsertPersonal(ctx context.Context, t PersonalToken, limit int) error
	ListPersonal(ctx context.Context, userID string, now time.Time) ([]PersonalToken, error)
	PersonalState(ctx context.Context, hash string) (PersonalState, error)
	// TouchPersonal notes a use when the last one noted is older than before.
	TouchPersonal(ctx context.Context, id string, now, before time.Time) error
	// RevokePersonal ends one token of an account, or with an empty id all; not_found when none ended.
	RevokePersonal(ctx context.Context, userID, id string, now time.Time) error
}
