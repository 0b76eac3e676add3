package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Spec says what to run, as whom and where. The zero User means the caller itself (root),
// with exactly Env as environment; a nil Namespace means the host's network.
type Spec struct {
	User      User
	Namespace *Namespace
	Dir       string // the user's home when empty
	Env       []string
	Args      []string // program first
}

// Command prepares the command. Its children that outlive a cancelled ctx do not keep
// Wait waiting for more than five seconds.
func (s Spec) Command(ctx context.Context) *exec.Cmd {
	args := s.Args
	attr := &syscall.SysProcAttr{Setpgid: true}
	env, dir := s.Env, s.Dir
	if s.User.Name != "" {
		env = s.User.Env(s.Env...)
		if dir == "" {
			dir = s.User.Home
		}
	}
	switch {
	case s.Namespace != nil:
		args = s.Namespace.wrap(s.User, args)
	case s.User.Name != "":
		attr.Credential = s.User.Credential()
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr, cmd.WaitDelay = env, dir, attr, 5*time.Second
	return cmd
}

// Result is what a finished command printed and returned.
type Result struct {
	Stdout, Stderr string
	Code           int // -1 when a signal ended it
	Took           time.Duration
}

// Run runs the command to its end. A non-zero exit status is a Result, not an error;
// an error says that the command could not be run.
func (s Spec) Run(ctx context.Context) (Result, error) {
	cmd := s.Command(ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: 0, Took: time.Since(start)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		result.Code = exit.ExitCode()
		return result, nil
	}
	if err != nil {
		return result, fmt.Errorf("running %s: %w", s.Args[0], err)
	}
	return result, nil
}

// must runs a command of the harness itself, whose failure is an error that quotes it.
func (s Spec) must(ctx context.Context) (string, error) {
	result, err := s.Run(ctx)
	if err != nil {
		return "", err
	}
	if result.Code != 0 {
		return "", fmt.Errorf("%s ended with %d: %s%s", s.Args[0], result.Code, result.Stdout, result.Stderr)
	}
	return result.Stdout, nil
}

func itoa(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
