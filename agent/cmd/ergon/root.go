package main

import (
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/spf13/cobra"
)

// newRoot joins all commands. A file that adds commands has one function that lists them, named here.
func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "ergon",
		Short:         "What your Slurm jobs really used, what they wasted, and what to change",
		Version:       buildinfo.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().StringVar(&a.server, "server", "", "address of the server (default: where you are logged in, or $ERGON_SERVER)")
	root.AddCommand(a.accountCommands()...)
	root.AddCommand(a.agentCommands()...)
	a.addReports(root)
	usageOfArgs(root)
	return root
}

// usageOfArgs makes wrong arguments of any command, commands that do not exist, and flags that exclude each other errors of
// usage, as unknown flags are.
func usageOfArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err == nil {
				err = c.ValidateFlagGroups()
			}
			if err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageOfArgs(sub)
	}
}
