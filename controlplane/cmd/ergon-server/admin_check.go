package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
)

// errDiffers is the end of a check that found a difference without a reason.
var errDiffers = errors.New("sreport and Ergon differ by more than 0.1 %, and not all of it is explained")

// checkTime is how sreport takes and prints times.
const checkTime = "2006-01-02T15:04:05"

// checkSReport compares a window with sreport: run here, or its output read from a file.
func checkSReport(ctx context.Context, p *process, src analytics.SpanSource, f usageFlags, now time.Time) error {
	said, err := f.sreport(ctx, p)
	if err != nil {
		return err
	}
	c, err := analytics.CheckSReport(ctx, src, said.Cluster, said, now)
	if err != nil {
		return err
	}
	switch f.output {
	case "json":
		err = checkJSON(p.stdout, said.Cluster, c)
	case "table":
		err = checkText(p.stdout, said.Cluster, c)
	default:
		return fmt.Errorf("-o %q: table or json", f.output)
	}
	if err != nil {
		return err
	}
	for _, l := range c.Lines {
		if _, explained := l.Why(); !l.Agrees() && !explained {
			return errDiffers
		}
	}
	return nil
}

// sreport gives what sreport says of the window of the flags.
func (f usageFlags) sreport(ctx context.Context, p *process) (said analytics.SReport, err error) {
	q, err := f.query()
	if err != nil {
		return said, err
	}
	if f.sreportFile == "" {
		return f.runSReport(ctx, p, q)
	}
	in := p.stdin
	if f.sreportFile != "-" {
		file, err := os.Open(f.sreportFile)
		if err != nil {
			return said, fmt.Errorf("opening sreport's output: %w", err)
		}
		defer file.Close()
		in = file
	}
	if said, err = analytics.ReadSReport(in, q.Location, ""); err != nil {
		return said, fmt.Errorf("%s: %w", f.sreportFile, err)
	}
	if said.Cluster == "" {
		said.Cluster = f.cluster
	}
	if f.cluster != "" && f.cluster != said.Cluster {
		return said, fmt.Errorf("%s is about the cluster %q, not %q", f.sreportFile, said.Cluster, f.cluster)
	}
	return f.window(said, q)
}

// window is that of the output, or of the flags where it names none.
func (f usageFlags) window(said analytics.SReport, q analytics.Query) (analytics.SReport, error) {
	switch {
	case said.From.IsZero() && (q.From == nil || q.To == nil):
		return said, errors.New("sreport's output does not say which time it is about: give --from and --to")
	case said.From.IsZero():
		said.From, said.To = *q.From, *q.To
	case q.From != nil && !q.From.Equal(said.From) || q.To != nil && !q.To.Equal(said.To):
		return said, fmt.Errorf("sreport's output is about %s to %s, not about --from and --to; leave them out", said.From.Format(time.RFC3339), said.To.Format(time.RFC3339))
	}
	return said, nil
}

// sreportTimeout is far above what sreport takes for a year of a large cluster.
const sreportTimeout = 10 * time.Minute

func (f usageFlags) runSReport(ctx context.Context, p *process, q analytics.Query) (said analytics.SReport, err error) {
	if f.cluster == "" || q.From == nil || q.To == nil {
		return said, errors.New("--check sreport needs --cluster, --from and --to (or --sreport FILE with its output)")
	}
	for _, t := range []time.Time{*q.From, *q.To} {
		if t.Truncate(time.Hour) != t.UTC() {
			return said, errors.New("Slurm sums whole hours: give --from and --to as dates or full hours") //nolint:staticcheck // a name
		}
	}
	path, err := lookPath(p.environ, "sreport")
	if err != nil {
		return said, err
	}
	ctx, cancel := context.WithTimeout(ctx, sreportTimeout)
	defer cancel()
	var out, faults bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-P", "-t", "Seconds", "cluster", "AccountUtilizationByUser", "cluster="+f.cluster,
		"start="+q.From.UTC().Format(checkTime), "end="+q.To.UTC().Format(checkTime), "format=Cluster,Accounts,Login,Used")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(append([]string{}, p.environ...), "TZ=UTC"), &out, &faults
	if err := cmd.Run(); err != nil {
		return said, fmt.Errorf("running sreport: %w: %s", err, printable(clipped(faults.String())))
	}
	if said, err = analytics.ReadSReport(&out, time.UTC, "seconds"); err != nil {
		return said, err
	}
	said.From, said.To, said.Cluster = q.From.UTC(), q.To.UTC(), f.cluster
	return said, nil
}

func clipped(text string) string { return strings.TrimSpace(text[:min(len(text), 512)]) }

// lookPath finds a program on the PATH of an environment.
func lookPath(environ []string, name string) (string, error) {
	var path string
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 && filepath.IsAbs(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no %s on this machine: run `sreport -P -t Seconds cluster AccountUtilizationByUser start=… end=…` where Slurm is, and give its output with --sreport FILE", name)
}

func checkText(w io.Writer, cluster string, c analytics.Check) error {
	fmt.Fprintf(w, "%s, %s to %s, core hours that ran in that time without suspension\n\n", printable(cluster), c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "account\tuser\tsreport\tergon\tdifference\t%\t")
	row := func(account, user string, l analytics.Line) {
		d, share := l.Difference()
		fmt.Fprintf(tw, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.3f\t\n", printable(account), printable(user), l.SReport/3600, l.Ergon/3600, d/3600, 100*share)
	}
	for _, l := range c.Lines {
		row(l.Account, l.User, l)
	}
	row("all", "", c.Total)
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, l := range c.Lines {
		if l.Agrees() {
			continue
		}
		reasons, _ := l.Why()
		fmt.Fprintf(w, "%s/%s: %s\n", printable(l.Account), printable(l.User), strings.Join(reasons, "; "))
	}
	if !c.SummedUntil.IsZero() {
		fmt.Fprintf(w, "of runs that ended before %s only sums per account are kept: they stand in no line, and neither in the next\n", c.SummedUntil.Format(time.DateOnly))
	}
	_, err := fmt.Fprintf(w, "admin usage counts jobs by their end, with all of their time: %.2f core hours = %.2f + %.2f before the window − %.2f of jobs that had not ended + %.2f suspended\n",
		c.Ended/3600, c.Total.Ergon/3600, c.Before/3600, c.After/3600, c.Suspended/3600)
	return err
}

// checkedLine is a line of `-o json`, in CPU-seconds.
type checkedLine struct {
	Account   string   `json:"account"`
	User      string   `json:"user"`
	SReport   float64  `json:"sreport_cpu_s"`
	Ergon     float64  `json:"ergon_cpu_s"`
	Percent   float64  `json:"difference_percent"`
	Agrees    bool     `json:"agrees"`
	Explained bool     `json:"explained"`
	Reasons   []string `json:"reasons"`
}

func checked(l analytics.Line) checkedLine {
	_, share := l.Difference()
	out := checkedLine{Account: l.Account, User: l.User, SReport: l.SReport, Ergon: l.Ergon, Percent: 100 * share, Agrees: l.Agrees(), Explained: true, Reasons: []string{}}
	if !out.Agrees {
		out.Reasons, out.Explained = l.Why()
	}
	return out
}

func checkJSON(w io.Writer, cluster string, c analytics.Check) error {
	lines := make([]checkedLine, len(c.Lines))
	for i, l := range c.Lines {
		lines[i] = checked(l)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	var until *string
	if !c.SummedUntil.IsZero() {
		text := c.SummedUntil.Format(time.RFC3339)
		until = &text
	}
	return enc.Encode(map[string]any{
		"summed_until": until, "cluster": cluster, "from": c.From.Format(time.RFC3339), "to": c.To.Format(time.RFC3339), "lines": lines, "total": checked(c.Total),
		"usage_cpu_s": map[string]json.Number{
			"ended": num(c.Ended), "before": num(c.Before), "after": num(c.After), "suspended": num(c.Suspended),
		},
	})
}

func num(v float64) json.Number { return json.Number(strconv.FormatFloat(v, 'f', -1, 64)) }
