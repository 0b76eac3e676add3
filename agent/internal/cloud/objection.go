package cloud

import (
	"context"
	"errors"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// ErrNoObjections says that the server is of a version that takes objections from no agent.
var ErrNoObjections = errors.New("the server takes no objections from login nodes yet; ask an operator of the site")

// Objection tells how a uid that the kernel has proven stands.
func (c *Client) Objection(ctx context.Context, uid uint32) (api.Objection, error) {
	resp, err := c.api.GetObjectionWithResponse(ctx, int64(uid))
	if err != nil {
		return api.Objection{}, outbound.Explain(c.opt.Identity.Server, err)
	}
	return standing(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

// Object records that the person with a uid objects to being named; it may be repeated.
func (c *Client) Object(ctx context.Context, uid uint32) (api.Objection, error) {
	resp, err := c.api.PutObjectionWithResponse(ctx, int64(uid))
	if err != nil {
		return api.Objection{}, outbound.Explain(c.opt.Identity.Server, err)
	}
	return standing(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

// TakeBackObjection ends an objection; one that does not stand is no error.
func (c *Client) TakeBackObjection(ctx context.Context, uid uint32) (api.Objection, error) {
	resp, err := c.api.DeleteObjectionWithResponse(ctx, int64(uid))
	if err != nil {
		return api.Objection{}, outbound.Explain(c.opt.Identity.Server, err)
	}
	return standing(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
}

func standing(resp *http.Response, problem *api.Problem, body *api.Objection) (api.Objection, error) {
	err := outbound.Check(resp, problem, http.StatusOK)
	var p *outbound.Problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusNotFound:
		return api.Objection{}, ErrNoObjections
	case err != nil:
		return api.Objection{}, err
	case body == nil:
		return api.Objection{}, errors.New("the server answered without an objection")
	}
	return *body, nil
}
