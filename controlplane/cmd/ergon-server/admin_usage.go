package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
)

// usageFlags are the options of `admin usage`.
type usageFlags struct {
	dataDir, by, metrics, cluster, from, to, timezone, output string
	check, sreportFile                                        string
}

// usageHelp states the definitions; the list of metrics is added from the code.
const usageHelp = `Sums over all jobs of the database, grouped by one dimension.

Hours are counted as Open XDMoD counts wall time: end - start of every incarnation that started and ended, times what it
had been given. An incarnation is one row of accounting: a task of an array is one, and each run of a requeued job is one.
It belongs to the day (week, month, year) in which it ended, in the zone of --timezone; weeks are those of ISO 8601.
Jobs that never started are stored and in no number but never_started_count; a group of nothing else is left out unless
that is asked for. What runs still is not counted. Of jobs that are kept no longer (ERGON_RETENTION_ACCOUNTING_DAYS) sums per
cluster, account and month are left: by other dimensions they stand in the group (summed), and a note says how many they are.

--check sreport compares the window with Slurm's own totals, by account and user: sreport is run here, or its output is
read from --sreport FILE (sreport -P -t Seconds cluster AccountUtilizationByUser cluster=NAME start=… end=…). Differences
over 0.1 %% are explained; the exit code is 1 when something is left that no reason accounts for.

Dimensions: %s
Metrics:
%s`

func newAdminUsage(p *process) *cobra.Command {
	var f usageFlags
	cmd := &cobra.Command{
		Use: "usage", Short: "Core hours, job counts and the like, by cluster, user, account, month, …", Args: cobra.NoArgs,
		Long: usageText(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.check != "" && f.check != "sreport" || f.check == "" && f.sreportFile != "" {
				return errors.New("--check knows sreport only, and --sreport belongs to it")
			}
			return withBase(cmd.Context(), p, f.dataDir, func(ctx context.Context, base *app.Base, deps app.Deps) error {
				rows := gormstore.NewJobs(base.Store)
				if err := clusterExists(ctx, rows, f.cluster); err != nil {
					return err
				}
				if f.check != "" {
					return checkSReport(ctx, p, rows, f, deps.Now())
				}
				return usage(ctx, p, rows, f)
			})
		},
	}
	dataDirFlag(cmd, &f.dataDir)
	flags := cmd.Flags()
	flags.StringVar(&f.by, "by", "cluster", "the dimension")
	flags.StringVar(&f.metrics, "metrics", "job_count,cpu_hours,node_hours,wall_hours,wait_hours,gpu_hours,suspended_hours", "metrics, with commas between")
	flags.StringVar(&f.cluster, "cluster", "", "only this cluster")
	flags.StringVar(&f.from, "from", "", "ended at or after this date (2024-01-31) or time (RFC 3339)")
	flags.StringVar(&f.to, "to", "", "ended before this date or time; a date means its first second")
	flags.StringVar(&f.timezone, "timezone", "", "zone of days and dates, such as Europe/Berlin (default: this machine's)")
	flags.StringVarP(&f.output, "output", "o", "table", "table, csv or json")
	flags.StringVar(&f.check, "check", "", "sreport: compare with Slurm's own totals")
	flags.StringVar(&f.sreportFile, "sreport", "", "what sreport printed (- is standard input), instead of running it")
	return cmd
}

func usageText() string {
	var dims []string
	for _, d := range analytics.Dimensions() {
		dims = append(dims, string(d))
	}
	var metrics strings.Builder
	for _, m := range analytics.Metrics() {
		fmt.Fprintf(&metrics, "  %-20s %s\n", m.Name, m.What)
	}
	return fmt.Sprintf(usageHelp, strings.Join(dims, ", "), metrics.String())
}

func usage(ctx context.Context, p *process, src analytics.Source, f usageFlags) error {
	metrics, err := analytics.ParseMetrics(f.metrics)
	if err != nil {
		return err
	}
	q, err := f.query()
	if err != nil {
		return err
	}
	q.Energy, q.Ledger = analytics.NeedsEnergy(metrics), analytics.NeedsLedger(metrics)
	groups, err := analytics.Usage(ctx, src, q)
	if err != nil {
		return err
	}
	for _, note := range analytics.Missing(groups) {
		fmt.Fprintln(p.stderr, "note:", note)
	}
	groups = analytics.Shown(groups)
	if !slices.ContainsFunc(metrics, func(m analytics.Metric) bool { return m.Name == "never_started_count" }) {
		groups = slices.DeleteFunc(groups, func(g analytics.Group) bool { return g.Sums.Started == 0 })
	}
	t := usageTable{by: f.by, metrics: metrics, groups: groups}
	switch f.output {
	case "json":
		return t.json(p.stdout)
	case "csv":
		return t.csv(p.stdout)
	case "table":
		return t.text(p.stdout)
	}
	return fmt.Errorf("-o %q: table, csv or json", f.output)
}

func (f usageFlags) query() (q analytics.Query, err error) {
	if q.By, err = analytics.ParseDimension(f.by); err != nil {
		return q, err
	}
	if q.Location, err = zone(f.timezone); err != nil {
		return q, err
	}
	q.Cluster = f.cluster
	if q.From, err = moment("--from", f.from, q.Location); err != nil {
		return q, err
	}
	q.To, err = moment("--to", f.to, q.Location)
	return q, err
}

func moment(flag, text string, loc *time.Location) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("%s: %q is neither a date (2024-01-31) nor a time (2024-01-31T12:00:00Z)", flag, text)
}

// usageTable prints groups; the name of the first column is the dimension as it was asked for.
type usageTable struct {
	by      string
	metrics []analytics.Metric
	groups  []analytics.Group
}

// json writes a list of objects; the order of the names is that of the request.
func (t usageTable) json(w io.Writer) error {
	var b strings.Builder
	b.WriteByte('[')
	for i, g := range t.groups {
		b.WriteString([]string{"\n  {", ",\n  {"}[min(i, 1)])
		if err := member(&b, t.by, g.Key); err != nil {
			return err
		}
		for _, m := range t.metrics {
			b.WriteString(", ")
			if err := member(&b, m.Name, m.Value(g.Sums)); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	}
	b.WriteString("\n]\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func member(b *strings.Builder, name string, value any) error {
	k, err := json.Marshal(name)
	if err != nil {
		return fmt.Errorf("writing a name: %w", err)
	}
	v, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing a value: %w", err)
	}
	b.Write(k)
	b.WriteString(": ")
	b.Write(v)
	return nil
}

func (t usageTable) rows(precision int) [][]string {
	head := []string{t.by}
	for _, m := range t.metrics {
		head = append(head, m.Name)
	}
	out := [][]string{head}
	for _, g := range t.groups {
		row := []string{cell(g.Key, precision)}
		for _, m := range t.metrics {
			row = append(row, cell(m.Value(g.Sums), precision))
		}
		out = append(out, row)
	}
	return out
}

func cell(v any, precision int) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', precision, 64)
	}
	return fmt.Sprint(v)
}

func (t usageTable) csv(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.WriteAll(t.rows(-1)); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	return nil
}

func (t usageTable) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range t.rows(2) {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(tw, strings.Join(row, "\t")+"\t")
	}
	return tw.Flush()
}
