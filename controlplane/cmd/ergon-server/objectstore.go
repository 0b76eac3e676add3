package main

import (
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
)

// newObjectStore is the embedded store's child process. `serve` starts it; it takes no flags, its configuration comes by a pipe.
func newObjectStore() *cobra.Command {
	return &cobra.Command{
		Use:    "objectstore",
		Short:  "The embedded object store; started by serve",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return objectstore.RunChild(cmd.Context()) },
	}
}
