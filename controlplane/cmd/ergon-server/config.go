package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
)

func newConfig(p *process) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	cmd.AddCommand(&cobra.Command{
		Use: "print", Short: "Print what is in force, secrets redacted", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			for _, s := range config.Settings(cfg) {
				fmt.Fprintf(p.stdout, "%s=%s\n", s.Name, s.Value)
			}
			return nil
		},
	}, &cobra.Command{
		Use: "names", Short: "List every setting with its default", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			for _, s := range config.Settings(config.Config{}) {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Default, s.Doc)
			}
			return w.Flush()
		},
	})
	return cmd
}
