package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/local"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/advice"
)

// adviseFlags are the options of `ergon advise`.
type adviseFlags struct {
	since, output, cluster string
	write                  bool
	// arguments are those that the script is going to get; none are not known, rather than none.
	arguments []string
}

func (a *app) adviseCommand() *cobra.Command {
	var f adviseFlags
	c := &cobra.Command{
		Use:   "advise JOBID|SCRIPT [-- ARGUMENT…]",
		Short: "What to ask for, learned from earlier runs of the same work",
		Long: `Compare a job or a batch script with your earlier runs of the same work (the name without its numbers, the same account
and partition, and where they are known the same script and arguments but for numbers) and say what to ask for: --mem, --cpus-per-task or --ntasks, --time, with what it saves
and what may go wrong. Runs that failed, were killed for memory or time, were too short or not fully measured do not count, and
there is no advice from fewer than three. The runs are those that the server knows when you are logged in (of a script only what
it asks for, a digest and its numbers are sent, never its text), else those of the local accounting, which knows no scripts.

Give the arguments that the script is going to get behind --, where it gets any: where what runs needed follows one of the numbers in
script or arguments, or the size of the inputs, the advice is for the number given. Beside all numbers that were seen there is no advice.

For a script the changed #SBATCH lines are shown as a diff, and --write puts them in. Options on the command line of sbatch
go over the lines in the script, as always. A job is a number, a file that exists is a script.`,
		Example: examples("ergon advise job.sh", "ergon advise job.sh --write", "ergon advise job.sh -- --size 20", "ergon advise 4711"),
		Args:    atLeastOne("a job id or a batch script, for instance: ergon advise job.sh"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := textOrJSON(f.output); err != nil {
				return err
			}
			f.arguments = args[1:]
			return a.advise(c.Context(), args[0], f)
		},
	}
	c.Flags().StringVar(&f.since, "since", "90d", "how far to look back: 90d, 2w or a day such as 2026-11-01")
	c.Flags().StringVar(&f.cluster, "cluster", "", "the cluster, where the server knows several")
	c.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
	c.Flags().BoolVar(&f.write, "write", false, "change the #SBATCH lines of the script")
	return c
}

// advised is what `-o json` prints.
type advised struct {
	advice.Advice
	Diff    string `json:"diff,omitempty"`
	Written bool   `json:"written"`
	Source  string `json:"source"`
}

func (a *app) advise(ctx context.Context, name string, f adviseFlags) error {
	script, err := openScript(name)
	if err != nil {
		return err
	}
	if script == nil && len(f.arguments) > 0 {
		return usageError{errors.New("arguments belong to a script: ergon advise SCRIPT -- ARGUMENT…")}
	}
	if script == nil && f.write {
		return usageError{errors.New("--write needs the script: ergon advise SCRIPT --write")}
	}
	if script != nil {
		script.arguments = f.arguments
	}
	out, err := a.compare(ctx, name, script, f)
	if err != nil {
		return err
	}
	if script != nil {
		if err := script.change(&out); err != nil {
			return err
		}
		if f.write && out.Diff != "" {
			if err := script.write(); err != nil {
				return err
			}
			out.Written = true
		}
	}
	if f.output == "json" {
		return newEncoder(a.Out).Encode(out)
	}
	return out.print(a.Out, name)
}

// localAdvice compares with the local accounting.
func (a *app) localAdvice(ctx context.Context, name string, script *batchScript, f adviseFlags) (advised, error) {
	warn := a.newWarnings()
	defer warn.close()
	r, err := a.reporter(warn)
	if err != nil {
		return advised{}, err
	}
	history, err := a.history(ctx, r, f.since)
	if err != nil {
		return advised{}, err
	}
	target, err := a.target(ctx, r, name, script, history)
	if err != nil {
		return advised{}, err
	}
	out := advised{Source: "the local sacct"}
	newest, _ := target.Newest(history)
	out.Advice = advice.Advise(target, history, advice.OptionsOf(r.Cluster(ctx), newest, target.Partition))
	return out, nil
}

// history are this user's runs.
func (a *app) history(ctx context.Context, r local.Reporter, since string) ([]advice.Run, error) {
	from, err := parseSince(since, a.Now())
	if err != nil {
		return nil, err
	}
	reports, err := r.Since(ctx, from, a.Now())
	if err != nil {
		return nil, plainFault(err)
	}
	runs := make([]advice.Run, len(reports))
	for i := range reports {
		runs[i].Report = reports[i]
	}
	return runs, nil
}

func (a *app) target(ctx context.Context, r local.Reporter, name string, script *batchScript, history []advice.Run) (advice.Target, error) {
	if script != nil {
		t := script.target(name)
		t.FillFrom(history)
		return t, nil
	}
	reports, missing, err := r.Jobs(ctx, []string{name})
	var bad *local.ErrID
	switch {
	case errors.As(err, &bad):
		return advice.Target{}, usageError{fmt.Errorf("%q is neither a job id nor a file that exists", name)}
	case err != nil:
		return advice.Target{}, plainFault(err)
	case len(reports) == 0:
		return advice.Target{}, unknownJobs(missing)
	}
	return advice.TargetOf(advice.Run{Report: reports[0]}), nil
}

// batchScript is a script as it was read.
type batchScript struct {
	arguments  []string
	path       string // without symbolic links
	info       fs.FileInfo
	text       string
	directives *advice.Directives
	changed    string
}

// target is what the script asks for.
func (s *batchScript) target(name string) advice.Target {
	t := advice.TargetOfScript(s.directives, filepath.Base(name), s.text)
	if len(s.arguments) > 0 {
		t = t.With(s.arguments)
	}
	return t
}

// maxScript is Slurm's own limit (MAX_BATCH_SCRIPT_SIZE is 4 MB by default).
const maxScript = 4 << 20

// openScript reads a file that exists; nil for a name that is none.
func openScript(name string) (*batchScript, error) {
	path, err := filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	s := &batchScript{path: path}
	if s.text, s.info, err = readScript(path); err != nil {
		return nil, err
	}
	if s.directives, err = advice.ReadDirectives(s.text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func readScript(path string) (text string, info fs.FileInfo, err error) {
	info, err = os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%s is no regular file", path)
	}
	if err == nil && info.Size() > maxScript {
		return "", nil, fmt.Errorf("%s is larger than any batch script", path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the script: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("reading the script: %w", err)
	}
	return string(data), info, nil
}

// change puts the advice into the script's text.
func (s *batchScript) change(out *advised) error {
	var directives []string
	for _, item := range out.Items {
		if item.Directive != "" {
			directives = append(directives, item.Directive)
		}
	}
	var err error
	if s.changed, err = s.directives.Set(directives...); err != nil {
		return err
	}
	out.Diff = advice.Diff(filepath.Base(s.path), s.text, s.changed)
	return nil
}

func (o advised) print(w io.Writer, name string) error {
	fmt.Fprintf(w, "%s: %d %s of the same work (name %s, from %s)\n", term.Clean(name), o.Runs, plural(o.Runs, "earlier run"), term.Clean(o.Fingerprint.Name), term.Clean(o.Source))
	if o.Runs > 0 {
		fmt.Fprintf(w, "  %s\n", o.Group.Text(o.Runs))
	}
	for _, item := range o.Items {
		fmt.Fprintf(w, "\n%-7s %s\n", item.Kind, adviceWord(item))
		fmt.Fprintf(w, "  %s\n", term.Clean(item.Why))
		if saved := wastedText(item.Saving); saved != "" {
			fmt.Fprintf(w, "  saves%s a run\n", strings.TrimPrefix(saved, ","))
		}
		if item.RiskText != "" {
			fmt.Fprintf(w, "  risk: %s\n", item.RiskText)
		}
		if len(item.Left) > 0 {
			fmt.Fprintf(w, "  left out: %s\n", leftOut(item.Left))
		}
	}
	if o.Diff == "" {
		return nil
	}
	note := "ergon advise " + name + " --write puts this in:"
	if o.Written {
		note = "written:"
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s", term.Clean(note), cleanLines(o.Diff))
	return err
}

func adviceWord(item advice.Item) string {
	switch item.Verdict {
	case advice.Refused:
		return "no advice (" + string(item.Reason) + ")"
	case advice.Keep:
		return "keep"
	case advice.Raise:
		return "#SBATCH " + item.Directive + "  (more)"
	}
	return "#SBATCH " + item.Directive
}

func leftOut(left map[advice.Reason]int) string {
	var parts []string
	for _, why := range advice.RunReasons() {
		if n := left[why]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(why), "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}

// cleanLines keeps a script's text from driving the terminal.
func cleanLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(term.Clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
