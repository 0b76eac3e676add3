package cloud

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// RotateKey makes next's key the agent's key at the control plane; opt.Identity has the one until now. When that one is
// refused, the answer to an earlier call may have been lost: next's key is tried, and nil means that it counts.
func RotateKey(ctx context.Context, opt Options, next enrol.Identity) error {
	c, err := New(opt)
	if err != nil {
		return err
	}
	err = c.putKey(ctx, next.Key())
	if !errors.Is(err, ErrRevoked) {
		return err
	}
	opt.Identity = next
	after, failed := New(opt)
	if failed != nil {
		return failed
	}
	if _, failed = after.Self(ctx); failed != nil {
		return errors.Join(err, failed)
	}
	return nil
}

// putKey proves by signatures that we hold the new key and the one until now, by the text of PUT /agent/key in the contract.
func (c *Client) putKey(ctx context.Context, key ed25519.PrivateKey) error {
	public := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	text := []byte("ergon agent key " + c.opt.Identity.AgentID.String() + " " + public)
	signature := func(by ed25519.PrivateKey) string {
		return base64.RawURLEncoding.EncodeToString(ed25519.Sign(by, text))
	}
	resp, err := c.api.RotateAgentKeyWithResponse(ctx, api.RotateAgentKeyJSONRequestBody{
		PublicKey: public, Proof: signature(key), Consent: signature(c.opt.Identity.Key()),
	})
	if err != nil {
		return outbound.Explain(c.opt.Identity.Server, err)
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
}
