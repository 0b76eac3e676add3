package identity

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// The session of the confirmation page is one of the account's sessions, listed and revoked like the others. Its cookie is no
// token of the API: it opens the page and nothing else.
const (
	pagePrefix = "ergp_"
	pageLife   = 15 * time.Minute
	// AnonymousPrefix begins the cookie of a browser that nobody has signed in with.
	AnonymousPrefix = "ergn_"
)

// NewPageCookie is the value for a browser that nobody has signed in with yet. CSRF tokens and sign-ins at a provider are bound to it.
func (s *Service) NewPageCookie() (string, error) { return s.randomToken(AnonymousPrefix, secretBytes) }

// PageCSRF is the token that forms carry for a browser with this cookie.
func (s *Service) PageCSRF(cookie string) string {
	return base64.RawURLEncoding.EncodeToString(mac(s.pageKey, "csrf", cookie))
}

// CheckPageCSRF compares in constant time.
func (s *Service) CheckPageCSRF(cookie, token string) bool {
	return cookie != "" && hmac.Equal([]byte(s.PageCSRF(cookie)), []byte(token))
}

// PageLogin proves a password and gives the cookie of a page session.
func (s *Service) PageLogin(ctx context.Context, c Credentials) (cookie string, err error) {
	err = s.login(ctx, c, func(u User, on Ground) error {
		cookie, err = s.beginPage(ctx, u, proof{Method: principal.MethodPage, At: s.now(), On: on})
		return err
	})
	return cookie, err
}

func (s *Service) beginPage(ctx context.Context, u User, by proof) (string, error) {
	cookie, err := s.randomToken(pagePrefix, secretBytes)
	if err != nil {
		return "", err
	}
	err = s.startSession(ctx, Session{ID: uuid.NewString(), UserID: u.ID, Method: by.Method, AuthAt: by.At}, opener{cookie, pageLife}, by.On)
	if err != nil {
		return "", err
	}
	return cookie, nil
}

var errPage = apperr.New(apperr.Unauthorized, "sign in first")

// Page is the person whose page session a cookie opens, with the account's name; unauthorized when there is none.
func (s *Service) Page(ctx context.Context, cookie string) (principal.Principal, string, error) {
	if !strings.HasPrefix(cookie, pagePrefix) {
		return principal.Principal{}, "", errPage
	}
	sid, err := s.st.Pages.SessionByToken(ctx, digest(cookie), s.now())
	if apperr.Is(err, apperr.NotFound) {
		return principal.Principal{}, "", errPage
	}
	if err != nil {
		return principal.Principal{}, "", err
	}
	state, err := s.sessions.get(ctx, sid)
	if apperr.Is(err, apperr.NotFound) || (err == nil && (!state.Live || !state.pageMethod())) {
		return principal.Principal{}, "", errPage
	}
	if err != nil {
		return principal.Principal{}, "", err
	}
	u, err := s.st.Users.UserByID(ctx, state.UserID)
	return principal.Principal{
		Kind: principal.User, ID: state.UserID, SessionID: sid, Role: state.Role, AuthAt: state.AuthAt, Method: state.Method,
	}, u.Username, err
}

func (st SessionState) pageMethod() bool {
	return st.Method == principal.MethodPage || st.Method == principal.MethodOIDC
}

// PageStore finds the session that a cookie opens.
type PageStore interface {
	// SessionByToken gives the id of the session whose first token has this hash and still stands; not_found otherwise.
	SessionByToken(ctx context.Context, jti string, now time.Time) (string, error)
}
