package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

func (a *admin) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Signing keys of access tokens"}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List signing keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.with(cmd.Context(), a.printKeys) },
	}, &cobra.Command{
		Use: "rotate", Short: "Make the next key; servers sign with it once all know it, after 20 seconds", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, s *identity.Service, base *app.Base) error {
				if err := s.RotateKey(ctx); err != nil {
					return err
				}
				return a.printKeys(ctx, s, base)
			})
		},
	}, a.userAct("revoke KID", "Emergency: refuse every access token of a key, everywhere within ten seconds", func(ctx context.Context, s *identity.Service, kid string) error {
		return s.RevokeKey(ctx, kid)
	}))
	return cmd
}

func (a *admin) printKeys(ctx context.Context, s *identity.Service, _ *app.Base) error {
	keys, err := s.SigningKeys(ctx)
	if err != nil {
		return err
	}
	t := table{head: []string{"kid", "state", "created"}}
	for _, k := range keys {
		state := string(k.State)
		if k.RevokedAt != nil {
			state = "revoked"
		}
		t.rows = append(t.rows, []string{k.KID, state, k.CreatedAt.Format(time.RFC3339)})
	}
	return a.print(t)
}
