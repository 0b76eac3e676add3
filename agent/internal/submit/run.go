package submit

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"golang.org/x/sys/unix"
)

// Budget is the most that is spent on Ergon before sbatch starts (design 02). Each part of it ends a little earlier; all
// are measured from the start of the process.
const (
	Budget      = 100 * time.Millisecond
	prepareTime = 70 * time.Millisecond
	lateTime    = 10 * time.Millisecond // for a preparation that notices its deadline by itself
	intentTime  = 80 * time.Millisecond
	lastTime    = 95 * time.Millisecond // warnings and what is kept for an agent that is away
)

// reportTime bounds how long the prompt waits after sbatch has ended; keepTime is for what the agent did not take then.
const (
	reportTime = time.Second
	keepTime   = 500 * time.Millisecond
)

// exitNoSbatch is the shell's code for "command not found".
const exitNoSbatch = 127

// prepared is what was ready in time.
type prepared struct {
	plan   plan
	agent  *socket.Client
	sbatch string // the real one, absolute
	err    error  // there is no sbatch
	late   bool   // something hung: the file systems of the user are left alone from now on
}

func (p prepared) tells() bool { return p.agent != nil && p.plan.tagged() }

// Run submits. It returns sbatch's exit code; when there is no agent, or nothing to tell one, it does not return: the
// process becomes sbatch. An error means that sbatch could not be run.
func Run(c Call) (int, error) {
	c.stdin, c.fed, c.found = make(chan struct{}, 1), make(chan *feed, 1), make(chan string, 1)
	ctx, cancel := c.until(prepareTime)
	defer cancel()
	ready := make(chan prepared, 1)
	go func() { ready <- c.prepare(ctx) }()
	var p prepared
	select {
	case p = <-ready:
	case <-ctx.Done():
		p = c.tooLate(ready)
	}
	if p.err != nil {
		return exitNoSbatch, p.err
	}
	if !p.tells() && p.plan.stdin == nil {
		c.alone(p)
		if ended := c.stageAlone(&p); ended != 0 {
			return stopped(ended).passOn()
		}
		return exitNoSbatch, become(p)
	}
	return c.supervise(p)
}

// until gives what may still be spent of the time since the start.
func (c Call) until(spent time.Duration) (context.Context, context.CancelFunc) {
	limit := c.limit
	if limit == nil {
		limit = context.WithDeadline
	}
	return limit(context.Background(), c.Started.Add(spent))
}

// within does what may hang in a file system for ever, and goes on without it when ctx ends.
func within[T any](ctx context.Context, f func() T) (out T) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case out = <-done:
	case <-ctx.Done():
	}
	return out
}

// tooLate gives the untouched call: a file system hangs. Whatever the preparation still does is not used, but a read of
// stdin that began is: its bytes are sbatch's. A directory of PATH that hangs, hangs for the plain sbatch as well.
func (c Call) tooLate(ready <-chan prepared) prepared {
	select {
	case p := <-ready: // preparation notices the deadline itself unless the kernel holds it
		return p
	case <-time.After(lateTime):
	}
	p := prepared{plan: untouched(c), late: true}
	select {
	case c.stdin <- struct{}{}: // nobody reads it from now on
	default:
		p.plan.stdin = <-c.fed
	}
	select {
	case p.sbatch = <-c.found:
	default:
		p.sbatch, p.err = c.find("")
	}
	return p
}

// prepare does all that comes before sbatch and may hang.
func (c Call) prepare(ctx context.Context) (p prepared) {
	p.plan = untouched(c)
	c.at("wrapper.site")
	node := c.readSite()
	c.at("wrapper.path")
	if p.sbatch, p.err = c.find(node.Sbatch); p.err != nil {
		return p
	}
	c.found <- p.sbatch
	c.at("wrapper.off")
	if Disabled(c.Getenv, exists) {
		return p
	}
	c.at("wrapper.agent")
	agent, err := socket.Find(ctx, c.Getenv)
	if err == nil {
		p.agent = agent
	}
	c.at("wrapper.script")
	p.plan = c.plan(ctx, node, p.agent != nil)
	return p
}

// become replaces this process by sbatch.
func become(p prepared) error {
	err := syscall.Exec(p.sbatch, append([]string{"sbatch"}, p.plan.args...), p.plan.env)
	return fmt.Errorf("running %s: %w", p.sbatch, err)
}

// alone says that no agent was told, and keeps for one what it must know.
func (c Call) alone(p prepared) {
	if p.late {
		return
	}
	ctx, cancel := c.until(lastTime)
	defer cancel()
	c.warn(ctx, p.plan, p.agent == nil)
	if p.plan.tagged() && p.plan.intent.Dirs.Output != "" {
		within(ctx, func() bool { return c.spool(socket.Result{Intent: p.plan.intent}, quickly) })
	}
}

// supervise tells the agent, runs sbatch as a child, and tells the agent what came of it.
func (c Call) supervise(p prepared) (int, error) {
	caught := catch()
	told := !p.tells()
	if p.tells() {
		defer p.agent.Close()
		ctx, cancel := c.until(intentTime)
		c.at("wrapper.intent.before")
		told = p.agent.Intent(ctx, p.plan.intent) == nil
		cancel()
		c.at("wrapper.intent.after")
	}
	if !p.late {
		ctx, cancel := c.until(lastTime)
		c.warn(ctx, p.plan, !told)
		cancel()
	}
	run := c.submit(&p, caught)
	if p.tells() {
		c.report(p, run, told)
	}
	return run.passOn()
}

// submit brings the inputs and runs sbatch, which a signal in the first keeps from being started.
func (c Call) submit(p *prepared, caught chan chan os.Signal) outcome {
	if ended := c.stage(&p.plan, caught); ended != 0 {
		return stopped(ended)
	}
	run := c.child(*p, caught)
	c.at("wrapper.sbatch.after")
	return run
}

// report tells the agent. The prompt waits for its answer only where the tag does not say the same: there is no job, or
// the intent may not have arrived.
func (c Call) report(p prepared, run outcome, told bool) {
	r := socket.Result{
		Intent: p.plan.intent, BaseID: run.baseID, ExitCode: run.code, Signal: int(run.signal), NotStarted: !run.started, Refused: run.refused(),
	}
	ctx, cancel := c.limited(reportTime)
	defer cancel()
	c.at("wrapper.report")
	if !told || r.BaseID == "" || p.agent.Report(ctx, r) != nil {
		if err := p.agent.Result(ctx, r); err != nil {
			c.keep(r)
			return
		}
	}
	if c.StateDir != "" {
		within(ctx, func() bool { FlushSpool(ctx, c.StateDir, p.agent); return true })
	}
}

// keep is for the next call. It has a time of its own: the agent may have used up the other.
func (c Call) keep(r socket.Result) {
	ctx, cancel := c.limited(keepTime)
	defer cancel()
	within(ctx, func() bool { return c.spool(r, safely) })
}

// passOn ends as sbatch ended, by the same signal where it was one.
func (o outcome) passOn() (int, error) {
	if o.err != nil {
		return exitNoSbatch, fmt.Errorf("running sbatch: %w", o.err)
	}
	if o.signal != 0 {
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // one core is enough
		signal.Reset(o.signal)
		_ = syscall.Kill(os.Getpid(), o.signal)
		time.Sleep(100 * time.Millisecond) // a signal that we were started to ignore: the code says it
	}
	return o.code, nil
}
