package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

func (a *app) agentCommand() *cobra.Command {
	c := &cobra.Command{Use: "agent", Short: "Agents of your own"}
	c.AddCommand(a.enrolCommand(), a.agentList(), a.agentRevoke())
	return c
}

func (a *app) agentList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the agents that you have enrolled, on whatever node they are", Example: "  ergon agent list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.listAgents(c.Context()) },
	}
}

func (a *app) listAgents(ctx context.Context) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	own, err := ownAgents(ctx, r.client)
	if err != nil {
		return err
	}
	if len(own) == 0 {
		fmt.Fprintln(a.Err, "You have no agents of your own.")
	}
	for _, l := range own {
		fmt.Fprintf(a.Out, "%s  %s (uid %d) on %s  enrolled %s\n", l.Id, term.Clean(l.UnixName), l.Uid, term.Clean(l.Cluster), l.CreatedAt.Format(time.DateTime))
	}
	return nil
}

func (a *app) agentRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End an agent of your own; needs a login of the last five minutes",
		Example: "  ergon agent revoke 0b8ff6a2-6d7c-4a3e-9d1d-0c7f0f8f7c11", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.endByID(c.Context(), args[0], "Agent", revokeAgent)
		},
	}
}

// revokeAgent ends one of the user's own agents. The same call removes the link of a unix account; here that is not found.
func revokeAgent(ctx context.Context, r *remote, id uuid.UUID) error {
	own, err := ownAgents(ctx, r.client)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(own, func(l api.Link) bool { return l.Id == id }) {
		return statusError{errors.New("you have no such agent; ergon agent list shows yours"), exitNotFound}
	}
	resp, err := r.client.DeleteLinkWithResponse(ctx, id)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
}
