package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/shared/api"
)

type logoutFlags struct{ everywhere, everything bool }

func (a *app) logoutCommand() *cobra.Command {
	var f logoutFlags
	c := &cobra.Command{
		Use:   "logout",
		Short: "End this session, all of them, or all that acts as you",
		Long: "Without an option this session ends. Programs keep their tokens, and agents of your own go on: --everywhere says how many\n" +
			"these are, and --everything ends them too, which cannot be undone. Your unix accounts stay linked (ergon unlink).",
		Example: "  ergon logout\n  ergon logout --everywhere\n  ergon login && ergon logout --everything",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.logout(c.Context(), f) },
	}
	c.Flags().BoolVar(&f.everywhere, "everywhere", false, "end every session of the account")
	c.Flags().BoolVar(&f.everything, "everything", false, "end every session, every token of your programs and every agent of your own; needs a login of the last five minutes")
	return c
}

func (a *app) logout(ctx context.Context, f logoutFlags) error {
	m, err := a.sessions()
	if err != nil {
		return err
	}
	if f.everything {
		if err := m.EndEverything(ctx); err != nil {
			return err
		}
		fmt.Fprintln(a.Out, "Every session, every token of your programs and every agent of your own has ended. ergon whoami shows, after a login, which unix accounts are linked.")
		return nil
	}
	text := "Logged out."
	if f.everywhere { // asked before: afterwards nobody may ask
		text = "Logged out everywhere. " + staying(ctx, m)
	}
	if err := m.Logout(ctx, f.everywhere); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, text)
	return nil
}

// staying says what a logout everywhere leaves alone, and how that is ended. A logout does not fail because it cannot be counted.
func staying(ctx context.Context, m *session.Manager) string {
	const end = "after ergon login, ergon logout --everything ends them all; ergon token revoke and ergon agent revoke end one."
	client, err := m.API(ctx)
	if err != nil {
		return "Tokens of your programs and agents of your own, if there are any, still work: " + end
	}
	tokens, err := countTokens(ctx, client)
	agents, failed := ownAgents(ctx, client)
	switch {
	case err != nil || failed != nil:
		return "Tokens of your programs and agents of your own, if there are any, still work: " + end
	case tokens+len(agents) == 0:
		return "There are no tokens of programs and no agents of your own."
	}
	var parts []string
	if tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d %s of your programs", tokens, plural(tokens, "token")))
	}
	if n := len(agents); n > 0 {
		parts = append(parts, fmt.Sprintf("%d %s of your own", n, plural(n, "agent")))
	}
	return "Still working: " + strings.Join(parts, " and ") + "; " + end
}

func countTokens(ctx context.Context, client *api.ClientWithResponses) (int, error) {
	resp, err := client.ListTokensWithResponse(ctx)
	if err != nil {
		return 0, outbound.Explain("the server", err)
	}
	body, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	if err != nil {
		return 0, err
	}
	return len(body.Tokens), nil
}

// ownAgents are the agents that the user has enrolled. The server shows each as a unix identity that it claims.
func ownAgents(ctx context.Context, client *api.ClientWithResponses) ([]api.Link, error) {
	resp, err := client.ListLinksWithResponse(ctx)
	if err != nil {
		return nil, outbound.Explain("the server", err)
	}
	body, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	if err != nil {
		return nil, err
	}
	var own []api.Link
	for _, l := range body.Links {
		if l.SelfAsserted {
			own = append(own, l)
		}
	}
	return own, nil
}
