package identity

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// OriginOIDC marks an account that the first sign-in at the provider made.
const OriginOIDC = "oidc"

// Provider is the site's OpenID provider.
type Provider interface {
	// Name is what people call it.
	Name() string
	// AuthURL is where a browser signs in (authorization code flow with PKCE, S256).
	AuthURL(ctx context.Context, b Binding) (string, error)
	// Exchange turns the code into who signed in; issuer, audience, signature, expiry and nonce of the ID token are checked.
	Exchange(ctx context.Context, code string, b Binding) (Subject, error)
}

// Binding ties the three legs of a sign-in together.
type Binding struct{ State, Nonce, Verifier string }

// Subject is who signed in at the provider, and when they last proved it there. Username is a wish, and untrusted.
type Subject struct {
	Issuer, Subject, Username string
	AuthAt                    time.Time
}

// stateLife is how long a person may take at the provider.
const stateLife = 15 * time.Minute

// OIDC names the provider, or is empty when there is none.
func (s *Service) OIDC() string {
	if s.provider == nil {
		return ""
	}
	return s.provider.Name()
}

// OIDCStart gives the address at which the browser with this cookie signs in. Nothing is stored: state, nonce and verifier come
// from the server's secret, and the state is good for this cookie alone.
func (s *Service) OIDCStart(ctx context.Context, cookie string) (string, error) {
	raw := make([]byte, 16, 24)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", fmt.Errorf("drawing a state: %w", err)
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(s.now().Add(stateLife).Unix()))
	return s.provider.AuthURL(ctx, s.binding(raw, cookie))
}

func (s *Service) binding(raw []byte, cookie string) Binding {
	b64 := base64.RawURLEncoding.EncodeToString
	text := string(raw)
	return Binding{
		State: b64(append(raw[:len(raw):len(raw)], mac(s.pageKey, "oidc state", cookie, text)...)),
		Nonce: b64(mac(s.pageKey, "oidc nonce", text)), Verifier: b64(mac(s.pageKey, "oidc verifier", text)),
	}
}

var errState = apperr.New(apperr.Forbidden, "this sign-in was not begun in this browser, or took too long").WithHint("begin again")

// checkState gives the binding that a state belongs to.
func (s *Service) checkState(state, cookie string) (Binding, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(state)
	if err != nil || len(raw) != 24+32 || cookie == "" {
		return Binding{}, errState
	}
	b := s.binding(raw[:24], cookie)
	if !hmac.Equal([]byte(b.State), []byte(state)) || s.now().Unix() > int64(binary.BigEndian.Uint64(raw[16:24])) {
		return Binding{}, errState
	}
	return b, nil
}

// OIDCFinish takes what the provider sent back and gives the cookie of a page session. When somebody is signed in already the
// identity is joined to that account.
func (s *Service) OIDCFinish(ctx context.Context, cookie, state, code string) (string, error) {
	if s.provider == nil {
		return "", apperr.New(apperr.NotFound, "this server has no provider")
	}
	if err := s.admit(ctx); err != nil {
		return "", err
	}
	b, err := s.checkState(state, cookie)
	if err != nil {
		return "", err
	}
	sub, err := s.provider.Exchange(ctx, code, b)
	if err != nil {
		e := apperr.Wrap(apperr.Forbidden, "the sign-in at "+s.provider.Name()+" did not work", err).WithHint("begin again; when it stays so, ask your administrators")
		s.recordFailure(ctx, audit.Event{Action: "session.login", Detail: map[string]string{"method": "oidc"}}, e)
		return "", e
	}
	u, err := s.subjectUser(ctx, cookie, sub)
	if err != nil {
		s.recordFailure(ctx, audit.Event{Action: "session.login", Detail: map[string]string{"method": "oidc"}}, err)
		return "", err
	}
	if now := s.now(); sub.AuthAt.After(now) { // its clock is ahead
		sub.AuthAt = now
	}
	cookie, err = s.beginPage(ctx, u, proof{Method: principal.MethodOIDC, At: sub.AuthAt, On: Ground{Issuer: sub.Issuer, Subject: sub.Subject}})
	if overtaken(err) {
		return "", apperr.New(apperr.Forbidden, "this identity was disconnected a moment ago").WithHint("begin again")
	}
	return cookie, err
}

// subjectUser is the account of a subject: the one it is joined to, the one that is signed in, or a new one.
func (s *Service) subjectUser(ctx context.Context, cookie string, sub Subject) (User, error) {
	signedIn, _, err := s.Page(ctx, cookie)
	if err != nil && !apperr.Is(err, apperr.Unauthorized) {
		return User{}, err
	}
	u, err := s.st.OIDC.UserBySubject(ctx, sub.Issuer, sub.Subject)
	switch {
	case err == nil && signedIn.ID != "" && signedIn.ID != u.ID:
		return User{}, apperr.New(apperr.Conflict, "this identity belongs to another account").WithHint("sign out here first")
	case err == nil && u.DisabledAt != nil:
		return User{}, apperr.New(apperr.Forbidden, "this account is disabled").WithHint("ask your administrators")
	case err == nil:
		return u, nil
	case !apperr.Is(err, apperr.NotFound):
		return User{}, err
	case signedIn.ID != "":
		return s.joinSubject(ctx, signedIn, sub)
	}
	return s.newSubject(ctx, sub)
}

func (s *Service) joinSubject(ctx context.Context, p principal.Principal, sub Subject) (User, error) {
	if err := s.recent(ctx, p); err != nil {
		return User{}, err
	}
	e := audit.Event{Actor: p.ID, Action: "oidc.join", Subject: p.ID, Detail: map[string]string{"issuer": sub.Issuer}}
	err := s.act(ctx, e, func(ctx context.Context) error {
		if err := s.hold(principal.With(ctx, p)); err != nil {
			return err
		}
		return s.st.OIDC.InsertSubject(ctx, sub.Issuer, sub.Subject, p.ID, s.now())
	})
	if err != nil {
		return User{}, err
	}
	return s.st.Users.UserByID(ctx, p.ID)
}

// newSubject makes an account for an identity that was never seen, where the site lets it. A name that is taken is never
// taken over: whoever owns it signs in and joins the identity.
func (s *Service) newSubject(ctx context.Context, sub Subject) (User, error) {
	if !s.cfg.OIDCAccounts {
		return User{}, apperr.New(apperr.Forbidden, "no account here belongs to this identity").
			WithHint("sign in with your password and connect it, or ask your administrators for an account")
	}
	if checkUsername(sub.Username) != nil {
		return User{}, apperr.New(apperr.Forbidden, "the provider gives no name that can be an account's").WithHint("ask your administrators for an account, then connect it")
	}
	u := User{ID: uuid.NewString(), Username: sub.Username, Role: principal.RoleUser, Origin: OriginOIDC, CreatedAt: s.now()}
	e := audit.Event{Actor: u.ID, Action: "user.create", Subject: u.ID, Detail: map[string]string{"origin": OriginOIDC}}
	err := s.act(ctx, e, func(ctx context.Context) error { return s.st.OIDC.InsertSubjectUser(ctx, u, sub.Issuer, sub.Subject) })
	if apperr.Is(err, apperr.AlreadyExists) {
		return User{}, apperr.New(apperr.Forbidden, "an account of this name exists already").WithHint("sign in with its password and connect this identity")
	}
	if err != nil {
		return User{}, err
	}
	return u, nil
}

// DisconnectOIDC takes the caller's identity at the provider from the account, on a fresh login, and ends every other session:
// somebody else may have begun it there.
func (s *Service) DisconnectOIDC(ctx context.Context) error {
	p, err := s.Recent(ctx)
	if err != nil {
		return err
	}
	return s.disconnect(ctx, p.ID, p.SessionID, "ask an administrator to set one: `ergon-server admin user set-password`")
}

// DisconnectOIDCOf does so with an account's identity, and ends all its sessions; for the server's command line.
func (s *Service) DisconnectOIDCOf(ctx context.Context, name string) error {
	u, err := s.userNamed(ctx, name)
	if err != nil {
		return err
	}
	return s.disconnect(ctx, u.ID, "", "`ergon-server admin user set-password NAME` first")
}

func (s *Service) disconnect(ctx context.Context, userID, except, hint string) error {
	u, err := s.st.Users.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	if u.PWHash == "" {
		return apperr.New(apperr.Conflict, "the account has no password, so that nobody could log in to it any more").WithHint(hint)
	}
	err = s.act(ctx, audit.Event{Action: "oidc.disconnect", Subject: u.ID}, func(ctx context.Context) error {
		if err := s.st.OIDC.DeleteSubjects(ctx, u.ID); err != nil {
			return err
		}
		_, err := s.st.Sessions.RevokeSessions(ctx, SessionFilter{UserID: u.ID, Except: except}, s.now())
		return err
	})
	s.sessions.forget("")
	if apperr.Is(err, apperr.NotFound) {
		return apperr.New(apperr.NotFound, "no identity at a provider is connected to this account")
	}
	return err
}

// OIDCStore keeps who somebody is at the provider.
type OIDCStore interface {
	UserBySubject(ctx context.Context, issuer, subject string) (User, error)
	InsertSubject(ctx context.Context, issuer, subject, userID string, now time.Time) error
	// DeleteSubjects disconnects an account from all its identities, when it has a password; not_found when it has none of them.
	DeleteSubjects(ctx context.Context, userID string) error
	// InsertSubjectUser stores account and subject in one transaction; already_exists when the name is taken.
	InsertSubjectUser(ctx context.Context, u User, issuer, subject string) error
}
