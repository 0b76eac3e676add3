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

const (
	challengeLife   = 2 * time.Minute
	challengePrefix = "ergl_"
	challengeBytes  = 16
)

// CreateChallenge begins to link, on a fresh login: the caller hands the challenge to the agent on the login node.
func (s *Service) CreateChallenge(ctx context.Context, cluster string) (challenge string, exp time.Time, err error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	if p.Method == principal.MethodUnix {
		return "", time.Time{}, apperr.New(apperr.Forbidden, "this login is the unix account itself, there is nothing to link").
			WithHint("log in to the account that you want to join it to: `ergon login`")
	}
	if p.Role != principal.RoleUser {
		return "", time.Time{}, apperr.New(apperr.Forbidden, "agents vouch for accounts of the role user alone, so that a login node is no way into another").
			WithHint("link an account of the role user: `ergon login --user NAME`")
	}
	if err := s.recent(ctx, p); err != nil {
		return "", time.Time{}, err
	}
	c, err := s.cluster(ctx, cluster)
	if err != nil {
		return "", time.Time{}, err
	}
	challenge, err = s.randomToken(challengePrefix, challengeBytes)
	if err != nil {
		return "", time.Time{}, err
	}
	now := s.now()
	exp = now.Add(challengeLife)
	err = s.act(ctx, audit.Event{Action: "link.challenge", Subject: c.ID}, func(ctx context.Context) error {
		if err := s.hold(ctx); err != nil {
			return err
		}
		return s.st.Links.InsertChallenge(ctx, digest(challenge), p.ID, c.ID, exp, now)
	})
	return challenge, exp, err
}

// Confirmation is what a system agent says: the process that handed in the challenge has this uid (SO_PEERCRED).
type Confirmation struct {
	Challenge string
	UID, GID  int64
	UnixName  string
	Nonce     string
}

// ConfirmLink stores the link. Only a system agent that may assert identities may: a user agent vouches for nobody.
func (s *Service) ConfirmLink(ctx context.Context, c Confirmation) (Link, error) {
	p, err := s.asserter(ctx)
	if err != nil {
		return Link{}, err
	}
	if err := checkUnixName(c.UnixName); err != nil {
		return Link{}, err
	}
	link, err := s.st.Links.ConfirmChallenge(ctx, digest(c.Challenge), Link{
		ID: uuid.NewString(), ClusterID: p.ClusterID, UID: c.UID, GID: c.GID, UnixName: c.UnixName, AgentID: p.ID, CreatedAt: s.now(),
	}, s.now())
	if err != nil {
		s.recordFailure(ctx, audit.Event{Action: "link.create", Detail: uidDetail(c.UID)}, err)
		return Link{}, err
	}
	return link, s.recordPerson(ctx, audit.Event{
		Action: "link.create", Subject: link.ID, Person: link.UserID, Private: map[string]string{"unix_name": c.UnixName},
		Detail: map[string]string{"uid": fmt.Sprint(c.UID), "user": link.UserID, "cluster": p.ClusterID, "nonce": c.Nonce},
	})
}

func uidDetail(uid int64) map[string]string { return map[string]string{"uid": fmt.Sprint(uid)} }

func (s *Service) systemAgent(ctx context.Context) (principal.Principal, error) {
	p, err := principal.AgentFrom(ctx)
	if err != nil {
		return p, err
	}
	if p.AgentKind != principal.AgentSystem || !p.Has(principal.ScopeJobsLinked) {
		return p, apperr.New(apperr.Forbidden, "only a system agent vouches for unix users").
			WithHint("a user agent acts for its owner without a link")
	}
	return p, nil
}

// UnlinkUID removes the link of a uid on the agent's own cluster: whoever holds the uid may leave, without an account.
func (s *Service) UnlinkUID(ctx context.Context, uid int64) error {
	p, err := s.systemAgent(ctx)
	if err != nil {
		return err
	}
	e := audit.Event{Action: "link.delete", Subject: p.ClusterID, Detail: uidDetail(uid)}
	return noLink(s.act(ctx, e, func(ctx context.Context) error {
		return s.st.Links.DeleteLink(ctx, LinkFilter{ClusterID: p.ClusterID, UID: uid})
	}))
}

func noLink(err error) error {
	if apperr.Is(err, apperr.NotFound) {
		return apperr.New(apperr.NotFound, "there is no such link")
	}
	return err
}

// Links lists the caller's unix identities: proven ones, and those that the caller's own agents claim.
func (s *Service) Links(ctx context.Context) ([]Link, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return nil, err
	}
	links, err := s.st.Links.LinksOfUser(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	own, err := s.ownAgents(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return append(links, selfAsserted(own)...), nil
}

func (s *Service) ownAgents(ctx context.Context, userID string) ([]Agent, error) {
	all, err := s.st.Agents.ListAgents(ctx)
	if err != nil {
		return nil, err
	}
	var own []Agent
	for _, a := range all {
		if a.OwnerUserID == userID {
			own = append(own, a)
		}
	}
	return own, nil
}

// DeleteLink removes one of the caller's links, on a fresh login. A self-asserted one goes with its agent, which is revoked.
func (s *Service) DeleteLink(ctx context.Context, id string) error {
	p, err := principal.UserFrom(ctx)
	if err == nil {
		err = s.recent(ctx, p)
	}
	if err != nil {
		return err
	}
	err = s.act(ctx, audit.Event{Action: "link.delete", Subject: id}, func(ctx context.Context) error {
		err := s.st.Links.DeleteLink(ctx, LinkFilter{ID: id, UserID: p.ID})
		if apperr.Is(err, apperr.NotFound) {
			return s.st.Agents.RevokeAgent(ctx, id, p.ID, s.now())
		}
		return err
	})
	s.agents.forget(id)
	return noLink(err)
}

// Why a link is suspended.
const (
	SuspendedIdentity = "identity" // the uid has another name or group than when it was linked
	SuspendedExpired  = "expired"  // it was not confirmed for too long
	SuspendedOperator = "operator" // by hand
)

// Sighting is a unix identity as a system agent's cluster shows it.
type Sighting struct {
	UID      int64
	GID      *int64 // nil where the source does not tell it
	UnixName string
	At       time.Time // when it was so; what was before the link was confirmed says nothing
}

// fits reports whether the link is of that identity. A group that the link does not know is no mismatch.
func (l Link) fits(g Sighting) bool {
	return l.UnixName == g.UnixName && (g.GID == nil || l.GID == *g.GID)
}

// Seen compares what a cluster shows with its links. Where they differ the uid went to somebody else: the link is suspended
// until it is confirmed again. suspended is how many were.
func (s *Service) Seen(ctx context.Context, clusterID string, seen []Sighting) (suspended int, err error) {
	links, err := s.st.Links.LinksOfCluster(ctx, clusterID)
	if err != nil {
		return 0, err
	}
	byUID := make(map[int64]Sighting, len(seen))
	for _, g := range seen {
		byUID[g.UID] = g
	}
	for _, l := range links {
		g, ok := byUID[l.UID]
		if !ok || g.UnixName == "" || l.Suspended || l.fits(g) || g.At.Before(l.ConfirmedAt) {
			continue
		}
		private := map[string]string{"was": l.UnixName, "is": g.UnixName}
		if err := s.suspend(ctx, l, SuspendedIdentity, private); err != nil {
			return suspended, err
		}
		suspended++
	}
	return suspended, nil
}

func (s *Service) suspend(ctx context.Context, l Link, why string, private map[string]string) error {
	return s.act(ctx, suspension(l, why, private), func(ctx context.Context) error { return s.st.Links.SuspendLink(ctx, l.ID, why, s.now()) })
}

func suspension(l Link, why string, private map[string]string) audit.Event {
	return audit.Event{
		Action: "link.suspend", Subject: l.ID, Person: l.UserID, Private: private,
		Detail: map[string]string{"why": why, "uid": fmt.Sprint(l.UID), "cluster": l.ClusterID},
	}
}

// expireLinks suspends what was not confirmed for too long.
func (s *Service) expireLinks(ctx context.Context) error {
	if s.cfg.LinkTTL <= 0 {
		return nil
	}
	links, err := s.st.Links.SuspendLinksBefore(ctx, s.now().Add(-s.cfg.LinkTTL), s.now())
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := s.recordPerson(ctx, suspension(l, SuspendedExpired, nil)); err != nil {
			return err
		}
	}
	return nil
}
