package cloud

import (
	"context"
	"errors"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// Exchange vouches for a peer and gets an access token for its account (RFC 8693), where the site logs in by unix identity.
func (c *Client) Exchange(ctx context.Context, peer Peer) (api.ExchangedToken, error) {
	resp, err := c.api.ExchangeUnixWithResponse(ctx, api.ExchangeUnixJSONRequestBody{Uid: int64(peer.UID), Gid: int64(peer.GID), UnixName: peer.Name})
	if err != nil {
		return api.ExchangedToken{}, outbound.Explain(c.opt.Identity.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return api.ExchangedToken{}, err
	}
	if resp.JSON200 == nil {
		return api.ExchangedToken{}, errors.New("the server answered without a token")
	}
	return *resp.JSON200, nil
}
