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

func (a *admin) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Slurm clusters"}
	cmd.AddCommand(&cobra.Command{
		Use: "create NAME", Short: "Add a cluster", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				c, err := s.CreateCluster(ctx, args[0])
				if err != nil {
					return err
				}
				return a.printClusters([]identity.Cluster{c})
			})
		},
	}, &cobra.Command{
		Use: "list", Short: "List clusters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				list, err := s.Clusters(ctx)
				if err != nil {
					return err
				}
				return a.printClusters(list)
			})
		},
	}, a.clusterUnixLogin())
	return cmd
}

func (a *admin) clusterUnixLogin() *cobra.Command {
	return &cobra.Command{
		Use: "unix-login NAME on|off", Short: "Let the uid on the cluster's login nodes be the login, as its system agents see it; off ends those sessions",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != "on" && args[1] != "off" {
				return fmt.Errorf("%q is neither on nor off", args[1])
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				return s.SetUnixLogin(ctx, args[0], args[1] == "on")
			})
		},
	}
}

func (a *admin) printClusters(list []identity.Cluster) error {
	t := table{head: []string{"name", "unix login", "created", "id"}}
	for _, c := range list {
		login := "off"
		if c.UnixLogin {
			login = "on"
		}
		t.rows = append(t.rows, []string{c.Name, login, c.CreatedAt.Format(time.RFC3339), c.ID})
	}
	return a.print(t)
}

func (a *admin) enrolCommand() *cobra.Command {
	var cluster, kind, owner string
	cmd := &cobra.Command{
		Use:   "enrol --cluster NAME [--kind system|user --owner NAME]",
		Short: "Print a token that enrols one agent, once, within 15 minutes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				token, exp, err := s.EnrolToken(ctx, cluster, principal.AgentKind(kind), owner)
				if err != nil {
					return err
				}
				return a.printToken(token, exp)
			})
		},
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "name of the cluster (admin cluster list)")
	cmd.Flags().StringVar(&kind, "kind", string(principal.AgentSystem), "system: for all users of a node; user: for its owner alone")
	cmd.Flags().StringVar(&owner, "owner", "", "account that a user agent acts for")
	_ = cmd.MarkFlagRequired("cluster") // the flag exists
	return cmd
}

// printToken gives the token alone on standard output, so that it pipes into `ergon-agent enrol`.
func (a *admin) printToken(token string, exp time.Time) error {
	if a.json {
		return a.print(table{head: []string{"token", "expires at"}, rows: [][]string{{token, exp.Format(time.RFC3339)}}})
	}
	fmt.Fprintf(a.p.stderr, "good for one use until %s; give it to `ergon-agent enrol` on standard input\n", exp.Format(time.RFC3339))
	_, err := fmt.Fprintln(a.p.stdout, token)
	return err
}

func (a *admin) agentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "agent", Short: "Enrolled agents"}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List agents", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, _ *app.Base) error {
				list, err := s.Agents(ctx)
				if err != nil {
					return err
				}
				return a.printAgents(list)
			})
		},
	}, a.agentScopes(), a.userAct("revoke ID", "End an agent; its tokens are refused within ten seconds", func(ctx context.Context, s *identity.Service, id string) error {
		return s.RevokeAgent(ctx, id)
	}))
	return cmd
}

func (a *admin) printAgents(list []identity.Agent) error {
	t := table{head: []string{"id", "cluster", "kind", "host", "version", "last seen", "clock skew", "state", "scopes"}}
	for _, g := range list {
		seen, state := "never", "active"
		if g.LastSeenAt != nil {
			seen = g.LastSeenAt.Format(time.RFC3339)
		}
		if g.RevokedAt != nil {
			state = "revoked"
		}
		skew := "unknown"
		if g.ClockSkew != nil {
			skew = g.ClockSkew.String()
		}
		scopes := make([]string, len(g.Scopes))
		for i, s := range g.Scopes {
			scopes[i] = string(s)
		}
		t.rows = append(t.rows, []string{g.ID, g.ClusterName, string(g.Kind), g.Name, g.Version, seen, skew, state, strings.Join(scopes, ",")})
	}
	return a.print(t)
}
