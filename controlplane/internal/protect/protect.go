// Package protect closes a process that holds keys and tokens to other local users, the same uid included (design 03, T25).
package protect

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Process forbids ptrace, /proc/PID/mem and environ to everybody but root (PR_SET_DUMPABLE 0, prctl(2)), core files, and
// files of ours that others may read. It holds for this process and not for programs that it starts.
func Process() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to others: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switching core files off: %w", err)
	}
	unix.Umask(0o077)
	return nil
}
