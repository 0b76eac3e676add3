package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

func (a *admin) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The audit log"}
	cmd.AddCommand(&cobra.Command{
		Use: "verify", Short: "Check that no audit row was changed, added or removed, at the end of a chain neither", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, _ *identity.Service, base *app.Base) error {
				v, err := audit.Verify(ctx, base.Store, base.Secret)
				if err != nil {
					return err
				}
				return a.print(table{
					head: []string{"rows", "chains", "result"},
					rows: [][]string{{fmt.Sprint(v.Rows), fmt.Sprint(v.Chains), "unbroken"}},
				})
			})
		},
	}, a.auditExport())
	return cmd
}

func (a *admin) auditExport() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "export", Short: "Print the audit log, one JSON object a line; names and addresses of people who were deleted are gone", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := timeArg(from)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, base *app.Base) error {
				if err := s.RecordAct(ctx, "audit.export", "", map[string]string{"from": from}); err != nil {
					return err
				}
				w := bufio.NewWriter(a.p.stdout)
				n, err := audit.Export(ctx, base.Store, base.Secret, since, w)
				if err = errors.Join(err, w.Flush()); err != nil {
					return err
				}
				fmt.Fprintf(a.p.stderr, "%d rows\n", n)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "only rows from this time on, as 2026-01-31 or 2026-01-31T12:00:00Z (default: all)")
	return cmd
}

// timeArg reads a day or a moment in UTC; empty is the zero time.
func timeArg(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-01-31 or 2026-01-31T12:00:00Z", text)
}
