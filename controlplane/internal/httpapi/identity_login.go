package httpapi

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/identityapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

// StartDevice begins a login that is confirmed on the page.
func (h Identity) StartDevice(ctx context.Context, r identityapi.StartDeviceRequestObject) (identityapi.StartDeviceResponseObject, error) {
	codes, err := h.svc.StartDevice(ctx, identity.DeviceClient{Host: or(r.Body.Host, ""), Cluster: or(r.Body.Cluster, "")})
	if err != nil {
		return nil, err
	}
	return identityapi.StartDevice200JSONResponse(api.DeviceCodes{
		DeviceCode: codes.DeviceCode, UserCode: codes.UserCode, VerificationUri: h.pageURL(ctx),
		ExpiresIn: int(codes.ExpiresIn.Seconds()), Interval: int(codes.Interval.Seconds()),
	}), nil
}

var plainHost = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]{1,255}$`)

// pageURL is the configured address of the page, or the one that the caller used: the answer goes to nobody else.
func (h Identity) pageURL(ctx context.Context) string {
	base := h.publicURL
	if c, ok := ctx.(*gin.Context); base == "" && ok && plainHost.MatchString(c.Request.Host) {
		base = "http://" + c.Request.Host
		if c.Request.TLS != nil {
			base = "https://" + c.Request.Host
		}
	}
	return base + PagePath
}

// PollDevice answers whether the login was confirmed.
func (h Identity) PollDevice(ctx context.Context, r identityapi.PollDeviceRequestObject) (identityapi.PollDeviceResponseObject, error) {
	pair, err := h.svc.PollDevice(ctx, r.Body.DeviceCode)
	if g, ok := errors.AsType[*identity.GrantError](err); ok {
		return identityapi.PollDevice400JSONResponse(api.GrantError{Error: api.GrantErrorError(g.Code), ErrorDescription: g.Description}), nil
	}
	if err != nil {
		return nil, err
	}
	body, err := wirePair(pair)
	return identityapi.PollDevice200JSONResponse{TokenPairJSONResponse: identityapi.TokenPairJSONResponse(body)}, err
}

// ListTokens lists the caller's personal access tokens.
func (h Identity) ListTokens(ctx context.Context, _ identityapi.ListTokensRequestObject) (identityapi.ListTokensResponseObject, error) {
	list, err := h.svc.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := wireAll(list, wirePersonal)
	return identityapi.ListTokens200JSONResponse{Tokens: tokens}, err
}

// CreateToken makes a personal access token.
func (h Identity) CreateToken(ctx context.Context, r identityapi.CreateTokenRequestObject) (identityapi.CreateTokenResponseObject, error) {
	req := identity.PersonalRequest{Name: r.Body.Name, Life: seconds(r.Body.ExpiresInS)}
	for _, scope := range r.Body.Scopes {
		req.Scopes = append(req.Scopes, principal.Scope(scope))
	}
	t, text, err := h.svc.CreateToken(ctx, req)
	if err != nil {
		return nil, err
	}
	info, err := wirePersonal(t)
	return identityapi.CreateToken201JSONResponse{Token: text, Info: info}, err
}

// seconds does not overflow: more than a hundred years are a hundred years.
func seconds(n int64) time.Duration {
	const century = 100 * 366 * 24 * 3600
	return time.Duration(min(n, century)) * time.Second
}

// RevokeToken ends a personal access token.
func (h Identity) RevokeToken(ctx context.Context, r identityapi.RevokeTokenRequestObject) (identityapi.RevokeTokenResponseObject, error) {
	return identityapi.RevokeToken204Response{}, h.svc.RevokeToken(ctx, r.TokenId.String())
}

func wirePersonal(t identity.PersonalToken) (api.PersonalToken, error) {
	id, err := wireID(t.ID)
	scopes := make([]api.TokenScope, len(t.Scopes))
	for i, scope := range t.Scopes {
		scopes[i] = api.TokenScope(scope)
	}
	return api.PersonalToken{Id: id, Name: t.Name, Scopes: scopes, CreatedAt: t.CreatedAt, ExpiresAt: t.Exp, LastUsedAt: t.LastUsedAt}, err
}

// ExchangeUnix gives a uid that the agent vouches for an access token.
func (h Identity) ExchangeUnix(ctx context.Context, r agentapi.ExchangeUnixRequestObject) (agentapi.ExchangeUnixResponseObject, error) {
	t, err := h.svc.ExchangeUnix(ctx, identity.UnixIdentity{UID: r.Body.Uid, GID: r.Body.Gid, UnixName: r.Body.UnixName})
	if err != nil {
		return nil, err
	}
	user, err := wireID(t.UserID)
	return agentapi.ExchangeUnix200JSONResponse(api.ExchangedToken{
		AccessToken: t.AccessToken, TokenType: "Bearer", ExpiresIn: int(t.ExpiresIn.Seconds()), UserId: user, Username: t.Username,
	}), err
}
