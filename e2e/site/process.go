package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// Processes lists live processes of a program that belong to this site: their command line or environment names its
// directory or cluster, or they descend from its server or agent.
func (s *Site) Processes(program string) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || filepath.Base(exe) != program {
			continue
		}
		if s.owns(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *Site) owns(pid int) bool {
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
		if err == nil && (bytes.Contains(text, []byte(s.Dir+"/")) || bytes.Contains(text, []byte(s.Slurm.Prefix+"/"))) {
			return true
		}
	}
	for depth := 0; pid > 1 && depth < 8; depth++ {
		if pid = parent(pid); s.server != nil && pid == s.server.PID() || s.agent != nil && pid == s.agent.PID() {
			return true
		}
	}
	return false
}

// parent is the fourth field of proc(5)'s stat, after a name that may hold anything.
func parent(pid int) (ppid int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	text := string(stat)
	var state string
	if _, err := fmt.Sscan(text[strings.LastIndex(text, ")")+1:], &state, &ppid); err != nil {
		return 0
	}
	return ppid
}

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

func waitGone(pid int) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if harness.Gone(pid) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d survived SIGKILL", pid)
		}
	}
}

// RunWithInput runs a command with text on its standard input.
func RunWithInput(ctx context.Context, spec harness.Spec, stdin string) (harness.Result, error) {
	cmd := spec.Command(ctx)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	start := time.Now()
	err := cmd.Run()
	result := harness.Result{Stdout: out.String(), Stderr: errs.String(), Took: time.Since(start)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		result.Code = exit.ExitCode()
		return result, nil
	}
	if err != nil {
		return result, fmt.Errorf("running %s: %w", spec.Args[0], err)
	}
	return result, nil
}

const tailBytes = 6000

func tail(text string) string {
	if len(text) > tailBytes {
		return "…" + text[len(text)-tailBytes:]
	}
	return text
}

// LogOnFailure prints the ends of the logs of server and agent when the test fails.
func (s *Site) LogOnFailure(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, p := range []*harness.Process{s.server, s.agent} {
			if p != nil {
				t.Logf("---- end of the log of %s\n%s", p.Name(), tail(p.Log()))
			}
		}
	})
}

// Logs is everything that servers and agents of this site have printed.
func (s *Site) Logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, p := range s.past {
		b.WriteString(p.Log())
	}
	return b.String()
}

// Logged gives what all services log from now on: in Logs they stand one behind the other, so that a length of it marks no moment.
func (s *Site) Logged() (since func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := map[*harness.Process]int{}
	for _, p := range s.past {
		before[p] = len(p.Log())
	}
	return func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		var b strings.Builder
		for _, p := range s.past {
			b.WriteString(p.Log()[before[p]:])
		}
		return b.String()
	}
}

// Root runs one of Slurm's commands as root on the agent's side, and fails the test when it fails.
func (s *Site) Root(t testing.TB, args ...string) string {
	t.Helper()
	result, err := harness.Spec{Namespace: s.agentSide(), Dir: s.Dir, Env: s.rootEnv(), Args: args}.Run(t.Context())
	if err != nil || result.Code != 0 {
		t.Fatalf("%s ended with %d (%v): %s%s", strings.Join(args, " "), result.Code, err, result.Stdout, result.Stderr)
	}
	return result.Stdout
}

// Owner is the real uid of a process.
func Owner(pid int) (uint32, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "Uid:"); found {
			uid, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 32)
			return uint32(uid), err
		}
	}
	return 0, fmt.Errorf("process %d has no uid", pid)
}
