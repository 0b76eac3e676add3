package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

func newAdminImport(p *process) *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Import history"}
	cmd.AddCommand(newImportSacct(p), newImportTariff(p, tariff.Price), newImportTariff(p, tariff.Carbon))
	return cmd
}

// importGC trades memory for time: rows are garbage as soon as they are stored, and little of it lives. From importMemory (bytes)
// on the collector runs as often as it must; SQLite's page cache comes on top of that.
const (
	importGC     = 300
	importMemory = 1 << 30
)

// importFlags are the options of `admin import sacct`.
type importFlags struct {
	dataDir, cluster, timezone, columns, delimiter, reject, output string
	noAnalyse                                                      bool
}

const importHelp = `Import dumps of sacct: any parsable output (-p or -P) with a header line, or without one and with --columns.
Gzip is recognised, "-" is standard input. Millions of rows are read in bounded memory, and the import may be interrupted
and repeated: rows that are stored change nothing. Rows of jobs that ended when only sums are kept (docs/configuration.md,
ERGON_RETENTION_ACCOUNTING_DAYS) are counted and not taken; other history is kept for so many days from its import.

  sacct -a -D -P -o ALL -S 2024-01-01 | ergon-server admin import sacct --cluster NAME -

Names of columns are those of sacct, in any case; the usual other names (ncpus, nodecount, job_name, …) are understood.
JobID, State (or ExitCode) and one of Submit, Eligible, Start, End are needed. Without JobIDRaw array tasks are known by
their JobID; without UID jobs are given to accounts by the name of their unix user.
Rows that cannot be used are added to the reject file, which keeps those of earlier imports, one a line: FILE:LINE, reason,
row, with tabs between.`

func newImportSacct(p *process) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "sacct FILE…", Short: "Import parsable dumps of sacct", Long: importHelp, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			defer debug.SetGCPercent(debug.SetGCPercent(importGC))
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(min(importMemory, debug.SetMemoryLimit(-1))))
			return withBase(cmd.Context(), p, f.dataDir, func(ctx context.Context, base *app.Base, deps app.Deps) error {
				return importSacct(ctx, p, importRun{base, deps, f, files})
			})
		},
	}
	dataDirFlag(cmd, &f.dataDir)
	flags := cmd.Flags()
	flags.StringVar(&f.cluster, "cluster", "", "the cluster of all rows (default: the column Cluster); made when it is new")
	flags.StringVar(&f.timezone, "timezone", "", "zone of times without an offset, such as Europe/Berlin (default: this machine's)")
	flags.StringVar(&f.columns, "columns", "", "names of the columns, with commas between, when there is no header line")
	flags.StringVar(&f.delimiter, "delimiter", "", "what separates the fields (default: found out)")
	flags.StringVar(&f.reject, "reject", "", "file for rows that cannot be used (default: rejected.tsv in the data directory)")
	flags.BoolVar(&f.noAnalyse, "no-analyse", false, "leave the efficiency reports to `admin reanalyse` or to the server")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	return cmd
}

type importRun struct {
	base  *app.Base
	deps  app.Deps
	flags importFlags
	files []string
}

// imported is what `-o json` prints.
type imported struct {
	dump.Counts
	Analysed   int     `json:"analysed"`
	Seconds    float64 `json:"seconds"`
	RowsPerS   float64 `json:"rows_per_second"`
	RejectFile string  `json:"reject_file,omitempty"`
}

func importSacct(ctx context.Context, p *process, run importRun) (err error) {
	loc, err := zone(run.flags.timezone)
	if err != nil {
		return err
	}
	rejects := newRejects(run.rejectPath(), p.stderr)
	defer func() { err = errors.Join(err, rejects.close()) }()
	bar := newProgress(p.stderr, run.deps.Now)
	rows := gormstore.NewJobs(run.base.Store)
	im := dump.New(jobs.New(rows, rows, run.deps.Now, nil), rows, polite(dump.Options{
		Cluster: run.flags.cluster, Location: loc, Columns: split(run.flags.columns), Delimiter: run.flags.delimiter, Reject: rejects.add, Intake: run.base.Intake,
		Progress: func(c dump.Counts) { bar.show("%d rows read, %d stored, %d rejected", c.Rows, c.Stored, c.Rejected) },
	}, run.base, p.stderr))
	loaded, err := run.base.Store.BulkLoad(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loaded(context.WithoutCancel(ctx))) }()
	began := run.deps.Now()
	for _, name := range run.files {
		if err := importFile(ctx, p, im, name); err != nil {
			bar.end()
			return err
		}
	}
	out := imported{Counts: im.Counts(), Seconds: run.deps.Now().Sub(began).Seconds()}
	if out.Rejected > 0 {
		out.RejectFile = rejects.path
	}
	out.RowsPerS = float64(out.Rows) / max(out.Seconds, 1e-9)
	if !run.flags.noAnalyse {
		out.Analysed, err = analyseDue(ctx, run.base, run.deps, bar)
	}
	bar.end()
	return errors.Join(err, printImported(p.stdout, run.flags.output, out))
}

// rejectPath is where rejected rows go. A replica that keeps nothing locally writes beside the caller.
func (r importRun) rejectPath() string {
	switch {
	case r.flags.reject != "":
		return r.flags.reject
	case r.base.Dir != nil:
		return r.base.Dir.File("rejected.tsv")
	}
	return "rejected.tsv"
}

func importFile(ctx context.Context, p *process, im *dump.Importer, name string) (err error) {
	if name == "-" {
		return im.File(ctx, "standard input", p.stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening a dump: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return im.File(ctx, name, f)
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' || r == ' ' })
}

func printImported(w io.Writer, format string, out imported) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	}
	fmt.Fprintf(w, "%d rows read in %.1f s (%.0f a second)\n%d stored, %d known already, %d rejected\n", out.Rows, out.Seconds, out.RowsPerS, out.Stored, out.Unchanged, out.Rejected)
	if out.Strangers > 0 {
		fmt.Fprintf(w, "%d rows were not taken: they are of people without an account (ERGON_INGEST_STRANGERS=false)\n", out.Strangers)
	}
	if out.Summed > 0 {
		fmt.Fprintf(w, "%d rows were not taken: they ended in months of which the server keeps only sums, and would count twice\n", out.Summed)
	}
	if len(out.Clusters) > 0 {
		fmt.Fprintf(w, "new clusters: %s\n", strings.Join(out.Clusters, ", "))
	}
	if out.RejectFile != "" {
		fmt.Fprintf(w, "rejected rows are in %s\n", out.RejectFile)
	}
	fmt.Fprintf(w, "%d jobs analysed\n", out.Analysed)
	return nil
}

// progress is one line on a terminal, and nothing elsewhere.
type progress struct {
	w    io.Writer // nil: not a terminal
	now  func() time.Time
	last time.Time
}

func newProgress(w io.Writer, now func() time.Time) *progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{w: w, now: now}
	}
	return &progress{now: now}
}

func (b *progress) show(format string, args ...any) {
	const interval = 200 * time.Millisecond
	if b.w == nil || b.now().Sub(b.last) < interval {
		return
	}
	b.last = b.now()
	fmt.Fprintf(b.w, "\r\x1b[K"+format, args...)
}

func (b *progress) end() {
	if b.w != nil {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
