package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program under test that runs beside the test. Its output is kept in
// memory, and printed when the test fails.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed after Wait returned
}

// Start starts the program and ends it, by SIGKILL, at the end of the test at the latest.
func Start(t testing.TB, name string, spec Spec) *Process {
	t.Helper()
	p, err := Launch(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("---- output of %s\n%s", name, p.Log())
		}
	})
	return p
}

// Launch starts the program without a test to end it: the caller has to Kill or Stop it.
func Launch(name string, spec Spec) (*Process, error) {
	p := &Process{name: name, cmd: spec.Command(context.Background()), log: &logBuffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit status is read from ProcessState
		close(p.done)
	}()
	return p, nil
}

// PID is the process's id. In a namespace it is the program's own, not that of nsenter.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is everything that the program has printed so far, both streams in order of arrival.
func (p *Process) Log() string { return p.log.String() }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal to the program alone, not to its children.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil {
		return fmt.Errorf("sending %v to %s: %w", sig, p.name, err)
	}
	return nil
}

// Kill ends the program's process group by SIGKILL, as a crash does, and returns when it
// has ended. It does nothing when the program has ended before.
func (p *Process) Kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	err := syscall.Kill(-p.PID(), syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s: %w", p.name, err)
	}
	return p.wait(10*time.Second, "survived SIGKILL")
}

// Stop asks the program to end (SIGTERM) and returns its exit status. A program that
// takes longer than grace is an error.
func (p *Process) Stop(grace time.Duration) (code int, err error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return -1, err
	}
	if err := p.wait(grace, "did not end after SIGTERM"); err != nil {
		return -1, err
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// Wait returns the exit status (-1 when a signal ended the program), or the context's error.
func (p *Process) Wait(ctx context.Context) (code int, err error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("waiting for %s: %w", p.name, ctx.Err())
	}
}

// WaitLog fails the test unless the program prints the text within the time. A program
// that ends first fails it at once.
func (p *Process) WaitLog(t testing.TB, text string, within time.Duration) {
	t.Helper()
	Eventually(t, within, func() (bool, string) {
		if strings.Contains(p.Log(), text) {
			return true, ""
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended (%v) before it printed %q:\n%s", p.name, p.cmd.ProcessState, text, p.Log())
		default:
		}
		return false, fmt.Sprintf("%s has not printed %q", p.name, text)
	})
}

func (p *Process) wait(within time.Duration, otherwise string) error {
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		return fmt.Errorf("%s (pid %d) %s in %v", p.name, p.PID(), otherwise, within)
	}
}

// logBuffer is a bytes.Buffer that one goroutine writes while others read.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(data)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Name is what the process was started as.
func (p *Process) Name() string { return p.name }

// Gone says that nothing of the process runs, also when nobody has reaped it yet. Its first thread is a zombie while others of
// its threads still hold its files.
func Gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // it cannot be read because it is not there
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err != nil || len(threads) <= 1 && strings.Contains(string(stat), ") Z ")
}
