package httpapi

import (
	"context"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/identityapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Identity serves the operations of the tag identity, and AgentIdentity those of agents.
type Identity struct {
	svc       *identity.Service
	now       func() time.Time
	publicURL string
	usage     analytics.Source
}

// NewIdentity serves a service. publicURL is the server's address as people see it; empty: the one that a caller used.
// usage sums up the jobs of accounts, for those who coordinate them.
func NewIdentity(svc *identity.Service, now func() time.Time, publicURL string, usage analytics.Source) Identity {
	return Identity{svc: svc, now: now, publicURL: publicURL, usage: usage}
}

// GetJwks lists the public keys.
func (h Identity) GetJwks(context.Context, identityapi.GetJwksRequestObject) (identityapi.GetJwksResponseObject, error) {
	return identityapi.GetJwks200JSONResponse(wireKeys(h.svc.JWKS())), nil
}

// Register makes an account.
func (h Identity) Register(ctx context.Context, r identityapi.RegisterRequestObject) (identityapi.RegisterResponseObject, error) {
	u, err := h.svc.Register(ctx, credentials(*r.Body))
	if err != nil {
		return nil, err
	}
	return identityapi.Register201JSONResponse(wireUser(u)), nil
}

// Login begins a session.
func (h Identity) Login(ctx context.Context, r identityapi.LoginRequestObject) (identityapi.LoginResponseObject, error) {
	pair, err := h.svc.Login(ctx, credentials(*r.Body))
	if err != nil {
		return nil, err
	}
	body, err := wirePair(pair)
	return identityapi.Login200JSONResponse{TokenPairJSONResponse: identityapi.TokenPairJSONResponse(body)}, err
}

// Refresh gives the next pair.
func (h Identity) Refresh(ctx context.Context, r identityapi.RefreshRequestObject) (identityapi.RefreshResponseObject, error) {
	pair, err := h.svc.Refresh(ctx, r.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	body, err := wirePair(pair)
	return identityapi.Refresh200JSONResponse{TokenPairJSONResponse: identityapi.TokenPairJSONResponse(body)}, err
}

// Logout ends this session, all, or everything by which the account acts.
func (h Identity) Logout(ctx context.Context, r identityapi.LogoutRequestObject) (identityapi.LogoutResponseObject, error) {
	var asked api.LogoutRequest
	if r.Body != nil {
		asked = *r.Body
	}
	if or(asked.Everything, false) {
		return identityapi.Logout204Response{}, h.svc.EndEverything(ctx)
	}
	return identityapi.Logout204Response{}, h.svc.Logout(ctx, or(asked.Everywhere, false))
}

// ListSessions lists the caller's sessions.
func (h Identity) ListSessions(ctx context.Context, _ identityapi.ListSessionsRequestObject) (identityapi.ListSessionsResponseObject, error) {
	list, err := h.svc.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	p, _ := principal.From(ctx)
	sessions, err := wireAll(list, func(s identity.Session) (api.Session, error) { return wireSession(s, p.SessionID) })
	return identityapi.ListSessions200JSONResponse{Sessions: sessions}, err
}

// RevokeSession ends one of the caller's sessions.
func (h Identity) RevokeSession(ctx context.Context, r identityapi.RevokeSessionRequestObject) (identityapi.RevokeSessionResponseObject, error) {
	return identityapi.RevokeSession204Response{}, h.svc.RevokeSession(ctx, r.SessionId.String())
}

// DisconnectOidc takes the identity at the provider from the account.
func (h Identity) DisconnectOidc(ctx context.Context, _ identityapi.DisconnectOidcRequestObject) (identityapi.DisconnectOidcResponseObject, error) {
	return identityapi.DisconnectOidc204Response{}, h.svc.DisconnectOIDC(ctx)
}

// ChangePassword changes it.
func (h Identity) ChangePassword(ctx context.Context, r identityapi.ChangePasswordRequestObject) (identityapi.ChangePasswordResponseObject, error) {
	return identityapi.ChangePassword204Response{}, h.svc.ChangePassword(ctx, r.Body.OldPassword, r.Body.NewPassword)
}

// GetMe shows the caller's account.
func (h Identity) GetMe(ctx context.Context, _ identityapi.GetMeRequestObject) (identityapi.GetMeResponseObject, error) {
	u, list, q, err := h.svc.Me(ctx)
	if err != nil {
		return nil, err
	}
	links, err := wireAll(list, wireLink)
	return identityapi.GetMe200JSONResponse(api.Me{User: wireUser(u), Links: links, Quota: wireQuota(q)}), err
}

// ListLinks lists the caller's unix identities.
func (h Identity) ListLinks(ctx context.Context, _ identityapi.ListLinksRequestObject) (identityapi.ListLinksResponseObject, error) {
	list, err := h.svc.Links(ctx)
	if err != nil {
		return nil, err
	}
	links, err := wireAll(list, wireLink)
	return identityapi.ListLinks200JSONResponse{Links: links}, err
}

// CreateLinkChallenge begins to link.
func (h Identity) CreateLinkChallenge(ctx context.Context, r identityapi.CreateLinkChallengeRequestObject) (identityapi.CreateLinkChallengeResponseObject, error) {
	challenge, exp, err := h.svc.CreateChallenge(ctx, r.Body.Cluster)
	if err != nil {
		return nil, err
	}
	return identityapi.CreateLinkChallenge201JSONResponse(api.LinkChallenge{Challenge: challenge, ExpiresAt: exp}), nil
}

// DeleteLink removes one of the caller's links.
func (h Identity) DeleteLink(ctx context.Context, r identityapi.DeleteLinkRequestObject) (identityapi.DeleteLinkResponseObject, error) {
	return identityapi.DeleteLink204Response{}, h.svc.DeleteLink(ctx, r.LinkId.String())
}

// CreateEnrolment makes a one-time token for an agent.
func (h Identity) CreateEnrolment(ctx context.Context, r identityapi.CreateEnrolmentRequestObject) (identityapi.CreateEnrolmentResponseObject, error) {
	token, exp, err := h.svc.CreateEnrolment(ctx, r.Body.Cluster, principal.AgentKind(r.Body.Kind))
	if err != nil {
		return nil, err
	}
	return identityapi.CreateEnrolment201JSONResponse{Token: token, ExpiresAt: exp}, nil
}

// EnrolAgent registers an agent's key.
func (h Identity) EnrolAgent(ctx context.Context, r identityapi.EnrolAgentRequestObject) (identityapi.EnrolAgentResponseObject, error) {
	req := identity.EnrolRequest{
		Token: r.Body.Token, Name: r.Body.Name, PublicKey: r.Body.PublicKey, Version: r.Body.Version, UID: r.Body.Uid,
	}
	if r.Body.UnixName != nil {
		req.UnixName = *r.Body.UnixName
	}
	a, err := h.svc.Enrol(ctx, req)
	if err != nil {
		return nil, err
	}
	body, err := wireAgent(a)
	return identityapi.EnrolAgent201JSONResponse(body), err
}

// AgentToken gives an agent its access token, and the time, so that it can measure its clock.
func (h Identity) AgentToken(ctx context.Context, r identityapi.AgentTokenRequestObject) (identityapi.AgentTokenResponseObject, error) {
	token, life, err := h.svc.AgentToken(ctx, r.Body.ClientAssertion)
	if err != nil {
		return nil, err
	}
	return identityapi.AgentToken200JSONResponse(api.AccessToken{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: int(life.Seconds()), ServerTime: h.now().UTC(),
	}), nil
}
