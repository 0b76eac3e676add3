package submit

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// Staging ends at a signal: stageEnd is for what it cleans up then. A program that stages for us gets the signal of a
// terminal by itself, and its end may be seen before that signal is; signalTime is waited for one.
const (
	stageEnd   = 2 * time.Second
	signalTime = 50 * time.Millisecond
)

// stopped is the outcome of a submission that a signal ended before sbatch was run.
func stopped(by syscall.Signal) outcome { return outcome{signal: by, code: 128 + int(by)} }

// stage brings the inputs. A fault costs the variable, not the submission. A signal that ends programs ends both, as it
// would have ended the plain sbatch before it asked for a job: it is returned, and nothing may be submitted then.
func (c Call) stage(p *plan, caught chan chan os.Signal) syscall.Signal {
	if len(p.inputs) == 0 || p.inputDir == "" {
		return 0
	}
	signals := <-caught
	defer func() { caught <- signals }()
	ended, err := c.bring(p, signals)
	if ended != 0 {
		c.say(p.args, "stopped while inputs were brought here ("+ended.String()+"): nothing was submitted")
		return ended
	}
	if err != nil {
		c.say(p.args, "inputs were not brought here, and ERGON_INPUT_DIR is not set: "+err.Error())
		p.env = setenv(p.env, map[string]string{"ERGON_INPUT_DIR": ""})
		return 0
	}
	p.intent.InputBytes = sizeOf(p.inputDir)
	return 0
}

// sizeOf adds up the files that were brought.
func sizeOf(dir string) (bytes int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
	}
	return bytes
}

// stageAlone stages where this process becomes sbatch, which gets every signal from then on. What was kept for an agent
// must say that there is no job.
func (c Call) stageAlone(p *prepared) syscall.Signal {
	if len(p.plan.inputs) == 0 {
		return 0
	}
	caught := catch()
	ended := c.stage(&p.plan, caught)
	signal.Stop(<-caught)
	if ended != 0 && p.plan.tagged() && !p.late {
		c.keep(socket.Result{Intent: p.plan.intent, Signal: int(ended), NotStarted: true})
	}
	return ended
}

// bring stages until it is done or a signal ends it. Other signals stay for sbatch.
func (c Call) bring(p *plan, signals chan os.Signal) (ended syscall.Signal, err error) {
	if c.Stage == nil {
		return 0, errors.New("this build cannot")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Stage(ctx, p.inputDir, p.inputs) }()
	var others []os.Signal
	defer func() { putBack(signals, others) }()
	var late <-chan time.Time
	for {
		select {
		case err = <-done:
			if err == nil {
				return 0, nil
			}
			late = time.After(signalTime)
			done = nil
		case <-late:
			return 0, err
		case s := <-signals:
			if number := ending(s); number != 0 {
				cancel()
				wait(done)
				return number, nil
			}
			others = append(others, s)
		}
	}
}

// wait lets staging clean up; nil has ended.
func wait(done <-chan error) {
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-time.After(stageEnd):
	}
}

// ending gives the signals that end a program that waits, else 0.
func ending(s os.Signal) syscall.Signal {
	switch s {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
		return s.(syscall.Signal) //nolint:forcetypeassert // it is one of these
	}
	return 0
}

// putBack leaves signals to sbatch, as many as there is room for.
func putBack(signals chan os.Signal, others []os.Signal) {
	for _, s := range others {
		select {
		case signals <- s:
		default:
		}
	}
}
