package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

// admin is what the admin commands share: they work on the data directory or the database itself, beside a running server
// or without one.
type admin struct {
	p       *process
	json    bool
	dataDir string
}

// newAdmin holds the commands of whoever runs the machine. A new one is one more line here, or in adminData.
func newAdmin(p *process) *cobra.Command {
	a := &admin{p: p}
	cmd := &cobra.Command{Use: "admin", Short: "Administer accounts, clusters, agents, keys and data, on the data directory or the database itself"}
	for _, group := range []*cobra.Command{a.userCommand(), a.quotaCommand(), a.storeCommand(), a.prefixCommand(), a.clusterCommand(), a.enrolCommand(), a.agentCommand(), a.linkCommand(), a.optoutCommand(), a.sessionCommand(), a.keyCommand(), a.auditCommand()} {
		a.share(group)
		cmd.AddCommand(group)
	}
	cmd.AddCommand(adminData(p)...)
	return cmd
}

// share adds the options that every identity command has.
func (a *admin) share(cmd *cobra.Command) {
	var output string
	cmd.PersistentFlags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.PersistentFlags().StringVar(&a.dataDir, "data-dir", "", "the data `directory` (default: ERGON_DATA_DIR, else as ergon-server serve finds it)")
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error {
		if output != "text" && output != "json" {
			return fmt.Errorf("-o %s: only text and json are known", output)
		}
		a.json = output == "json"
		return nil
	}
}

// with opens identity for one command.
func (a *admin) with(ctx context.Context, fn func(ctx context.Context, svc *identity.Service, base *app.Base) error) error {
	return withBase(ctx, a.p, a.dataDir, func(ctx context.Context, base *app.Base, deps app.Deps) error {
		cfg, err := a.p.load()
		if err != nil {
			return err
		}
		svc, err := app.NewIdentity(ctx, cfg, base, deps, nil)
		if err != nil {
			return err
		}
		return fn(ctx, svc, base)
	})
}

// table is an answer: JSON objects with the headings as members, or columns.
type table struct {
	head []string
	rows [][]string
}

func (a *admin) print(t table) error {
	if !a.json {
		return printColumns(a.p.stdout, t)
	}
	list := make([]map[string]string, 0, len(t.rows))
	for _, row := range t.rows {
		m := map[string]string{}
		for i, h := range t.head {
			m[strings.ReplaceAll(h, " ", "_")] = row[i]
		}
		list = append(list, m)
	}
	enc := json.NewEncoder(a.p.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

func printColumns(w io.Writer, t table) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(t.head, "\t")))
	for _, row := range t.rows {
		fmt.Fprintln(tw, clean(strings.Join(row, "\t")))
	}
	return tw.Flush()
}

// clean drops control characters of names that came from outside, but not the tabs of the table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || (r >= 0x7f && r < 0xa0)) {
			return -1
		}
		return r
	}, s)
}
