// Package slurm asks Slurm's commands, gently: absolute paths, deadlines, a clean environment and ceilings on the rate.
// Any answer that is not exit code 0 means "unknown", never "gone" (design 02).
package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"golang.org/x/time/rate"
)

// Options say how to call Slurm.
type Options struct {
	// BinDir holds squeue, sacct, scontrol and sacctmgr; absolute.
	BinDir string
	// Env is the agent's own environment; what changes Slurm's output is taken out of it.
	Env []string
	// Timeout bounds one command; it must be longer than Slurm's MessageTimeout (10 s by default).
	Timeout time.Duration
	// PerMinute holds the ceilings by command name; a command without one is not limited.
	PerMinute map[string]float64
	Observer  Observer
	Log       *slog.Logger
	Now       func() time.Time
	// Rand is a source like crypto/rand.Reader.
	Rand io.Reader
}

// Observer is told of every call, for metrics. fault is "" for success.
type Observer interface {
	SlurmCall(command string, fault slurmfmt.Fault, took time.Duration)
}

// Runner runs Slurm's commands. It is safe for concurrent use.
type Runner struct {
	opt    Options
	env    []string
	limits map[string]*throttle
	most   int // bytes that a command may print
}

// maxOutput bounds the output of one command, in bytes: an hour of a very large site's accounting.
const maxOutput = 256 << 20

// maxErrorText bounds stderr, in bytes.
const maxErrorText = 64 << 10

// NewRunner makes a runner.
func NewRunner(opt Options) (*Runner, error) {
	if !filepath.IsAbs(opt.BinDir) {
		return nil, fmt.Errorf("slurm.bin_dir must be an absolute path, not %q", opt.BinDir)
	}
	r := &Runner{opt: opt, env: slurmfmt.CommandEnv(opt.Env), limits: map[string]*throttle{}, most: maxOutput}
	for name, n := range opt.PerMinute {
		r.limits[name] = newThrottle(n)
	}
	return r, nil
}

// CommandError says that a command did not answer. What was asked is unknown then.
type CommandError struct {
	Command string
	Fault   slurmfmt.Fault
	Exit    int
	Stderr  string
}

// Error names command and cause.
func (e *CommandError) Error() string {
	text := strings.TrimSpace(e.Stderr)
	if text == "" {
		text = "no message"
	}
	return fmt.Sprintf("%s failed (%s, exit %d): %s", e.Command, e.Fault, e.Exit, text)
}

// FaultOf gives the fault of a CommandError, FaultOther for any other error and FaultNone for nil.
func FaultOf(err error) slurmfmt.Fault {
	var e *CommandError
	switch {
	case err == nil:
		return slurmfmt.FaultNone
	case errors.As(err, &e):
		return e.Fault
	}
	return slurmfmt.FaultOther
}

// run waits for the command's turn, runs it and gives its stdout.
func (r *Runner) run(ctx context.Context, command string, args ...string) ([]byte, error) {
	out, _, err := r.runAll(ctx, command, args...)
	return out, err
}

// runAll is run with stderr, for commands that fail with exit code 0.
func (r *Runner) runAll(ctx context.Context, command string, args ...string) (stdout []byte, stderr string, err error) {
	var out bytes.Buffer
	err = r.Count(ctx, command, func(ctx context.Context) (err error) {
		stderr, err = r.exec(ctx, &out, command, args)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return out.Bytes(), stderr, nil
}

// Count waits for the command's turn, does the call, and counts it: its time against the rate, its outcome for metrics.
// A call that somebody else makes for us, a helper as another user, loads Slurm as much as one of our own.
func (r *Runner) Count(ctx context.Context, command string, call func(context.Context) error) error {
	limit := r.limits[command]
	if err := limit.wait(ctx); err != nil {
		return fmt.Errorf("waiting for %s's turn: %w", command, err)
	}
	started := r.opt.Now()
	err := call(ctx)
	took := r.opt.Now().Sub(started)
	limit.note(took)
	if r.opt.Observer != nil {
		r.opt.Observer.SlurmCall(command, FaultOf(err), took)
	}
	return err
}

// exec runs the command, writes its stdout to out as it comes, at most r.most bytes, and gives its stderr. After an
// error, what was written may be a part of the answer and is worth nothing.
func (r *Runner) exec(ctx context.Context, out io.Writer, command string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Timeout)
	defer cancel()
	stdout, stderr := &capped{to: out, left: r.most}, &clipped{limit: maxErrorText}
	cmd := exec.CommandContext(ctx, filepath.Join(r.opt.BinDir, command), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = r.env, stdout, stderr, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case stdout.over:
		return "", &CommandError{command, slurmfmt.FaultOther, -1, "the output is too large"}
	case ctx.Err() != nil:
		return "", &CommandError{command, slurmfmt.FaultTimeout, -1, "no answer within " + r.opt.Timeout.String()}
	case err != nil:
		return "", commandError(command, err, stderr.buf.String())
	}
	return stderr.buf.String(), nil
}

func commandError(command string, err error, stderr string) error {
	e := &CommandError{Command: command, Exit: -1, Stderr: stderr, Fault: slurmfmt.ClassifyFault(stderr)}
	if e.Fault == slurmfmt.FaultNone {
		e.Fault = slurmfmt.FaultOther
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		e.Exit = exit.ExitCode()
	} else {
		e.Stderr = err.Error()
	}
	return e
}

// capped hands on at most left bytes; more is an error, which ends the command.
type capped struct {
	to   io.Writer
	left int
	over bool
}

var errTooLarge = errors.New("output too large")

// Write hands p on whole or not at all.
func (c *capped) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.over = true
		return 0, errTooLarge
	}
	c.left -= len(p)
	return c.to.Write(p)
}

// clipped keeps the first limit bytes and drops the rest.
type clipped struct {
	buf   bytes.Buffer
	limit int
}

// Write keeps what fits.
func (c *clipped) Write(p []byte) (int, error) {
	c.buf.Write(p[:min(len(p), c.limit-c.buf.Len())])
	return len(p), nil
}

// throttle is a ceiling that halves while Slurm is slow, or cannot keep up.
type throttle struct {
	limiter *rate.Limiter
	ceiling rate.Limit
	pressed atomic.Bool // something else than our calls says that Slurm is behind: a fast call proves nothing then
}

const (
	slowCall   = 2 * time.Second // a call that takes longer halves the rate (design 02)
	leastShare = 8               // the rate never falls below ceiling/leastShare
)

func newThrottle(perMinute float64) *throttle {
	ceiling := rate.Limit(perMinute / 60)
	return &throttle{limiter: rate.NewLimiter(ceiling, max(1, int(perMinute))), ceiling: ceiling}
}

func (t *throttle) wait(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.limiter.Wait(ctx)
}

func (t *throttle) note(took time.Duration) {
	if t == nil {
		return
	}
	now := t.limiter.Limit()
	if took > slowCall {
		t.limiter.SetLimit(max(now/2, t.ceiling/leastShare))
		return
	}
	if !t.pressed.Load() {
		t.limiter.SetLimit(min(now*2, t.ceiling))
	}
}

// press halves the rate once more while behind, and lets the next fast call raise it again when not.
func (t *throttle) press(behind bool) {
	if t == nil {
		return
	}
	t.pressed.Store(behind)
	if behind {
		t.limiter.SetLimit(max(t.limiter.Limit()/2, t.ceiling/leastShare))
	}
}

// Press says whether Slurm cannot keep up with its own work. squeue and sacct are asked half as often for each time that
// it is true, down to an eighth of their ceilings, and recover when it no longer is.
func (r *Runner) Press(behind bool) {
	for _, command := range []string{"squeue", "sacct"} {
		r.limits[command].press(behind)
	}
}
