package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

func (a *admin) optoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "optout", Short: "Unix users without an account who object to being named",
		Long: "Of the jobs of a uid that objected only what the cluster's sums are made of is stored: resources, times, states and Slurm account, but\n" +
			"no uid, login name, job name, submit line, directory, comment or event. People with a linked account decide themselves.",
	}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List objections", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, _ *identity.Service, base *app.Base) error {
				list, err := gormstore.NewJobs(base.Store).ListObjections(ctx)
				t := table{head: []string{"cluster", "uid", "since"}}
				for _, o := range list {
					t.rows = append(t.rows, []string{o.Cluster, strconv.FormatInt(o.UID, 10), o.Since.Format(time.RFC3339)})
				}
				return errors.Join(err, a.print(t))
			})
		},
	}, a.optoutAct("add CLUSTER UID", "Record an objection, and take the person out of the stored jobs", addObjection),
		a.optoutAct("remove CLUSTER UID", "Take an objection back; what was taken out does not come back", removeObjection))
	return cmd
}

type objector struct {
	rows    *gormstore.Jobs
	cluster jobs.Cluster
	uid     int64
}

func (a *admin) optoutAct(use, short string, act func(ctx context.Context, s *identity.Service, o objector) ([]string, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			uid, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || uid < 0 {
				return errors.New("the uid must be a number: `id -u NAME` tells it")
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, base *app.Base) error {
				rows := gormstore.NewJobs(base.Store)
				if err := clusterExists(ctx, rows, args[0]); err != nil {
					return err
				}
				c, _, err := rows.ClusterByName(ctx, args[0], false)
				if err != nil {
					return err
				}
				row, err := act(ctx, s, objector{rows, c, uid})
				if err != nil {
					return err
				}
				return a.print(table{head: []string{"cluster", "uid", "objection", "jobs"}, rows: [][]string{append(args[:2:2], row...)}})
			})
		},
	}
}

func addObjection(ctx context.Context, s *identity.Service, o objector) ([]string, error) {
	now := time.Now()
	if err := o.rows.Object(ctx, o.cluster.ID, o.uid, now); err != nil {
		return nil, err
	}
	if err := s.RecordAct(ctx, "objection.add", o.cluster.ID, map[string]string{"uid": strconv.FormatInt(o.uid, 10)}); err != nil {
		return nil, err
	}
	n, err := jobs.Hide(ctx, o.rows, now)
	return []string{"stands", strconv.Itoa(n)}, err
}

func removeObjection(ctx context.Context, s *identity.Service, o objector) ([]string, error) {
	had, err := o.rows.Unobject(ctx, o.cluster.ID, o.uid)
	if err != nil || !had {
		return []string{"there was none", "0"}, err
	}
	return []string{"taken back", "0"}, s.RecordAct(ctx, "objection.remove", o.cluster.ID, map[string]string{"uid": strconv.FormatInt(o.uid, 10)})
}
