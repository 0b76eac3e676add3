package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

func (a *admin) linkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "link", Short: "Links of unix users to accounts"}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List links, suspended ones too", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				links, names, err := s.AllLinks(ctx)
				if err != nil {
					return err
				}
				return a.printLinks(links, names)
			})
		},
	}, a.userAct("suspend ID", "Keep a link from counting until its owner runs ergon link again", func(ctx context.Context, s *identity.Service, id string) error {
		return s.SuspendLink(ctx, id)
	}), a.linkResume(), a.userAct("delete ID", "Remove a link; the unix user and the account can link anew", func(ctx context.Context, s *identity.Service, id string) error {
		return s.RemoveLink(ctx, id)
	}))
	return cmd
}

func (a *admin) linkResume() *cobra.Command {
	var gid int64
	cmd := &cobra.Command{
		Use: "resume ID", Short: "Make a suspended link count again, once you know that the uid is still the same person's", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var group *int64
			if cmd.Flags().Changed("gid") {
				group = &gid
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				return s.ResumeLink(ctx, args[0], group)
			})
		},
	}
	cmd.Flags().Int64Var(&gid, "gid", 0, "the primary group of the unix user, where it has changed")
	return cmd
}

func (a *admin) printLinks(list []identity.Link, names map[string]string) error {
	t := table{head: []string{"id", "cluster", "uid", "unix name", "account", "confirmed", "state"}}
	for _, l := range list {
		state := "active"
		if l.Suspended {
			state = "suspended: " + l.SuspendedFor
		}
		t.rows = append(t.rows, []string{
			l.ID, l.ClusterName, fmt.Sprint(l.UID), l.UnixName, names[l.UserID], l.ConfirmedAt.Format(time.RFC3339), state,
		})
	}
	return a.print(t)
}

func (a *admin) sessionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "session", Short: "Logins of an account"}
	cmd.AddCommand(&cobra.Command{
		Use: "list NAME", Short: "List an account's live sessions", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				list, err := s.SessionsOf(ctx, args[0])
				if err != nil {
					return err
				}
				t := table{head: []string{"id", "method", "created", "last used", "program"}}
				for _, l := range list {
					t.rows = append(t.rows, []string{l.ID, string(l.Method), l.CreatedAt.Format(time.RFC3339), l.LastUsedAt.Format(time.RFC3339), l.UserAgent})
				}
				return a.print(t)
			})
		},
	}, a.sessionRevoke())
	return cmd
}

func (a *admin) sessionRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME [ID]", Short: "End one session of an account, or all; refused everywhere within ten seconds", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := ""
			if len(args) == 2 {
				id = args[1]
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				n, err := s.EndSessions(ctx, args[0], id)
				if err != nil {
					return err
				}
				return a.print(table{head: []string{"ended"}, rows: [][]string{{fmt.Sprint(n)}}})
			})
		},
	}
}

func (a *admin) agentScopes() *cobra.Command {
	return &cobra.Command{
		Use: "scopes ID SCOPE…", Short: "Say what an agent may do; tokens follow within ten seconds", Args: cobra.MinimumNArgs(2),
		Long: "Say what an agent may do, out of: " + strings.Join(scopeNames(), ", "),
		RunE: func(cmd *cobra.Command, args []string) error {
			scopes := make([]principal.Scope, 0, len(args)-1)
			for _, word := range args[1:] {
				scopes = append(scopes, principal.Scope(word))
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				return s.SetAgentScopes(ctx, args[0], scopes)
			})
		},
	}
}

func scopeNames() []string {
	var names []string
	for _, s := range identity.AgentScopes(principal.AgentSystem) {
		names = append(names, string(s))
	}
	return names
}
