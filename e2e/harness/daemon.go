package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// DaemonPID returns the pid of one daemon of the cluster: slurmctld, slurmdbd, mariadb,
// munged or slurmd-NODE.
func (s *Slurm) DaemonPID(daemon string) (int, error) {
	text, err := os.ReadFile(filepath.Join(s.Prefix, "run", daemon+".pid"))
	if err != nil {
		return 0, fmt.Errorf("finding %s: %w", daemon, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("finding %s: %w", daemon, err)
	}
	return pid, nil
}

// KillDaemon ends one daemon by SIGKILL and returns when it is gone. Restart brings it back.
func (s *Slurm) KillDaemon(ctx context.Context, daemon string) error {
	pid, err := s.DaemonPID(daemon)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", daemon, err)
	}
	return poll(ctx, func() bool { return !alive(pid) }, daemon+" survived SIGKILL for ten seconds")
}

// FreezeDaemon stops one daemon without ending it (SIGSTOP), so that clients hang as they
// do on an overloaded one; the returned function lets it go on.
func (s *Slurm) FreezeDaemon(daemon string) (thaw func() error, err error) {
	pid, err := s.DaemonPID(daemon)
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("freezing %s: %w", daemon, err)
	}
	return func() error { return syscall.Kill(pid, syscall.SIGCONT) }, nil
}

// ProfileDir is where Slurm writes HDF5 profiles: <dir>/<user>/<job>_<step>_<node>.h5.
func (s *Slurm) ProfileDir() string { return filepath.Join(s.Prefix, "profile") }

// SaveState makes slurmctld write down what it knows: it does so by itself some seconds late, and one that is killed
// earlier forgets a new job. Its own way to do so at once is an orderly restart.
func (s *Slurm) SaveState(ctx context.Context) error {
	pid, err := s.DaemonPID("slurmctld")
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("ending slurmctld: %w", err)
	}
	if err := poll(ctx, func() bool { return !alive(pid) }, "slurmctld did not end"); err != nil {
		return err
	}
	return s.Restart(ctx)
}
