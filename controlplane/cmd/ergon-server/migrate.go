package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
)

func newMigrate(p *process) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database schema up to date (--check: only say whether it is)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return migrate(cmd.Context(), p, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail when the schema is not that of this build")
	return cmd
}

func migrate(ctx context.Context, p *process, check bool) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	deps, err := p.deps(cfg)
	if err != nil {
		return err
	}
	cfg.Database.AutoMigrate = !check
	base, err := app.OpenBaseShared(ctx, cfg, deps)
	if err != nil {
		return err
	}
	if !check {
		if err := base.MigrateQueue(ctx, deps); err != nil {
			return errors.Join(err, base.Close())
		}
	}
	fmt.Fprintln(p.stdout, "the database schema is that of this build")
	return errors.Join(base.Close())
}
