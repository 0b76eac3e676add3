package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func (a *admin) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Accounts"}
	cmd.AddCommand(a.userCreate(), a.userList(), a.userInvite(),
		a.userAct("disable NAME", "Disable an account: its sessions end, its tokens and own agents do nothing until it is enabled", func(ctx context.Context, s *identity.Service, name string) error {
			return s.SetDisabled(ctx, name, true)
		}),
		a.userAct("enable NAME", "Enable an account again", func(ctx context.Context, s *identity.Service, name string) error {
			return s.SetDisabled(ctx, name, false)
		}),
		a.userAct("set-password NAME", "Set a password, read from standard input; sessions, tokens and own agents of the account end", func(ctx context.Context, s *identity.Service, name string) error {
			password, err := a.password()
			if err != nil {
				return err
			}
			return s.ResetPassword(ctx, name, password)
		}),
		a.userAct("revoke-tokens NAME", "End all personal access tokens of an account", func(ctx context.Context, s *identity.Service, name string) error {
			return s.RevokeTokensOf(ctx, name)
		}),
		a.userAct("disconnect NAME", "Take the identity at the OpenID provider from an account that has a password, and end its sessions", func(ctx context.Context, s *identity.Service, name string) error {
			return s.DisconnectOIDCOf(ctx, name)
		}),
		a.userRole(), a.userQuota(), a.userDelete())
	return cmd
}

func (a *admin) userCreate() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an account; the password is read from standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.password()
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				u, err := s.CreateUser(ctx, args[0], password, principal.Role(role))
				if err != nil {
					return err
				}
				return a.printUsers([]identity.User{u})
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", string(principal.RoleUser), "user, account_manager, operator or admin")
	return cmd
}

func (a *admin) userList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				users, err := s.Users(ctx)
				if err != nil {
					return err
				}
				return a.printUsers(users)
			})
		},
	}
}

func (a *admin) printUsers(users []identity.User) error {
	t := table{head: []string{"name", "role", "state", "created", "id"}}
	for _, u := range users {
		state := "active"
		if u.DisabledAt != nil {
			state = "disabled"
		}
		t.rows = append(t.rows, []string{u.Username, string(u.Role), state, u.CreatedAt.Format(time.RFC3339), u.ID})
	}
	return a.print(t)
}

func (a *admin) userInvite() *cobra.Command {
	return &cobra.Command{
		Use: "invite", Short: "Print an invitation for one registration, good for a week", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				token, exp, err := s.Invite(ctx)
				if err != nil {
					return err
				}
				return a.print(table{head: []string{"invitation", "expires at"}, rows: [][]string{{token, exp.Format(time.RFC3339)}}})
			})
		},
	}
}

func (a *admin) userRole() *cobra.Command {
	return &cobra.Command{
		Use: "set-role NAME ROLE", Short: "Change a role: user, account_manager, operator or admin", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				return s.SetRole(ctx, args[0], principal.Role(args[1]))
			})
		},
	}
}

func (a *admin) userAct(use, short string, fn func(ctx context.Context, s *identity.Service, name string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error { return fn(ctx, s, args[0]) })
		},
	}
}

// password reads one line. At a terminal it asks, without echo, twice.
func (a *admin) password() (string, error) {
	if f, ok := a.p.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return a.askPassword(int(f.Fd()))
	}
	line, err := bufio.NewReader(io.LimitReader(a.p.stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("the password is read from standard input, and nothing came")
	}
	return line, nil
}

func (a *admin) askPassword(fd int) (string, error) {
	var typed [2]string
	for i, prompt := range []string{"Password (12 characters or more): ", "Again: "} {
		fmt.Fprint(a.p.stderr, prompt)
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(a.p.stderr)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}
