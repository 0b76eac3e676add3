package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
)

const reanalyseHelp = `Make the analysis of jobs due again and work through all that is due.
A job whose inputs are those of its stored report is left as it is. Jobs with profiles stay due: only a server reads
the object store, and does so by itself. With --due all jobs are left to the server.`

func newAdminReanalyse(p *process) *cobra.Command {
	var dataDir, cluster string
	var dueOnly bool
	cmd := &cobra.Command{
		Use: "reanalyse", Short: "Analyse history again", Long: reanalyseHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withBase(cmd.Context(), p, dataDir, func(ctx context.Context, base *app.Base, deps app.Deps) error {
				return reanalyse(ctx, p, base, deps, reanalysis{cluster, dueOnly})
			})
		},
	}
	dataDirFlag(cmd, &dataDir)
	cmd.Flags().StringVar(&cluster, "cluster", "", "only jobs of this cluster")
	cmd.Flags().BoolVar(&dueOnly, "due", false, "only mark the jobs; a running server does the work")
	return cmd
}

type reanalysis struct {
	cluster string
	dueOnly bool
}

func reanalyse(ctx context.Context, p *process, base *app.Base, deps app.Deps, r reanalysis) error {
	rows := gormstore.NewInsight(base.Store)
	if err := clusterExists(ctx, gormstore.NewJobs(base.Store), r.cluster); err != nil {
		return err
	}
	marked, err := rows.MarkAllDue(ctx, r.cluster, deps.Now())
	if err != nil {
		return fmt.Errorf("marking jobs: %w", err)
	}
	fmt.Fprintf(p.stdout, "%d jobs are due\n", marked)
	if r.dueOnly {
		return nil
	}
	settings, err := base.InsightConfig(deps)
	if err != nil {
		return err
	}
	bar := newProgress(p.stderr, deps.Now)
	reports := insight.New(rows, nil, deps.Now, deps.Log, settings)
	w, err := reports.AnalyseDue(ctx, func(n int) { bar.show("%d jobs analysed", n) })
	bar.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%d jobs analysed, %d failed, %d with profiles left to the server\n", w.Analysed, w.Failed, w.Left)
	return nil
}
