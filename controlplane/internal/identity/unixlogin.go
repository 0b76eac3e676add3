package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// OriginUnix marks an account that the first use on a login node made.
const OriginUnix = "unix"

const (
	// minUID: identities below are the system's (login.defs(5) UID_MIN).
	minUID = 1000
	// unixSessionLife is how long exchanges of one uid share a session.
	unixSessionLife = 24 * time.Hour
)

// UnixIdentity is what a system agent vouches for: this uid is at the other end of the socket.
type UnixIdentity struct {
	UID, GID int64
	UnixName string
}

// ExchangedToken is an access token without a refresh token: the uid is the login, and proves itself again.
type ExchangedToken struct {
	AccessToken string
	ExpiresIn   time.Duration
	Username    string
	UserID      string
	SessionID   string
}

// ExchangeUnix gives a proven uid an access token (RFC 8693), where the site has turned that on for the cluster. The first
// time it makes an account. Accounts above the role user never get one, and an account that somebody linked gets one that
// reads the cluster's jobs and nothing else.
func (s *Service) ExchangeUnix(ctx context.Context, id UnixIdentity) (ExchangedToken, error) {
	p, err := s.asserter(ctx)
	if err != nil {
		return ExchangedToken{}, err
	}
	t, err := s.exchange(ctx, p, id)
	if err != nil {
		s.recordFailure(ctx, audit.Event{Action: "session.exchange", Subject: p.ClusterID, Detail: uidDetail(id.UID)}, err)
		return ExchangedToken{}, err
	}
	return t, s.record(ctx, "session.exchange", t.SessionID, map[string]string{"uid": fmt.Sprint(id.UID), "user": t.UserID, "cluster": p.ClusterID})
}

// asserter is the calling agent, if it may assert uids.
func (s *Service) asserter(ctx context.Context) (principal.Principal, error) {
	p, err := s.systemAgent(ctx)
	if err != nil {
		return p, err
	}
	if !p.Has(principal.ScopeIdentityAssert) {
		return p, apperr.New(apperr.Forbidden, "this agent may not assert identities").WithHint("`ergon-server admin agent scopes` gives it identity:assert")
	}
	return p, nil
}

func (s *Service) exchange(ctx context.Context, p principal.Principal, id UnixIdentity) (ExchangedToken, error) {
	c, err := s.st.Unix.ClusterByID(ctx, p.ClusterID)
	if err != nil {
		return ExchangedToken{}, err
	}
	if !c.UnixLogin {
		return ExchangedToken{}, apperr.New(apperr.Forbidden, "this site does not log in by unix identity on "+c.Name).WithHint("run `ergon login`")
	}
	if err := id.check(); err != nil {
		return ExchangedToken{}, err
	}
	u, err := s.unixUser(ctx, p, c, id)
	if err != nil {
		return ExchangedToken{}, err
	}
	now := s.now()
	sid, err := s.st.Unix.UnixSession(ctx, Session{
		ID: uuid.NewString(), UserID: u.ID, UserAgent: "login node, as " + id.UnixName, Method: principal.MethodUnix, ClusterID: c.ID,
		AuthAt: now, LastUsedAt: now, CreatedAt: now,
	}, now.Add(-unixSessionLife))
	if err != nil {
		return ExchangedToken{}, fmt.Errorf("storing the session: %w", err)
	}
	s.sessions.forget(sid) // it was proven again just now
	access, err := s.tokens.issue(audienceUser, u.ID, grant{SID: sid, Scope: "user"})
	return ExchangedToken{AccessToken: access, ExpiresIn: s.cfg.AccessTTL, Username: u.Username, UserID: u.ID, SessionID: sid}, err
}

func (id UnixIdentity) check() error {
	if id.UID < minUID {
		return apperr.Newf(apperr.Forbidden, "uid %d is not a person's", id.UID)
	}
	return checkUnixName(id.UnixName)
}

// unixUser is the account of the uid, made now if there is none.
func (s *Service) unixUser(ctx context.Context, p principal.Principal, c Cluster, id UnixIdentity) (User, error) {
	l, err := s.st.Unix.LinkOfUID(ctx, c.ID, id.UID)
	if apperr.Is(err, apperr.NotFound) { // it may have been unlinked: then the account is there already
		l, err = s.st.Unix.TakeUpLink(ctx, c.ID, id.UID, id.UnixName)
	}
	if apperr.Is(err, apperr.NotFound) {
		return s.makeUnixUser(ctx, p, c, id)
	}
	if err != nil {
		return User{}, err
	}
	if !l.Suspended {
		n, err := s.Seen(ctx, c.ID, []Sighting{{UID: id.UID, GID: &id.GID, UnixName: id.UnixName, At: s.now()}})
		if err != nil {
			return User{}, err
		}
		l.Suspended = n > 0
	}
	if l.Suspended {
		return User{}, apperr.New(apperr.Forbidden, "the link of this uid is suspended: it had another name or group before, or was not confirmed for too long").
			WithHint("ask your administrators: `ergon-server admin link resume` makes it count again; or log in with `ergon login` and run `ergon link`")
	}
	u, err := s.st.Users.UserByID(ctx, l.UserID)
	if err != nil {
		return User{}, err
	}
	if u.Role != principal.RoleUser || u.DisabledAt != nil {
		return User{}, apperr.New(apperr.Forbidden, "a unix identity does not log in to this account").WithHint("run `ergon login`")
	}
	return u, nil
}

func (s *Service) makeUnixUser(ctx context.Context, p principal.Principal, c Cluster, id UnixIdentity) (User, error) {
	now := s.now()
	u := User{ID: uuid.NewString(), Username: unixUsername(id.UnixName, c.Name), Role: principal.RoleUser, Origin: OriginUnix, CreatedAt: now}
	l := Link{
		ID: uuid.NewString(), ClusterID: c.ID, UID: id.UID, GID: id.GID, UnixName: id.UnixName, UserID: u.ID, AgentID: p.ID, CreatedAt: now,
	}
	made, err := s.st.Unix.InsertUnixUser(ctx, u, l)
	if err != nil || made.ID != u.ID { // another request was faster
		return made, err
	}
	return made, s.record(ctx, "user.create", u.ID, map[string]string{"origin": OriginUnix, "uid": fmt.Sprint(id.UID), "cluster": c.ID})
}

// unixUsername has an @, which no name that people choose has.
func unixUsername(unixName, cluster string) string {
	return strings.ToLower(strings.ReplaceAll(unixName, "\\", "+")) + "@" + cluster
}

// SetUnixLogin turns the login by unix identity on or off for a cluster; turned off, tokens that stand live ten minutes at most.
func (s *Service) SetUnixLogin(ctx context.Context, cluster string, on bool) error {
	c, err := s.cluster(ctx, cluster)
	if err != nil {
		return err
	}
	e := audit.Event{Action: "cluster.unix_login", Subject: c.ID, Detail: map[string]string{"on": fmt.Sprint(on)}}
	return s.act(ctx, e, func(ctx context.Context) error { return s.st.Unix.SetUnixLogin(ctx, c.ID, on, s.now()) })
}

// UnixStore keeps what the login by unix identity needs.
type UnixStore interface {
	ClusterByID(ctx context.Context, id string) (Cluster, error)
	// SetUnixLogin turns it on or off; off ends the sessions that it began.
	SetUnixLogin(ctx context.Context, clusterID string, on bool, now time.Time) error
	// LinkOfUID finds the link of a uid, suspended or not.
	LinkOfUID(ctx context.Context, clusterID string, uid int64) (Link, error)
	// TakeUpLink puts back the link that an account of the first use had under this uid and name, as it was; not_found when
	// there is none.
	TakeUpLink(ctx context.Context, clusterID string, uid int64, unixName string) (Link, error)
	// InsertUnixUser stores account and link in one transaction, or gives the account that the uid has by now.
	InsertUnixUser(ctx context.Context, u User, l Link) (User, error)
	// UnixSession gives the id of the live session of the same user and cluster that began after since, or of the given one,
	// stored now.
	UnixSession(ctx context.Context, s Session, since time.Time) (string, error)
}
