package submit

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// outcome is how sbatch ended.
type outcome struct {
	code    int
	signal  syscall.Signal
	err     error // it could not be started
	baseID  string
	said    string // the beginning of its stderr
	started bool
}

// refused says that it is certain that there is no job.
func (o outcome) refused() bool {
	return o.started && o.code != 0 && o.signal == 0 && o.baseID == "" && refusedForCertain(o.said)
}

// child runs sbatch with stdin and terminal inherited, stdout and stderr copied as they come.
//
// It forks by itself: os/exec would first fork once more to find out whether the kernel has pidfds, and hand every read
// through the poller, which together cost more than all the rest (docs/benchmarks.md).
func (c Call) child(p prepared, caught <-chan chan os.Signal) outcome {
	run, err := c.start(p)
	if err != nil {
		return outcome{err: err}
	}
	signals := <-caught // before anything of sbatch is passed on
	done, quiet := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quiet)
		passSignals(run.pid, signals, done)
	}()
	out, said := run.pump(c.Stdout, c.Stderr)
	o := outcome{started: true, baseID: jobNumber(out), said: string(said)}
	untilEnd(run.pid)
	close(done)
	<-quiet // nobody may signal the number once it is reaped
	o.code, o.signal = reap(run.pid)
	return o
}

// process is a running sbatch, with our ends of its pipes.
type process struct {
	pid            int
	stdout, stderr *os.File
}

// start forks. A script on a pipe is fed by a goroutine that ends when sbatch has read all, or has gone.
func (c Call) start(p prepared) (run process, err error) {
	var ends files
	defer func() { ends.close() }()
	out, theirOut := ends.pipe(&err)
	said, theirErr := ends.pipe(&err)
	stdin, input := c.Stdin, (*os.File)(nil)
	if p.plan.stdin != nil {
		stdin, input = ends.pipe(&err)
	}
	if err != nil {
		return process{}, err
	}
	run.pid, err = syscall.ForkExec(p.sbatch, append([]string{"sbatch"}, p.plan.args...), &syscall.ProcAttr{
		Env: p.plan.env, Files: []uintptr{stdin.Fd(), theirOut.Fd(), theirErr.Fd()},
	})
	if err != nil {
		return process{}, err
	}
	run.stdout, run.stderr = ends.keep(out), ends.keep(said)
	if input != nil {
		input = ends.keep(input)
		go func() {
			_, _ = p.plan.stdin.WriteTo(input)
			_ = input.Close()
		}()
	}
	return run, nil
}

// files are descriptors that are closed together, but for those that are kept.
type files []*os.File

// pipe makes a pipe whose ends block, which a process with a single reader can afford. After a fault it does nothing.
func (f *files) pipe(fault *error) (r, w *os.File) {
	var fds [2]int
	if *fault == nil {
		*fault = os.NewSyscallError("pipe2", unix.Pipe2(fds[:], unix.O_CLOEXEC))
	}
	if *fault != nil {
		return nil, nil
	}
	r, w = os.NewFile(uintptr(fds[0]), "|0"), os.NewFile(uintptr(fds[1]), "|1")
	*f = append(*f, r, w)
	return r, w
}

func (f *files) keep(file *os.File) *os.File {
	*f = slices.DeleteFunc(*f, func(other *os.File) bool { return other == file })
	return file
}

func (f *files) close() {
	for _, file := range *f {
		_ = file.Close()
	}
}

// pump passes both streams on until their last writers have closed them, and gives the beginning of each. When both
// have something, stderr goes first: sbatch prints the job's number last.
func (r process) pump(out, errs io.Writer) (stdout, stderr []byte) {
	streams := [...]*capture{{from: r.stderr, to: errs}, {from: r.stdout, to: out}}
	var waits [len(streams)]unix.PollFd
	for i, s := range streams {
		waits[i] = unix.PollFd{Fd: int32(s.from.Fd()), Events: unix.POLLIN}
	}
	buf := make([]byte, pumpBuffer)
	for open := len(streams); open > 0; {
		if _, err := unix.Poll(waits[:], -1); err != nil {
			continue // interrupted by a signal: nothing else can happen to two pipes
		}
		for i, s := range streams {
			if waits[i].Revents != 0 && !s.pass(buf) {
				waits[i].Fd = -1 // poll(2) leaves it out from now on
				open--
			}
		}
	}
	return streams[1].kept, streams[0].kept
}

const pumpBuffer = 32 << 10

// capture copies a stream and keeps its beginning, where the job's number or the first error is.
type capture struct {
	from *os.File
	to   io.Writer
	kept []byte
}

const keepOutput = 64 << 10

// pass copies what is there; false says that the stream has ended. A closed stdout of ours must not keep sbatch from ending.
func (c *capture) pass(buf []byte) bool {
	n, err := c.from.Read(buf)
	if room := keepOutput - len(c.kept); room > 0 {
		c.kept = append(c.kept, buf[:min(room, n)]...)
	}
	_, _ = c.to.Write(buf[:n])
	if err != nil {
		_ = c.from.Close()
	}
	return err == nil
}

// untilEnd waits for the end and leaves the process to be reaped.
func untilEnd(pid int) {
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

func reap(pid int) (code int, ended syscall.Signal) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if status.Signaled() {
			return 128 + int(status.Signal()), status.Signal()
		}
		return status.ExitStatus(), 0
	}
}

// passed are the signals that belong to sbatch. SIGPIPE is taken so that a closed stdout does not end us before the
// agent knows the id; sbatch's own result counts then.
var passed = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE}

// catch takes them to the end of the process: what comes before sbatch has started is passed on when it has. The runtime
// changes threads twice for each signal, so this goes on beside the rest, and sbatch does not wait for it: a signal that
// comes even earlier ends us alone, as it may end sbatch after the job was accepted. What was ignored, as by nohup, stays so.
func catch() chan chan os.Signal {
	ready := make(chan chan os.Signal, 1)
	go func() {
		signals := make(chan os.Signal, 8)
		if mine := slices.DeleteFunc(slices.Clone(passed), signal.Ignored); len(mine) > 0 { // none would mean all
			signal.Notify(signals, mine...)
		}
		ready <- signals
	}()
	return ready
}

func passSignals(pid int, signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok && number != syscall.SIGPIPE {
				_ = syscall.Kill(pid, number) // it may have ended
			}
		}
	}
}
