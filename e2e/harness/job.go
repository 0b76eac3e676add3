package harness

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Submit runs plain sbatch as the user with the script on stdin-free --wrap and returns
// the job id. Options come before the wrapped command, for example "--mem=60".
func (s *Slurm) Submit(ctx context.Context, user, command string, options ...string) (int, error) {
	args := append([]string{"sbatch", "--parsable", "--output=/dev/null"}, options...)
	spec, err := s.As(user, append(args, "--wrap", command)...)
	if err != nil {
		return 0, err
	}
	out, err := spec.must(ctx)
	if err != nil {
		return 0, fmt.Errorf("submitting as %s: %w", user, err)
	}
	id, _, _ := strings.Cut(strings.TrimSpace(out), ";")
	return strconv.Atoi(id)
}

// State is the job's state in accounting ("COMPLETED", "CANCELLED by 1000"), or "" before
// slurmdbd knows the job.
func (s *Slurm) State(ctx context.Context, job int) (string, error) {
	spec := Spec{
		Namespace: s.opts.Namespace, Env: append(rootEnv(), s.Env()...),
		Args: []string{"sacct", "-X", "-n", "-P", "-o", "State", "-j", strconv.Itoa(job)},
	}
	out, err := spec.must(ctx)
	return strings.TrimSpace(out), err
}

// WaitState fails the test unless accounting shows the job in the state within the time.
func (s *Slurm) WaitState(t testing.TB, job int, want string, within time.Duration) {
	t.Helper()
	Eventually(t, within, func() (bool, string) {
		state, err := s.State(t.Context(), job)
		if err != nil {
			return false, err.Error()
		}
		return strings.HasPrefix(state, want), fmt.Sprintf("job %d is %q, want %q", job, state, want)
	})
}

func rootEnv() []string {
	return []string{"HOME=/root", "USER=root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
}
