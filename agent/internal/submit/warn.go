package submit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/ergon-hpc/ergon/shared/sbatch"
)

// isTerminal says whether a human is at a stream.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// quiet says that nothing may be said: scripts read our output, or we are inside a job.
func (c Call) quiet(args []string) bool {
	return !isTerminal(c.Stderr) || sbatch.Parse(args).Has("parsable", "quiet", "Q") || c.Getenv("SLURM_JOB_ID") != ""
}

// say tells a human at a terminal something that concerns this submission.
func (c Call) say(args []string, text string) {
	if !c.quiet(args) {
		fmt.Fprintln(c.Stderr, "ergon: "+strings.ReplaceAll(text, "\n", "; "))
	}
}

// What is said when no agent was told.
const (
	awayTagged   = "the agent does not answer; the job is submitted all the same and found again by its tag (ergon status says more)"
	awayUntagged = "the agent does not answer, and the script could not be looked at; the job is submitted all the same, without a tag: " +
		"Ergon knows it from Slurm's accounting alone (ergon status says more)"
)

// warn tells of faults in the script, and, once an hour, that no agent listens. A home that hangs is not waited for.
func (c Call) warn(ctx context.Context, p plan, noAgent bool) {
	for _, w := range p.warnings {
		c.say(c.Args, w)
	}
	if !noAgent || !p.submits || c.quiet(c.Args) || !within(ctx, c.hourly) {
		return
	}
	text := awayTagged
	if !p.tagged() {
		text = awayUntagged
	}
	c.say(c.Args, text)
}

// hourly allows one warning an hour.
func (c Call) hourly() bool {
	if c.StateDir == "" {
		return false
	}
	c.at("wrapper.warn")
	stamp := filepath.Join(c.StateDir, "warned")
	info, err := os.Stat(stamp)
	if err == nil && c.Now().Sub(info.ModTime()) < time.Hour {
		return false
	}
	return os.MkdirAll(c.StateDir, 0o700) == nil && os.WriteFile(stamp, nil, 0o600) == nil && os.Chtimes(stamp, c.Now(), c.Now()) == nil
}
