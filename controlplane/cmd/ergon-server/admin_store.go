package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// storeCommand looks after stored files: beside a server, whose embedded store it then uses, or without one.
func (a *admin) storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "The object store and the books of it"}
	cmd.AddCommand(a.storeCheck(), a.storeRecount(), a.storeSweep(), a.storeForgetLost())
	return cmd
}

// opened is what a command about files works with.
type opened struct {
	ids     *identity.Service
	base    *app.Base
	storage *app.Storage
	cfg     config.Config
	deps    app.Deps
}

func (a *admin) withStorage(ctx context.Context, fn func(ctx context.Context, o opened) error) error {
	return withBase(ctx, a.p, a.dataDir, func(ctx context.Context, base *app.Base, deps app.Deps) error {
		cfg, err := a.p.load()
		if err != nil {
			return err
		}
		ids, err := app.NewIdentity(ctx, cfg, base, deps, nil)
		if err != nil {
			return err
		}
		files, err := app.OpenStorage(ctx, cfg, base, deps)
		if err != nil {
			return err
		}
		return errors.Join(fn(ctx, opened{ids, base, files, cfg, deps}), files.Close())
	})
}

func (a *admin) storeCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Try out what the store supports and what is in force, and whether it can be used safely", Args: cobra.NoArgs,
		Long: "Tries each feature on objects below _ergon/check/, which are removed again. What is needed and not in force makes the command fail.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStorage(cmd.Context(), func(ctx context.Context, o opened) error {
				list, err := o.storage.Store.Inspect(ctx)
				if err != nil {
					return err
				}
				t := table{head: []string{"feature", "supported", "in force", "needed", "text"}}
				var faults []string
				for _, f := range list {
					needed := "no"
					if f.Needed {
						needed = "yes"
						if f.InForce != "yes" {
							faults = append(faults, f.Name)
						}
					}
					t.rows = append(t.rows, []string{f.Name, string(f.Supported), string(f.InForce), needed, f.Text})
				}
				if err := a.print(t); err != nil || len(faults) == 0 {
					return err
				}
				return apperr.New(apperr.Conflict, "the store cannot be used safely: "+strings.Join(faults, ", ")).
					WithHint("docs/install.md has the identities and their policies (An object store of your own)")
			})
		},
	}
}

func (a *admin) storeRecount() *cobra.Command {
	return &cobra.Command{
		Use: "recount", Short: "Hold the books against their rows and the store now, as the server does every night", Args: cobra.NoArgs,
		Long: "Sums that differ from their rows are computed anew. What the store has although it was given up or deleted is handed to the\n" +
			"sweeper. What it has and nobody knows, and what it lacks, is only reported.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStorage(cmd.Context(), func(ctx context.Context, o opened) error {
				d, err := o.storage.Service.Recount(ctx)
				return errors.Join(err, a.printDrift(d))
			})
		},
	}
}

func (a *admin) printDrift(d storage.Drift) error {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	i := strconv.Itoa
	return a.print(table{head: []string{"what", "objects", "bytes", "done"}, rows: [][]string{
		{"accounts examined", i(d.Accounts), "", ""},
		{"listed by the store", i(d.Listed), "", ""},
		{"sums that differed", n(d.OffObjects), n(d.OffBytes), i(d.OffAccounts) + " accounts computed anew"},
		{"given up or deleted, still there", i(d.StrayObjects), n(d.StrayBytes), i(d.Reopened) + " handed to the sweeper"},
		{"never in the books", i(d.UnknownObjects), n(d.UnknownBytes), "reported " + strings.Join(d.UnknownKeys, " ")},
		{"lost by the store", i(d.MissingObjects), n(d.MissingBytes), "reported " + strings.Join(d.LostKeys, " ")},
		{"of another length", i(d.ChangedObjects), "", "reported"},
	}})
}

func (a *admin) storeSweep() *cobra.Command {
	return &cobra.Command{
		Use: "sweep", Short: "Settle or remove uploads that nobody completed, and files that are kept no longer, now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStorage(cmd.Context(), func(ctx context.Context, o opened) error {
				done, err := o.storage.Service.Sweep(ctx)
				old, expireErr := o.storage.Service.Expire(ctx)
				i := strconv.Itoa
				return errors.Join(err, expireErr, a.print(table{
					head: []string{"examined", "settled", "expired", "purged", "closed", "failed", "kept no longer"},
					rows: [][]string{{i(done.Examined), i(done.Settled), i(done.Expired), i(done.Purged), i(done.Closed), i(done.Failed), i(old)}},
				}))
			})
		},
	}
}

func (a *admin) storeForgetLost() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "forget-lost NAME --yes", Short: "Take files of an account out of the books that the store has lost for good", Args: cobra.ExactArgs(1),
		Long: "Asks the store for each file of the account and forgets those of which it says that it has none. For after a loss of data, when\n" +
			"nothing can be restored: a store that answers from a wrong bucket would empty the books.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return errors.New("this forgets files for good: restore the store first if you can, then say --yes")
			}
			return a.withStorage(cmd.Context(), func(ctx context.Context, o opened) error {
				u, err := o.ids.UserNamed(ctx, args[0])
				if err != nil {
					return err
				}
				gone, err := o.storage.Service.ForgetLost(ctx, u.ID)
				recorded := o.ids.RecordAct(ctx, "files.forget_lost", u.ID, map[string]string{"files": strconv.Itoa(len(gone))})
				return errors.Join(err, recorded, a.print(table{head: []string{"name", "forgotten"}, rows: [][]string{{args[0], strconv.Itoa(len(gone))}}}))
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// prefixCommand removes what lies below a prefix, for operators.
func (a *admin) prefixCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "prefix", Short: "Prefixes of the object store"}
	var yes bool
	del := &cobra.Command{
		Use: "delete USER_ID/[…] --yes", Short: "Delete everything below one prefix of an account, in the books and in the store", Args: cobra.ExactArgs(1),
		Example: "  ergon-server admin prefix delete 2f0c…/jobs/7b1e…/ --yes",
		Long: "Deletes files with all their versions, and gives up uploads under way. It may be repeated, also after it was killed. Uploads whose\n" +
			"URLs may still be in use are looked at again by the server's sweeper.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := storage.CheckPrefix(args[0]); err != nil {
				return err
			}
			if !yes {
				return errors.New("this deletes for good: say --yes")
			}
			return a.withStorage(cmd.Context(), func(ctx context.Context, o opened) error {
				e, err := o.storage.Service.ErasePrefix(ctx, args[0])
				i := strconv.Itoa
				recorded := o.ids.RecordAct(ctx, "prefix.delete", args[0][:strings.IndexByte(args[0], '/')], map[string]string{"files": i(e.Objects)})
				return errors.Join(err, recorded, a.print(table{
					head: []string{"files", "uploads given up", "store entries"}, rows: [][]string{{i(e.Objects), i(e.Aborted), i(e.Entries)}},
				}))
			})
		},
	}
	del.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.AddCommand(del)
	return cmd
}

// userDelete is the saga that DELETE /me begins, worked on here as far as it goes now.
func (a *admin) userDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME --yes", Short: "Delete an account with its files and everything that names the person", Args: cobra.ExactArgs(1),
		Long: "Freezes the account, ends its sessions and agents, removes its files with all versions, its rows, and the key under which its names\n" +
			"and addresses stand in the audit log. Jobs of the cluster stay in the sums, without the person. When URLs given out before may still\n" +
			"be in use, the server looks once more later. Killed in between, it goes on with the same command or by the server.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return errors.New("this deletes the account for good: say --yes")
			}
			return a.withStorage(cmd.Context(), func(ctx context.Context, o opened) error { return a.deleteUser(ctx, o, args[0]) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func (a *admin) deleteUser(ctx context.Context, o opened, name string) error {
	u, err := o.ids.UserNamed(ctx, name)
	if err != nil {
		return err
	}
	svc, err := app.OpenErasure(o.cfg, o.base, o.storage, o.ids, o.deps)
	if err != nil {
		return err
	}
	e, err := svc.Begin(ctx, u.ID, "command line")
	if err != nil {
		return err
	}
	e, err = svc.Continue(ctx, e)
	if err != nil {
		return fmt.Errorf("it goes on with the same command, or by the server: %w", err)
	}
	done := "done"
	if e.FinishedAt == nil {
		done = "last look after " + e.QuietAt.Format("2006-01-02T15:04:05Z07:00")
	}
	return a.print(table{
		head: []string{"receipt", "state", "files", "jobs"},
		rows: [][]string{{e.ID, done, strconv.FormatInt(e.Objects, 10), strconv.FormatInt(e.Jobs, 10)}},
	})
}
