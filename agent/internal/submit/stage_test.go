package submit

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// appears waits for a file.
func appears(t *testing.T, path string) {
	t.Helper()
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		} else if time.Now().After(patience) {
			t.Fatal(err)
		}
	}
}

// endedBy sends a signal while inputs are staged, and gives how the wrapper ended.
func (b *bench) endedBy(s syscall.Signal) (said string, status syscall.WaitStatus) {
	b.t.Helper()
	if signal.Ignored(s) { // by nohup: what is caught here is not ignored in the wrapper
		signal.Notify(make(chan os.Signal, 1), s)
	}
	script := b.script("#!/bin/sh\n#ERGON inputs=mesh.h5 outputs=x\nhostname\n")
	said = b.onTerminal("", func(cmd *exec.Cmd) {
		if err := cmd.Start(); err != nil {
			b.t.Fatal(err)
		}
		appears(b.t, filepath.Join(b.home, "begun"))
		if err := cmd.Process.Signal(s); err != nil {
			b.t.Fatal(err)
		}
		_ = cmd.Wait()                                       // the status says it
		status = cmd.ProcessState.Sys().(syscall.WaitStatus) //nolint:forcetypeassert // what os/exec gives on Unix
	}, script)
	return said, status
}

// nothingSubmitted asserts what a submitter sees who stopped it.
func (b *bench) nothingSubmitted(s syscall.Signal) {
	b.t.Helper()
	said, status := b.endedBy(s)
	if !status.Signaled() || status.Signal() != s {
		b.t.Errorf("it ended with %#x, want by %s", status, s)
	}
	if want := "stopped while inputs were brought here (" + s.String() + "): nothing was submitted"; !strings.Contains(said, want) {
		b.t.Errorf("the terminal reads %q, want %q", said, want)
	}
	if calls := b.fake.Calls("sbatch"); len(calls) != 0 {
		b.t.Errorf("sbatch was called: %q", calls)
	}
	appears(b.t, filepath.Join(b.home, "ended"))
}

func TestASignalWhileInputsAreStagedEndsTheSubmission(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			a := b.agent()
			b.env = append(b.env, "TEST_WRAPPER_STAGE="+b.home)
			b.nothingSubmitted(s)
			a.heard()
			if len(a.results) != 1 || !a.results[0].NotStarted || a.results[0].Signal != int(s) || a.results[0].BaseID != "" {
				t.Errorf("told %+v", a.results)
			}
		})
		t.Run(s.String()+" without an agent", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.env = append(b.env, "TEST_WRAPPER_STAGE="+b.home)
			b.nothingSubmitted(s)
			kept := b.kept()
			if len(kept) != 1 {
				t.Fatalf("kept %q", kept)
			}
			var r socket.Result
			data, err := os.ReadFile(kept[0])
			if err != nil || json.Unmarshal(data, &r) != nil || !r.NotStarted || r.Signal != int(s) {
				t.Errorf("kept %s, %v; want that there is no job", data, err)
			}
		})
	}
}

// What does not end a program is sbatch's.
func TestOtherSignalsWhileInputsAreStagedReachSbatch(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 8)
	signals <- syscall.SIGUSR1
	caught := make(chan chan os.Signal, 1)
	caught <- signals
	staged := make(chan struct{})
	c := Call{Stage: func(context.Context, string, []string) error {
		for len(signals) > 0 {
			time.Sleep(time.Millisecond)
		}
		close(staged)
		return nil
	}}
	if ended := c.stage(&plan{inputs: []string{"x"}, inputDir: t.TempDir()}, caught); ended != 0 {
		t.Fatalf("it ended by %s", ended)
	}
	<-staged
	if got := <-<-caught; got != syscall.SIGUSR1 {
		t.Errorf("got %v", got)
	}
}

// The program beside this one is asked to end, so that it removes what is half there.
func TestTheProgramThatStagesIsAskedToEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := "#!/bin/sh\ntrap 'rm half; echo ergon: stopped >&2; exit 1' TERM\n: > half\n: > begun\nwhile :; do sleep 0.05; done\n"
	script = strings.Replace(script, "#!/bin/sh\n", "#!/bin/sh\ncd '"+dir+"'\n", 1)
	if err := slurmtest.WriteProgram(filepath.Join(dir, "ergon"), script, 0o700); err != nil {
		t.Fatal(err)
	}
	c := Call{Self: filepath.Join(dir, "ergon-sbatch"), Environ: os.Environ()}.BesideFull()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		appears(t, filepath.Join(dir, "begun"))
		cancel()
	}()
	if err := c.Stage(ctx, dir, []string{"x"}); err == nil || err.Error() != "stopped" {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); !os.IsNotExist(err) {
		t.Errorf("half of a file is left: %v", err)
	}
}
