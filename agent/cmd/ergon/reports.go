package main

import "github.com/spf13/cobra"

// addReports registers everything that reports (job, jobs, seff, explain, files, report, watch), and sets what `ergon`
// alone does (root.RunE). This file belongs to those commands.
func (a *app) addReports(root *cobra.Command) {
	root.AddCommand(a.explainCommand(), a.seffCommand(), a.jobCommand(), a.jobsCommand(), a.watchCommand(), a.reportCommand(),
		a.filesCommand(), a.quotaCommand(), a.findingsCommand(), a.adviseCommand(), a.usageCommand())
	root.RunE = func(c *cobra.Command, _ []string) error { return a.overview(c.Context()) }
}
