package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Credentials are what a person types.
type Credentials struct {
	Username   string
	Password   string
	Invitation string // for registration by invitation
}

// Register makes an account of the role user, when the site lets people do that.
func (s *Service) Register(ctx context.Context, c Credentials) (User, error) {
	if err := s.admit(ctx); err != nil {
		return User{}, err
	}
	if s.cfg.Registration == "closed" || (s.cfg.Registration == "invite" && c.Invitation == "") {
		return User{}, apperr.New(apperr.Forbidden, "this server does not let people register themselves").
			WithHint("ask its administrator for an account or an invitation")
	}
	u, err := s.newUser(ctx, c.Username, c.Password, principal.RoleUser)
	if err != nil {
		return User{}, err
	}
	err = s.act(ctx, audit.Event{Actor: u.ID, Action: "user.register", Subject: u.ID}, func(ctx context.Context) error {
		if s.cfg.Registration != "invite" {
			return s.st.Users.InsertUser(ctx, u)
		}
		return s.st.Enrolments.RedeemInvitation(ctx, digest(c.Invitation), s.now(), u)
	})
	if apperr.Is(err, apperr.NotFound) {
		err = apperr.New(apperr.Forbidden, "the invitation is not valid any more").WithHint("ask for a new one")
	}
	if err != nil {
		return User{}, taken(err)
	}
	return u, nil
}

func taken(err error) error {
	if apperr.Is(err, apperr.AlreadyExists) {
		return apperr.New(apperr.AlreadyExists, "this name is taken").WithHint("choose another")
	}
	return err
}

func (s *Service) newUser(ctx context.Context, name, password string, role principal.Role) (User, error) {
	if err := checkUsername(name); err != nil {
		return User{}, err
	}
	if err := s.checkPassword("password", password); err != nil {
		return User{}, err
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	return User{ID: uuid.NewString(), Username: name, PWHash: hash, Role: role, CreatedAt: s.now()}, nil
}

var errCredentials = apperr.New(apperr.InvalidCredentials, "the name or the password is wrong")

// Login proves a password and begins a session. An unknown name, a disabled account and a wrong password look and cost the same.
func (s *Service) Login(ctx context.Context, c Credentials) (pair TokenPair, err error) {
	err = s.login(ctx, c, func(u User, on Ground) error {
		pair, err = s.begin(ctx, u, proof{Method: principal.MethodPassword, At: s.now(), On: on})
		return err
	})
	return pair, err
}

// login proves a password within the limits of address and account, and begins what it is good for.
func (s *Service) login(ctx context.Context, c Credentials, begin func(User, Ground) error) error {
	if err := s.admit(ctx); err != nil {
		return err
	}
	if err := s.reserve(ctx, c.Username); err != nil {
		return err
	}
	u, err := s.proveAndBegin(ctx, c, begin)
	if overtaken(err) { // the password was changed meanwhile, or another login hashed it anew
		u, err = s.proveAndBegin(ctx, c, begin)
	}
	if overtaken(err) {
		err = errCredentials
	}
	if apperr.Is(err, apperr.InvalidCredentials) {
		s.recordFailure(ctx, audit.Event{Actor: u.ID, Action: "session.login", Subject: u.ID}, err)
	}
	if err != nil {
		return err
	}
	// The session has begun: what its owner gets does not hang on this.
	if err := s.st.Throttle.ForgetAttempts(ctx, s.names.of(c.Username)); err != nil {
		s.log.WarnContext(ctx, "failed attempts before a login could not be forgotten", "user", u.ID, "error", err)
	}
	return nil
}

func (s *Service) proveAndBegin(ctx context.Context, c Credentials, begin func(User, Ground) error) (User, error) {
	u, err := s.prove(ctx, c)
	if err != nil {
		return u, err
	}
	return u, begin(u, Ground{PWHash: u.PWHash})
}

// overtaken: what was proven did not stand any more when the session was to be stored.
func overtaken(err error) bool { return apperr.Is(err, apperr.NotFound) }

// prove finds the account and compares the password. The user comes back with InvalidCredentials too, for the audit.
func (s *Service) prove(ctx context.Context, c Credentials) (User, error) {
	u, err := s.st.Users.UserByName(ctx, c.Username)
	if err != nil && !apperr.Is(err, apperr.NotFound) {
		return User{}, err
	}
	ok, stale, err := s.hasher.Verify(ctx, u.PWHash, c.Password)
	if err != nil {
		return u, err
	}
	if !ok || u.DisabledAt != nil {
		return u, errCredentials
	}
	if stale {
		u.PWHash = s.rehash(ctx, u, c.Password)
	}
	return u, nil
}

// rehash stores the password under today's parameters, unless it was replaced since it was compared, and gives the hash that
// counts as far as it is known. The login goes on when that fails: the next one tries again.
func (s *Service) rehash(ctx context.Context, u User, password string) string {
	hash, err := s.hasher.Hash(ctx, password)
	if err == nil {
		err = s.st.Users.UpdateUser(ctx, u.ID, UserChange{PWHash: &hash, WasPWHash: u.PWHash})
	}
	if err == nil {
		return hash
	}
	if !apperr.Is(err, apperr.NotFound) {
		s.log.WarnContext(ctx, "a password could not be hashed again", "user", u.ID, "error", err)
	}
	return u.PWHash
}

// proof says how and when somebody proved who they are, and what has to stand still when the session is stored.
type proof struct {
	Method principal.Method
	At     time.Time
	On     Ground
}

// begin starts a session with its first pair of tokens.
func (s *Service) begin(ctx context.Context, u User, by proof) (TokenPair, error) {
	sid := uuid.New()
	first, err := s.refresh.token(sid, 0)
	if err != nil {
		return TokenPair{}, err
	}
	if err := s.startSession(ctx, Session{ID: sid.String(), UserID: u.ID, Method: by.Method, AuthAt: by.At}, opener{first, s.cfg.RefreshTTL}, by.On); err != nil {
		return TokenPair{}, err
	}
	return s.pair(u.ID, sid.String(), first)
}

// opener is the token that opens a session, and for how long.
type opener struct {
	token string
	life  time.Duration
}

// startSession stores a session that begins now and audits the login. overtaken says of its error that on stands no more.
func (s *Service) startSession(ctx context.Context, row Session, by opener, on Ground) error {
	now := s.now()
	row.UserAgent, row.LastUsedAt, row.CreatedAt = principal.OriginFrom(ctx).UserAgent, now, now
	e := audit.Event{Actor: row.UserID, Action: "session.login", Subject: row.ID, Detail: map[string]string{"method": string(row.Method)}}
	err := s.act(ctx, e, func(ctx context.Context) error {
		return s.st.Sessions.StartSession(ctx, row, RefreshToken{JTI: digest(by.token), Exp: now.Add(by.life)}, on)
	})
	if err != nil {
		return fmt.Errorf("storing the session: %w", err)
	}
	return nil
}

func (s *Service) pair(userID, sessionID, refresh string) (TokenPair, error) {
	access, err := s.tokens.issue(audienceUser, userID, grant{SID: sessionID, Scope: "user"})
	if err != nil {
		return TokenPair{}, err
	}
	return TokenPair{AccessToken: access, ExpiresIn: s.cfg.AccessTTL, RefreshToken: refresh, UserID: userID, SessionID: sessionID}, nil
}

// refreshGrace forgives a lost response.
const refreshGrace = 20 * time.Second

var errRefresh = apperr.New(apperr.Unauthorized, "the refresh token is not valid").WithHint("log in again with `ergon login`")

// Refresh uses a refresh token once and gives the next pair. Used a second time it ends the session, unless the answer was
// lost a moment ago and nobody used the successor: then the same successor comes again.
func (s *Service) Refresh(ctx context.Context, token string) (TokenPair, error) {
	sid, counter, ok := s.refresh.parse(token)
	if !ok { // only noise is limited by address: who shares a login node with a flooder still refreshes
		if err := s.cheap.allow(principal.OriginFrom(ctx).IP); err != nil {
			return TokenPair{}, err
		}
		return TokenPair{}, errRefresh
	}
	next, err := s.refresh.token(sid, counter+1)
	if err != nil {
		return TokenPair{}, err
	}
	now := s.now()
	done, err := s.st.Sessions.RotateRefresh(ctx, Rotation{
		OldJTI: digest(token), Now: now, Grace: refreshGrace,
		Next: RefreshToken{JTI: digest(next), Counter: counter + 1, Exp: now.Add(s.cfg.RefreshTTL)},
	})
	if err != nil {
		return TokenPair{}, fmt.Errorf("rotating the refresh token: %w", err)
	}
	if err := s.judge(ctx, done); err != nil {
		return TokenPair{}, err
	}
	return s.pair(done.UserID, done.SessionID, next)
}

func (s *Service) judge(ctx context.Context, r Rotated) error {
	switch r.Outcome {
	case Done, Repeated:
		return nil
	case Reused:
		s.sessions.forget(r.SessionID)
		err := apperr.New(apperr.RefreshReused, "this refresh token was used before, so the session has ended: somebody may have copied it").
			WithHint("log in again with `ergon login`; change the password when you did not cause this")
		s.recordFailure(ctx, audit.Event{Actor: r.UserID, Action: "session.refresh", Subject: r.SessionID}, err)
		return err
	case Expired:
		return apperr.New(apperr.TokenExpired, "the session was not used for too long").WithHint("log in again with `ergon login`")
	case Unknown, Revoked:
	}
	return errRefresh
}

// ChangePassword needs the old one. It ends every other session and what would enrol agents; personal access tokens and agents
// that run stay, for whoever changes a password now and then does not want their programs to stop. A reset ends those too.
func (s *Service) ChangePassword(ctx context.Context, oldPassword, newPassword string) error {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return err
	}
	if err := s.checkPassword("new_password", newPassword); err != nil {
		return err
	}
	u, err := s.st.Users.UserByID(ctx, p.ID)
	if err != nil {
		return err
	}
	if err := s.reserve(ctx, u.Username); err != nil {
		return err
	}
	u, err = s.prove(ctx, Credentials{Username: u.Username, Password: oldPassword})
	if err == nil {
		err = s.replaceProven(ctx, u, newPassword, p.SessionID)
	}
	if apperr.Is(err, apperr.InvalidCredentials) {
		err = apperr.New(apperr.Forbidden, "the old password is wrong")
		s.recordFailure(ctx, audit.Event{Action: "user.password", Subject: p.ID}, err)
	}
	if err != nil {
		return err
	}
	return s.st.Throttle.ForgetAttempts(ctx, s.names.of(u.Username))
}

// replaceProven puts a password in the place of the one that was proven. Where another one counts by now, who knew only the one
// before has proven nothing: an administrator's reset wins.
func (s *Service) replaceProven(ctx context.Context, u User, password, except string) error {
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	change := PasswordChange{UserID: u.ID, Was: u.PWHash, Hash: hash, Except: except, Now: s.now()}
	err = s.act(ctx, audit.Event{Action: "user.password", Subject: u.ID}, func(ctx context.Context) error {
		return s.st.Users.ReplacePassword(ctx, change)
	})
	s.sessions.forget("")
	if apperr.Is(err, apperr.NotFound) {
		return errCredentials
	}
	return err
}
