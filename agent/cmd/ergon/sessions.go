package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

func (a *app) sessionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "sessions", Short: "List where you are logged in, or end one of these logins",
		Example: "  ergon sessions\n  ergon sessions revoke 0b8ff6a2-6d7c-4a3e-9d1d-0c7f0f8f7c11",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.listSessions(c.Context()) },
	}
	c.AddCommand(&cobra.Command{
		Use: "revoke ID", Short: "End one of your sessions; every server refuses it within 30 seconds",
		Example: "  ergon sessions revoke 0b8ff6a2-6d7c-4a3e-9d1d-0c7f0f8f7c11",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.endByID(c.Context(), args[0], "Session", func(ctx context.Context, r *remote, id uuid.UUID) error {
				resp, err := r.client.RevokeSessionWithResponse(ctx, id)
				if err != nil {
					return outbound.Explain(r.server, err)
				}
				return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
			})
		},
	})
	return c
}

func (a *app) listSessions(ctx context.Context) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	resp, err := r.client.ListSessionsWithResponse(ctx)
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	body, err := answer(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, resp.JSON200)
	if err != nil {
		return err
	}
	for _, s := range body.Sessions {
		note := ""
		if s.Current {
			note = "  (this one)"
		}
		fmt.Fprintf(a.Out, "%s  %-8s  began %s  last used %s  %s%s\n", s.Id, term.Clean(deref(s.Method)), s.CreatedAt.Format(time.DateTime),
			lastUse(s.LastUsedAt), term.Clean(deref(s.UserAgent)), note)
	}
	return nil
}

// lastUse is the moment of a use, or never.
func lastUse(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Format(time.DateTime)
}

// ender ends one thing of the user's on the server.
type ender func(ctx context.Context, r *remote, id uuid.UUID) error

func (a *app) endByID(ctx context.Context, text, what string, end ender) error {
	id, err := uuid.Parse(text)
	if err != nil {
		return usageError{fmt.Errorf("%q is no id; the list shows them", text)}
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	if err := end(ctx, r, id); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s %s has ended.\n", what, id)
	return nil
}

func (a *app) passwordCommand() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use: "password", Short: "Change your password; every other session ends",
		Example: "  ergon password\n  printf '%s\\n%s\\n' \"$OLD\" \"$NEW\" | ergon password --password-stdin",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.changePassword(c.Context(), stdin) },
	}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the old and the new password from standard input, a line each")
	return c
}

func (a *app) changePassword(ctx context.Context, stdin bool) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	was, will, err := a.askChange(stdin)
	if err != nil {
		return err
	}
	resp, err := r.client.ChangePasswordWithResponse(ctx, api.ChangePasswordJSONRequestBody{OldPassword: was, NewPassword: will})
	if err != nil {
		return outbound.Explain(r.server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, "Your password has changed, and every other session has ended. Tokens of programs (ergon token list) and your own agents (ergon agent list) still work.")
	return nil
}

func (a *app) askChange(stdin bool) (was, will string, err error) {
	if stdin {
		in := bufio.NewReader(a.In)
		if was, err = readLine(in); err == nil {
			will, err = readLine(in)
		}
		return was, will, err
	}
	file, err := a.passwordTerminal()
	if err != nil {
		return "", "", err
	}
	if was, err = a.hidden(file, "Old password: "); err != nil {
		return "", "", err
	}
	will, err = a.newPassword(file, "New password: ")
	return was, will, err
}
