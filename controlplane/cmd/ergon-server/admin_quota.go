package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// quotaCommand is what accounts may store: by account, by role, by cluster. Where nothing is set the configuration holds.
func (a *admin) quotaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "quota", Short: "How much accounts may store",
		Long: "How much accounts may store. An account's own quota holds, else its role's, else the largest of the clusters where it is linked,\n" +
			"else ERGON_QUOTA_BYTES and ERGON_QUOTA_OBJECTS. A change holds from the next upload on; what is stored stays.",
	}
	cmd.AddCommand(a.quotaSet(), a.quotaUnset(), a.quotaList(), a.quotaShow())
	return cmd
}

// subject is what a quota is for: exactly one of them.
type subject struct{ user, role, cluster string }

func (s *subject) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.user, "user", "", "name of an account")
	cmd.Flags().StringVar(&s.role, "role", "", "user, account_manager, operator or admin")
	cmd.Flags().StringVar(&s.cluster, "cluster", "", "name of a cluster: for whoever is linked there")
	cmd.MarkFlagsOneRequired("user", "role", "cluster")
	cmd.MarkFlagsMutuallyExclusive("user", "role", "cluster")
}

// rule names it by its id.
func (s *subject) rule(ctx context.Context, svc *identity.Service) (storage.Rule, error) {
	switch {
	case s.user != "":
		u, err := svc.UserNamed(ctx, s.user)
		return storage.Rule{Scope: storage.ScopeUser, Subject: u.ID, Name: s.user}, err
	case s.role != "":
		switch role := principal.Role(s.role); role {
		case principal.RoleUser, principal.RoleAccountManager, principal.RoleOperator, principal.RoleAdmin:
			return storage.Rule{Scope: storage.ScopeRole, Subject: s.role, Name: s.role}, nil
		}
		return storage.Rule{}, fmt.Errorf("--role %s: user, account_manager, operator or admin", s.role)
	}
	clusters, err := svc.Clusters(ctx)
	if err != nil {
		return storage.Rule{}, err
	}
	for _, c := range clusters {
		if c.Name == s.cluster {
			return storage.Rule{Scope: storage.ScopeCluster, Subject: c.ID, Name: c.Name}, nil
		}
	}
	return storage.Rule{}, apperr.Newf(apperr.NotFound, "there is no cluster %q", s.cluster).WithHint("`ergon-server admin cluster list` shows all")
}

// limitFlags are a size and a count.
type limitFlags struct {
	size    string
	objects int64
}

func (l *limitFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.size, "bytes", "", "bytes in all, with K, M, G, T (1024-based)")
	cmd.Flags().Int64Var(&l.objects, "objects", 0, "stored files in all")
	_ = cmd.MarkFlagRequired("bytes") // the flags exist
	_ = cmd.MarkFlagRequired("objects")
}

func (l *limitFlags) limit() (storage.Limit, error) {
	bytes, known := slurmfmt.ParseSize(l.size).Value()
	if !known || l.objects < 0 {
		return storage.Limit{}, fmt.Errorf("--bytes %s --objects %d: give a size such as 500G or 1T, and a count", l.size, l.objects)
	}
	return storage.Limit{Bytes: bytes, Objects: l.objects}, nil
}

func (a *admin) quotaSet() *cobra.Command {
	var to subject
	var limit limitFlags
	cmd := &cobra.Command{
		Use: "set (--user NAME|--role ROLE|--cluster NAME) --bytes SIZE --objects COUNT", Short: "Set a quota", Args: cobra.NoArgs,
		Example: "  ergon-server admin quota set --role operator --bytes 2T --objects 5000000",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.setQuota(cmd.Context(), to, limit) },
	}
	to.flags(cmd)
	limit.flags(cmd)
	return cmd
}

func (a *admin) setQuota(ctx context.Context, to subject, flags limitFlags) error {
	limit, err := flags.limit()
	if err != nil {
		return err
	}
	return a.with(ctx, func(ctx context.Context, s *identity.Service, base *app.Base) error {
		rule, err := to.rule(ctx, s)
		if err != nil {
			return err
		}
		rule.Limit = limit
		if err := base.Store.Storage().SetRule(ctx, rule); err != nil {
			return err
		}
		return s.RecordAct(ctx, "quota.set", rule.Subject, map[string]string{
			"scope": string(rule.Scope), "bytes": strconv.FormatInt(limit.Bytes, 10), "objects": strconv.FormatInt(limit.Objects, 10),
		})
	})
}

// userQuota is `admin quota set --user`, where one looks for it first.
func (a *admin) userQuota() *cobra.Command {
	var limit limitFlags
	cmd := &cobra.Command{
		Use: "set-quota NAME --bytes SIZE --objects COUNT", Short: "Change how much an account may store", Args: cobra.ExactArgs(1),
		Example: "  ergon-server admin user set-quota alice --bytes 500G --objects 2000000",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setQuota(cmd.Context(), subject{user: args[0]}, limit)
		},
	}
	limit.flags(cmd)
	return cmd
}

func (a *admin) quotaUnset() *cobra.Command {
	var to subject
	cmd := &cobra.Command{
		Use: "unset (--user NAME|--role ROLE|--cluster NAME)", Short: "Take a quota back, so that the next one holds", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, base *app.Base) error {
				rule, err := to.rule(ctx, s)
				if err != nil {
					return err
				}
				if err := base.Store.Storage().DropRule(ctx, rule.Scope, rule.Subject); err != nil {
					return err
				}
				return s.RecordAct(ctx, "quota.unset", rule.Subject, map[string]string{"scope": string(rule.Scope)})
			})
		},
	}
	to.flags(cmd)
	return cmd
}

func (a *admin) quotaList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the quotas that were set, and the default", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.p.load()
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ctx context.Context, _ *identity.Service, base *app.Base) error {
				rules, err := base.Store.Storage().Rules(ctx)
				if err != nil {
					return err
				}
				rules = append(rules, storage.InForce(nil, storage.Limit{Bytes: cfg.Quota.Bytes, Objects: cfg.Quota.Objects}))
				t := table{head: []string{"for", "name", "bytes", "objects"}}
				for _, r := range rules {
					t.rows = append(t.rows, []string{string(r.Scope), r.Name, strconv.FormatInt(r.Limit.Bytes, 10), strconv.FormatInt(r.Limit.Objects, 10)})
				}
				return a.print(t)
			})
		},
	}
}

func (a *admin) quotaShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show what an account stores, and which quota holds for it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.p.load()
			if err != nil {
				return err
			}
			site := storage.Limit{Bytes: cfg.Quota.Bytes, Objects: cfg.Quota.Objects}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, base *app.Base) error {
				u, err := s.UserNamed(ctx, args[0])
				if err != nil {
					return err
				}
				st, err := base.Store.Storage().Standing(ctx, u.ID, site)
				if err != nil {
					return err
				}
				return a.printStanding(args[0], st)
			})
		},
	}
}

func (a *admin) printStanding(name string, s storage.Standing) error {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return a.print(table{
		head: []string{"name", "used bytes", "reserved bytes", "limit bytes", "used objects", "reserved objects", "limit objects", "limit from", "limit name"},
		rows: [][]string{{
			name, n(s.UsedBytes), n(s.ReservedBytes), n(s.Rule.Limit.Bytes), n(s.UsedObjects), n(s.ReservedObjects), n(s.Rule.Limit.Objects),
			string(s.Rule.Scope), s.Rule.Name,
		}},
	})
}
