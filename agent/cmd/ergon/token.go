package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "Tokens for your programs",
		Long: "A personal access token lets a program act as you, within its scopes and until it expires. Programs take it from the\n" +
			"environment: ERGON_TOKEN, with the server's address in ERGON_SERVER. Treat it as a password.",
	}
	c.AddCommand(a.tokenCreate(), a.tokenList(), a.tokenRevoke())
	return c
}

type tokenFlags struct {
	scopes  []string
	expires string
}

func (a *app) tokenCreate() *cobra.Command {
	var f tokenFlags
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a token and print it, once; needs a login of the last five minutes",
		Example: "  ergon token create nightly-report --scope jobs:read --expires 90d",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.createToken(c.Context(), args[0], f) },
	}
	c.Flags().StringSliceVar(&f.scopes, "scope", []string{"jobs:read"}, "what it may: jobs:read, files:read, files:write, account:read; repeat it or use commas")
	c.Flags().StringVar(&f.expires, "expires", "90d", "how long it works, such as 12h or 90d")
	return c
}

func (a *app) createToken(ctx context.Context, name string, f tokenFlags) error {
	life, err := parseLife(f.expires)
	if err != nil {
		return usageError{err}
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	body := api.CreateTokenJSONRequestBody{Name: name, ExpiresInS: int64(life / time.Second)}
	for _, scope := range f.scopes {
		body.Scopes = append(body.Scopes, api.TokenScope(strings.TrimSpace(scope)))
	}
	resp, err := r.client.CreateTokenWithResponse(ctx, body)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated); err != nil {
		return err
	}
	if resp.JSON201 == nil {
		return errEmpty
	}
	fmt.Fprintf(a.Err, "This token is shown once. It ends %s; ergon token revoke %s ends it before.\n", resp.JSON201.Info.ExpiresAt.Format(time.DateTime), resp.JSON201.Info.Id)
	fmt.Fprintln(a.Out, term.Clean(resp.JSON201.Token))
	return nil
}

// parseLife reads a time such as 90d, 12h or 30m.
func parseLife(text string) (time.Duration, error) {
	var days int64
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) && days > 0 && days < 40_000 {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute {
		return 0, fmt.Errorf("--expires %q is no time of a minute or more; write 90d, 12h or 30m", text)
	}
	return d, nil
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List your tokens that still work", Example: "  ergon token list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.listTokens(c.Context()) },
	}
}

func (a *app) listTokens(ctx context.Context) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	resp, err := r.client.ListTokensWithResponse(ctx)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	body, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	if err != nil {
		return err
	}
	if len(body.Tokens) == 0 {
		fmt.Fprintln(a.Err, "You have no tokens.")
	}
	for _, t := range body.Tokens {
		scopes := make([]string, len(t.Scopes))
		for i, s := range t.Scopes {
			scopes[i] = term.Clean(string(s))
		}
		fmt.Fprintf(a.Out, "%s  %s  %s  ends %s  last used %s\n", t.Id, term.Clean(t.Name), strings.Join(scopes, ","), t.ExpiresAt.Format(time.DateTime), lastUse(t.LastUsedAt))
	}
	return nil
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a token; every server refuses it within 30 seconds",
		Example: "  ergon token revoke 0b8ff6a2-6d7c-4a3e-9d1d-0c7f0f8f7c11", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.endByID(c.Context(), args[0], "Token", func(ctx context.Context, r *remote, id uuid.UUID) error {
				resp, err := r.client.RevokeTokenWithResponse(ctx, id)
				if err != nil {
					return outbound.Explain(r.server, err)
				}
				return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
			})
		},
	}
}
