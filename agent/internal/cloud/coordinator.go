package cloud

import (
	"context"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// PutCoordinators reports who coordinates which account. A site that does not want to know says so, which is no error; a
// server of the version before, or one that gave this agent no such scope, is asked no further either.
func (c *Client) PutCoordinators(ctx context.Context, list []api.Coordinator) error {
	resp, err := c.api.PutCoordinatorsWithResponse(ctx, api.PutCoordinatorsJSONRequestBody{Coordinators: list})
	if err != nil {
		return outbound.Explain(c.opt.Identity.Server, err)
	}
	if s := resp.StatusCode(); s == http.StatusForbidden || s == http.StatusNotFound {
		return nil
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK)
}
