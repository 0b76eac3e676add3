package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func (a *app) findingsCommand() *cobra.Command {
	var since, output, cluster string
	c := &cobra.Command{
		Use:   "findings",
		Short: "What to change first: the findings of your jobs, added up",
		Long: `Add up the findings of your jobs, the most wasteful rule first: how many jobs, what they wasted together, the worst of them
by id, and what to change. From the server when you are logged in and it knows jobs of yours in that time, else from the local
accounting. Locally no profiles are read for so many jobs, so rules that need a profile (memory growth, idle nodes) are then found
by ergon seff JOBID only.`,
		Example: examples("ergon findings", "ergon findings --since 7d -o json"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := textOrJSON(output); err != nil {
				return err
			}
			return a.findings(c.Context(), since, cluster, output == "json")
		},
	}
	c.Flags().StringVar(&since, "since", "30d", "how far to look back: 30d, 12h, 2w or a day such as 2026-11-01")
	c.Flags().StringVar(&cluster, "cluster", "", "only this cluster")
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return c
}

func textOrJSON(output string) error {
	if output != "text" && output != "json" {
		return usageError{fmt.Errorf("-o %s: only text and json are known", output)}
	}
	return nil
}

// windowFindings is what `-o json` prints.
type windowFindings struct {
	From     string                 `json:"from"`
	To       string                 `json:"to"`
	Jobs     int64                  `json:"jobs"`
	Started  int64                  `json:"started"`
	Analysed int64                  `json:"analysed"`
	Findings []efficiency.RuleTotal `json:"findings"`
	Source   string                 `json:"source"`
}

func (a *app) findings(ctx context.Context, since, cluster string, asJSON bool) error {
	to := a.Now()
	from, err := parseSince(since, to)
	if err != nil {
		return err
	}
	out, err := a.remoteFindings(ctx, from, to, cluster)
	if err != nil && !localInstead(err) {
		return err
	}
	if err != nil || out.Jobs == 0 {
		out, err = orLocal(out, err, func() (windowFindings, error) { return a.localFindings(ctx, from, to, cluster) })
	}
	if err != nil {
		return err
	}
	if asJSON {
		return newEncoder(a.Out).Encode(out)
	}
	return out.print(a.Out, since)
}

func (a *app) remoteFindings(ctx context.Context, from, to time.Time, cluster string) (windowFindings, error) {
	r, err := a.remote(ctx)
	if err != nil {
		return windowFindings{}, err
	}
	found, err := r.findings(ctx, from, to, cluster)
	if err != nil {
		return windowFindings{}, err
	}
	return windowFindings{
		From: found.From.UTC().Format(time.RFC3339), To: found.To.UTC().Format(time.RFC3339), Jobs: found.Jobs, Started: found.Started,
		Analysed: found.Analysed, Findings: found.Findings, Source: "from " + r.server,
	}, nil
}

func (a *app) localFindings(ctx context.Context, from, to time.Time, cluster string) (windowFindings, error) {
	p, err := a.localPeriod(ctx, from, to, cluster)
	if err != nil {
		return windowFindings{}, err
	}
	n := int64(len(p.reports))
	return windowFindings{
		From: from.UTC().Format(time.RFC3339), To: to.UTC().Format(time.RFC3339), Jobs: n, Started: int64(p.started), Analysed: n,
		Findings: efficiency.SumFindings(p.reports), Source: p.source,
	}, nil
}

func (f windowFindings) print(w io.Writer, since string) error {
	fmt.Fprintf(w, "%d jobs since %s, %d of them started (%s)\n", f.Jobs, since, f.Started, term.Clean(f.Source))
	if f.Analysed < f.Started {
		fmt.Fprintf(w, "%d of them are analysed; the rest is in no finding yet\n", f.Analysed)
	}
	if len(f.Findings) == 0 {
		fmt.Fprintln(w, "Nothing worth telling was found in them.")
	}
	for _, t := range f.Findings {
		fmt.Fprintf(w, "\n%s: %s in %d %s%s\n", t.Severity, t.Rule, t.Jobs, plural(t.Jobs, "job"), wastedText(t.Wasted))
		fmt.Fprintf(w, "  %s\n", term.Clean(t.Text))
		if t.Change != "" {
			fmt.Fprintf(w, "  → %s\n", term.Clean(t.Change))
		}
		fmt.Fprintf(w, "  worst: %s\n", term.Clean(strings.Join(t.Worst, ", ")))
	}
	_, err := fmt.Fprintln(w, "\nergon seff JOBID explains one job; ergon advise SCRIPT says what to ask for.")
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func wastedText(w efficiency.Wasted) string {
	var parts []string
	const hour = 3600
	if w.CoreS > 0 {
		parts = append(parts, fmt.Sprintf("%.1f core hours", w.CoreS/hour))
	}
	if w.ByteS > 0 {
		parts = append(parts, fmt.Sprintf("%.1f GiB hours of memory", w.ByteS/hour/(1<<30)))
	}
	if w.GPUS > 0 {
		parts = append(parts, fmt.Sprintf("%.1f GPU hours", w.GPUS/hour))
	}
	if w.Joule > 0 {
		parts = append(parts, fmt.Sprintf("%.2f kWh", w.Joule/efficiency.JoulePerKWh))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}
