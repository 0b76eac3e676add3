package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// format is how a command prints: for people, or for programs.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatCSV   format = "csv"
	formatYAML  format = "yaml"
)

var formats = []format{formatTable, formatJSON, formatCSV, formatYAML}

// outputFlags are -o and --json.
type outputFlags struct {
	text string
	json bool
}

func (f *outputFlags) register(c *cobra.Command) {
	c.Flags().StringVarP(&f.text, "output", "o", string(formatTable), "table, json, csv or yaml")
	c.Flags().BoolVar(&f.json, "json", false, "short for -o json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "csv", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *outputFlags) format() (format, error) {
	if f.json {
		return formatJSON, nil
	}
	if !slices.Contains(formats, format(f.text)) {
		return "", usageError{fmt.Errorf("unknown output %q; use table, json, csv or yaml", f.text)}
	}
	return format(f.text), nil
}

// style is what the reader's terminal can show: colours only there, and never with NO_COLOR (no-color.org).
func (a *app) style() report.Style {
	if !isTerminal(a.Out) {
		return report.Style{}
	}
	s := report.Style{Sparks: true, Color: a.Env("NO_COLOR") == "" && a.Env("TERM") != "dumb"}
	if f, ok := a.Out.(interface{ Fd() uintptr }); ok {
		if width, _, err := xterm.GetSize(int(f.Fd())); err == nil {
			s.Width = width
		}
	}
	return s
}

// reports prints the reports of jobs in one format.
type reports struct {
	format format
	out    io.Writer
	style  report.Style
	count  int
	json   *json.Encoder
	csv    *report.CSV
	held   []efficiency.Report // for people: full reports while they are few
	lines  *report.Lines
}

// fewJobs is up to how many jobs people get full reports of, instead of one line each.
const fewJobs = 10

func (a *app) newReports(f format) *reports {
	return &reports{format: f, out: a.Out, style: a.style(), json: newEncoder(a.Out), csv: report.NewCSV(a.Out)}
}

func newEncoder(out io.Writer) *json.Encoder {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc
}

func (r *reports) add(one efficiency.Report) error {
	r.count++
	switch r.format {
	case formatJSON:
		return r.json.Encode(one)
	case formatCSV:
		return r.csv.Add(one)
	case formatYAML:
		return report.YAML(r.out, one)
	}
	if r.lines != nil {
		return r.lines.Add(one)
	}
	r.held = append(r.held, one)
	if len(r.held) <= fewJobs {
		return nil
	}
	r.lines = report.NewLines(r.out, r.style)
	for _, h := range r.held {
		if err := r.lines.Add(h); err != nil {
			return err
		}
	}
	r.held = nil
	return nil
}

// close prints what was held back.
func (r *reports) close() error {
	for i, one := range r.held {
		if i > 0 {
			fmt.Fprintln(r.out)
		}
		if err := report.Print(r.out, one, r.style); err != nil {
			return err
		}
	}
	r.held = nil
	return nil
}

// maxWarnings is how many warnings a command prints before it only counts them.
const maxWarnings = 20

// warnings go to stderr, cleaned, the first of them in full. It is safe for concurrent use.
type warnings struct {
	out   io.Writer
	mu    sync.Mutex
	count int
}

func (a *app) newWarnings() *warnings { return &warnings{out: a.Err} }

func (w *warnings) add(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count++; w.count <= maxWarnings {
		fmt.Fprintln(w.out, "ergon: warning: "+term.Clean(text))
	}
}

func (w *warnings) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if more := w.count - maxWarnings; more > 0 {
		fmt.Fprintf(w.out, "ergon: warning: and %d more\n", more)
	}
}

// maxErrors is how many of many errors are printed before the last.
const maxErrors = 20

// printErrors prints all but the last of joined errors and gives that last one, which execute prints.
func (a *app) printErrors(err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	all := joined.Unwrap()
	for n, e := range all[:len(all)-1] {
		if n == maxErrors {
			fmt.Fprintf(a.Err, "ergon: and %d more errors\n", len(all)-1-n)
			break
		}
		fmt.Fprintln(a.Err, "ergon: "+term.Clean(e.Error()))
	}
	return all[len(all)-1]
}

// examples indents the lines of a help text's examples.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
