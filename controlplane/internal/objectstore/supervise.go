package objectstore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	maxPause     = 30 * time.Second
	calmAtLeast  = 3 * time.Second // a child that served so long, and ten times the pause, resets the pause
	calmAtMost   = time.Minute
	stopGrace    = 12 * time.Second // versitygw lets requests finish for 10 s
	maxProbeMiss = 3
	maxLogLine   = 4 << 10
)

var errEnded = errors.New("its process ended")

// supervise runs children one after the other until ctx ends. first receives the outcome of the first start only.
// The thread stays with this goroutine: PR_SET_PDEATHSIG fires when the *thread* that started the child ends.
func (s *Server) supervise(ctx context.Context, first chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	pause := s.cfg.FirstPause
	for {
		calm := time.NewTimer(min(max(calmAtLeast, 10*pause), calmAtMost))
		err := s.runOnce(ctx, first)
		if ctx.Err() != nil {
			return
		}
		if first != nil && !s.served() {
			first <- err
			return
		}
		first = nil
		s.note(err)
		if !calm.Stop() {
			pause = s.cfg.FirstPause
		}
		s.cfg.Log.Error("the object store ended; starting it again", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
		s.restarts.Add(1)
	}
}

func (s *Server) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = err
}

// served reports whether a child has ever served; it is asked by the supervising goroutine only.
func (s *Server) served() bool { return s.everServed }

// process is one child with the parent's ends of its pipes.
type process struct {
	cmd   *exec.Cmd
	life  *os.File // closing it tells the child to end
	ready *os.File
	logs  sync.WaitGroup
}

// runOnce starts a child, reports readiness on first, watches it, and returns why it ended.
func (s *Server) runOnce(ctx context.Context, first chan<- error) error {
	p, err := s.spawn()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		p.logs.Wait()
		ended <- p.cmd.Wait()
	}()
	defer p.ready.Close()
	if err := s.awaitReady(ctx, p); err != nil {
		return errors.Join(err, s.stop(p, ended))
	}
	s.everServed = true
	s.pid.Store(int64(p.cmd.Process.Pid))
	defer s.pid.Store(0)
	if first != nil {
		first <- nil
	}
	return s.watch(ctx, p, ended)
}

func (s *Server) spawn() (*process, error) {
	childLife, life, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	ready, childReady, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a pipe: %w", err), childLife.Close(), life.Close())
	}
	defer childLife.Close()
	defer childReady.Close()
	p := &process{life: life, ready: ready, cmd: s.command(childLife, childReady)}
	if err = s.attachLogs(p); err == nil {
		err = p.cmd.Start()
	}
	if err == nil {
		err = json.NewEncoder(life).Encode(s.child)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the object store's process: %w", err), life.Close(), ready.Close())
	}
	return p, nil
}

func (s *Server) command(life, ready *os.File) *exec.Cmd {
	cmd := exec.Command(s.cfg.Command[0], s.cfg.Command[1:]...) //nolint:noctx // the pipe and watch end it, gracefully
	cmd.Env = []string{}                                        // nothing of ours: it may hold secrets
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{life, ready, s.lock} // configFD, readyFD, lockFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}

// attachLogs copies what the child prints into our log, line by line.
func (s *Server) attachLogs(p *process) error {
	for _, pipe := range []func() (io.ReadCloser, error){p.cmd.StdoutPipe, p.cmd.StderrPipe} {
		r, err := pipe()
		if err != nil {
			return fmt.Errorf("making a pipe: %w", err)
		}
		p.logs.Go(func() {
			lines := bufio.NewReaderSize(r, maxLogLine)
			for {
				line, _, err := lines.ReadLine()
				if err != nil {
					return
				}
				s.cfg.Log.Info("object store", "says", string(line))
			}
		})
	}
	return nil
}

// awaitReady waits for the byte that the child writes when it listens.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	got := make(chan error, 1)
	go func() {
		_, err := p.ready.Read(make([]byte, 1))
		got <- err
	}()
	timeout := time.NewTimer(s.cfg.StartTimeout)
	defer timeout.Stop()
	select {
	case err := <-got:
		if err != nil {
			return errors.New("its process ended before it served; its own words are in the log")
		}
		return nil
	case <-timeout.C:
		return fmt.Errorf("it does not serve after %s", s.cfg.StartTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch returns when the child has ended: by itself, because ctx ended, or because it stopped answering.
func (s *Server) watch(ctx context.Context, p *process, ended chan error) error {
	tick := time.NewTicker(s.cfg.ProbeEvery)
	defer tick.Stop()
	missed := 0
	for {
		select {
		case err := <-ended:
			return errors.Join(errEnded, err, p.life.Close())
		case <-ctx.Done():
			return s.stop(p, ended)
		case <-tick.C:
			if err := s.ask(ctx); err == nil {
				missed = 0
			} else if missed++; missed >= maxProbeMiss && ctx.Err() == nil {
				return errors.Join(fmt.Errorf("it missed %d health probes: %w", missed, err), p.cmd.Process.Kill(), s.stop(p, ended))
			}
		}
	}
}

// stop closes the pipe of life, which the child obeys, and kills it when it takes too long.
func (s *Server) stop(p *process, ended chan error) error {
	err := p.life.Close()
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-ended:
		return err
	case <-grace.C:
	}
	err = errors.Join(err, p.cmd.Process.Kill())
	<-ended
	return err
}
