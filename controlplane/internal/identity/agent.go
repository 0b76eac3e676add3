package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

const (
	enrolLife     = 15 * time.Minute
	enrolPrefix   = "erge_"
	secretBytes   = 32
	assertionLife = 10 * time.Minute // longest exp − now of an assertion
	maxHostName   = 128
)

// scopesOf is what an agent of a kind gets when it enrols (design 03).
func scopesOf(kind principal.AgentKind) []principal.Scope {
	if kind == principal.AgentSystem {
		return []principal.Scope{principal.ScopeJobsLinked, principal.ScopeAccountingCluster, principal.ScopeInputsGet, principal.ScopeAssocReport, principal.ScopeIdentityAssert}
	}
	return []principal.Scope{principal.ScopeJobsLinked, principal.ScopeInputsGet}
}

// CreateEnrolment makes a one-time token, on a fresh login: an agent outlives every access token. A user agent acts for its
// maker alone; a system agent vouches for everyone on the cluster, so only an admin makes its token.
func (s *Service) CreateEnrolment(ctx context.Context, cluster string, kind principal.AgentKind) (token string, exp time.Time, err error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	if kind == principal.AgentSystem && p.Role != principal.RoleAdmin {
		return "", time.Time{}, apperr.New(apperr.Forbidden, "only an admin enrols a system agent")
	}
	if err := s.recent(ctx, p); err != nil {
		return "", time.Time{}, err
	}
	return s.enrolment(ctx, cluster, kind, p.ID)
}

func (s *Service) enrolment(ctx context.Context, cluster string, kind principal.AgentKind, by string) (string, time.Time, error) {
	if kind != principal.AgentSystem && kind != principal.AgentUser {
		return "", time.Time{}, invalid("kind", "user or system")
	}
	c, err := s.cluster(ctx, cluster)
	if err != nil {
		return "", time.Time{}, err
	}
	token, err := s.randomToken(enrolPrefix, secretBytes)
	if err != nil {
		return "", time.Time{}, err
	}
	now := s.now()
	e := Enrolment{TokenHash: digest(token), ClusterID: c.ID, Kind: kind, CreatedBy: by, Exp: now.Add(enrolLife), CreatedAt: now}
	row := audit.Event{Action: "agent.enrolment", Subject: c.ID, Detail: map[string]string{"kind": string(kind)}}
	err = s.act(ctx, row, func(ctx context.Context) error {
		if err := s.hold(ctx); err != nil {
			return err
		}
		return s.st.Enrolments.InsertEnrolment(ctx, e)
	})
	return token, e.Exp, err
}

func (s *Service) cluster(ctx context.Context, name string) (Cluster, error) {
	c, err := s.st.Clusters.ClusterByName(ctx, name)
	if apperr.Is(err, apperr.NotFound) {
		return c, apperr.New(apperr.NotFound, "this server knows no cluster of that name").
			WithHint("an administrator adds it with `ergon-server admin cluster create NAME`")
	}
	return c, err
}

// EnrolRequest is what an agent says of itself.
type EnrolRequest struct {
	Token     string
	Name      string // host name
	PublicKey string // Ed25519, base64url
	Version   string
	UID       *int64 // of a user agent
	UnixName  string
}

// Enrol registers an agent's public key with a one-time token.
func (s *Service) Enrol(ctx context.Context, r EnrolRequest) (Agent, error) {
	if err := s.cheap.allow(principal.OriginFrom(ctx).IP); err != nil {
		return Agent{}, err
	}
	if err := r.check(); err != nil {
		return Agent{}, err
	}
	a, err := s.st.Enrolments.RedeemEnrolment(ctx, digest(r.Token), s.now(), func(e Enrolment) (Agent, error) { return s.agentOf(r, e) })
	switch {
	case apperr.Is(err, apperr.NotFound):
		err = apperr.New(apperr.Forbidden, "the enrolment token is not valid: it works once and for 15 minutes").WithHint("ask for a new one")
		s.recordFailure(ctx, audit.Event{Action: "agent.enrol"}, err)
	case apperr.Is(err, apperr.AlreadyExists):
		err = apperr.New(apperr.AlreadyExists, "this key is enrolled already").WithHint("make a new key for each agent")
	}
	if err != nil {
		return Agent{}, err
	}
	return a, s.record(ctx, "agent.enrol", a.ID, map[string]string{"kind": string(a.Kind), "cluster": a.ClusterName})
}

func (r EnrolRequest) check() error {
	if _, err := parsePublicKey(r.PublicKey); err != nil {
		return invalid("public_key", err.Error())
	}
	if r.Name == "" || len(r.Name) > maxHostName || strings.ContainsFunc(r.Name, unprintable) {
		return invalid("name", "the host name, 1 to 128 printable characters")
	}
	if r.UnixName != "" {
		return checkUnixName(r.UnixName)
	}
	return nil
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }

func (s *Service) agentOf(r EnrolRequest, e Enrolment) (Agent, error) {
	a := Agent{
		ID: uuid.NewString(), ClusterID: e.ClusterID, Kind: e.Kind, Name: r.Name, PublicKey: r.PublicKey,
		Scopes: scopesOf(e.Kind), Version: r.Version, CreatedAt: s.now(),
	}
	if e.Kind == principal.AgentSystem {
		return a, nil // a system agent has no uid of its own
	}
	if e.CreatedBy == "" {
		return a, apperr.New(apperr.Forbidden, "a user agent needs an owner").WithHint("the owner makes the token: `ergon login`, then `ergon enrol`")
	}
	if r.UID == nil || r.UnixName == "" {
		return a, invalid("uid", "a user agent says its uid and unix_name")
	}
	a.OwnerUserID, a.UID, a.UnixName = e.CreatedBy, r.UID, r.UnixName
	return a, nil
}

var errAssertion = apperr.New(apperr.Unauthorized, "the client assertion is not valid").
	WithHint("check the agent's clock and that it is enrolled here")

// AgentToken exchanges a private_key_jwt assertion (RFC 7523) for an access token of the agent. An assertion works once.
// Only refused ones are limited by address: a user of the login node who sends noise does not stop its agent.
func (s *Service) AgentToken(ctx context.Context, assertion string) (token string, expiresIn time.Duration, err error) {
	a, c, err := s.verifyAssertion(ctx, assertion)
	if err != nil {
		return "", 0, s.charge(ctx, err)
	}
	err = s.st.Agents.UseAssertion(ctx, digest(a.ID+" "+c.ID), a.ID, c.ExpiresAt.Time.Add(leeway), s.now())
	if apperr.Is(err, apperr.AlreadyExists) {
		e := *errAssertion
		e.Err = errors.New("jti used before")
		s.recordFailure(ctx, audit.Event{Action: "agent.token", Subject: a.ID}, &e)
		return "", 0, &e
	}
	if err != nil {
		return "", 0, fmt.Errorf("remembering the assertion: %w", err)
	}
	if err := s.st.Agents.TouchAgent(ctx, a.ID, Touch{At: s.now(), Skew: s.skewOf(c.RegisteredClaims), Version: c.version()}); err != nil {
		return "", 0, err
	}
	token, err = s.tokens.issue(audienceAgent, a.ID, grant{Scope: scopesText(a.Scopes), Key: thumbprint(a.PublicKey)})
	return token, s.cfg.AccessTTL, err
}

// charge counts a refused assertion against its address, and says so when there were too many.
func (s *Service) charge(ctx context.Context, refused error) error {
	if !apperr.Is(refused, apperr.Unauthorized) {
		return refused
	}
	if err := s.cheap.allow(principal.OriginFrom(ctx).IP); err != nil {
		return err
	}
	return refused
}

// assertionClaims are those of RFC 7523, and which version of the agent runs, which a server may not know to ask for.
type assertionClaims struct {
	jwt.RegisteredClaims
	Version string `json:"agent_version,omitempty"`
}

// maxVersion is what the contract lets an agent say at enrolment, in bytes.
const maxVersion = 64

// version is empty when the agent does not say it in plain text.
func (c assertionClaims) version() string {
	if len(c.Version) > maxVersion || strings.ContainsFunc(c.Version, unprintable) {
		return ""
	}
	return c.Version
}

// verifyAssertion: iss and sub are the agent, signed by the key it enrolled. A missing agent and a bad signature look alike.
func (s *Service) verifyAssertion(ctx context.Context, assertion string) (Agent, assertionClaims, error) {
	bad := func(err error) (Agent, assertionClaims, error) {
		e := *errAssertion
		e.Err = err
		return Agent{}, assertionClaims{}, &e
	}
	if err := checkTokenText(assertion); err != nil {
		return bad(err)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithAudience(append([]string{s.cfg.Issuer}, s.cfg.Audiences...)...), jwt.WithLeeway(leeway), jwt.WithTimeFunc(s.now), jwt.WithStrictDecoding())
	var (
		c     assertionClaims
		agent Agent
	)
	_, err := parser.ParseWithClaims(assertion, &c, func(*jwt.Token) (any, error) {
		var err error
		agent, err = s.liveAgent(ctx, c.Subject)
		if err != nil {
			return nil, err
		}
		key, err := parsePublicKey(agent.PublicKey)
		return key, err
	})
	if apperr.Is(err, apperr.Busy) {
		return Agent{}, c, err
	}
	if err != nil {
		return bad(err)
	}
	if c.Issuer != c.Subject || c.ID == "" || len(c.ID) > 128 || c.ExpiresAt.Sub(s.now()) > assertionLife+leeway {
		return bad(errors.New("iss is not sub, no jti, or exp too far ahead"))
	}
	return agent, c, nil
}

func (s *Service) liveAgent(ctx context.Context, id string) (Agent, error) {
	if uuid.Validate(id) != nil {
		return Agent{}, errors.New("sub is not an agent id")
	}
	a, err := s.st.Agents.AgentByID(ctx, id)
	if err == nil && !a.live() {
		err = errors.New("the agent is revoked, or its owner's account is disabled")
	}
	return a, err
}

// AgentSelf is what the server knows of the calling agent, and the links it serves: of the cluster for a system agent, its
// own self-asserted identity for a user agent.
func (s *Service) AgentSelf(ctx context.Context) (Agent, []Link, error) {
	p, err := principal.AgentFrom(ctx)
	if err != nil {
		return Agent{}, nil, err
	}
	a, err := s.st.Agents.AgentByID(ctx, p.ID)
	if err != nil {
		return Agent{}, nil, err
	}
	if err := s.st.Agents.TouchAgent(ctx, a.ID, Touch{At: s.now()}); err != nil {
		return Agent{}, nil, err
	}
	if a.Kind == principal.AgentUser {
		return a, selfAsserted([]Agent{a}), nil
	}
	links, err := s.st.Links.LinksOfCluster(ctx, a.ClusterID)
	return a, links, err
}

// selfAsserted shows the identities that live user agents claim as links. They reserve no uid.
func selfAsserted(agents []Agent) []Link {
	var links []Link
	for _, a := range agents {
		if a.Kind != principal.AgentUser || a.RevokedAt != nil || a.UID == nil {
			continue
		}
		links = append(links, Link{
			ID: a.ID, ClusterID: a.ClusterID, ClusterName: a.ClusterName, UID: *a.UID, UnixName: a.UnixName,
			UserID: a.OwnerUserID, AgentID: a.ID, SelfAsserted: true, CreatedAt: a.CreatedAt,
		})
	}
	slices.SortFunc(links, func(x, y Link) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return links
}
