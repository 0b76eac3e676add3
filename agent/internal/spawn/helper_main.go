package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// HelperMain is the helper process: it serves the socket it was started with until the broker hangs up.
func HelperMain(ctx context.Context) error {
	if err := harden(); err != nil {
		return err
	}
	c, err := conn(os.NewFile(helperFD, "broker"))
	if err != nil {
		return fmt.Errorf("a helper is started by the agent, not by hand: %w", err)
	}
	return helper.Serve(ctx, c, Confine)
}

// harden closes what a process of the user offers to the user's other processes: no core, no ptrace, no /proc/PID/mem
// (presigned URLs pass through here), and bounds what a hostile file can make it use.
func harden() error {
	return errors.Join(
		os.NewSyscallError("prctl dumpable", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)),
		os.NewSyscallError("prctl no_new_privs", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
		limit(unix.RLIMIT_CORE, 0),
		limit(unix.RLIMIT_NOFILE, 256),
	)
}

// limit lowers a resource limit, never raises it.
func limit(resource int, to uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	to = min(to, now.Max)
	return os.NewSyscallError("setrlimit", unix.Setrlimit(resource, &unix.Rlimit{Cur: to, Max: to}))
}

// systemFiles are what TLS and name resolution read.
var systemFiles = []string{
	"/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ca-certificates",
	"/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
	"/usr/share/zoneinfo",
}

// Confine lets the process read the job's directories and what the network needs, and write nothing (Landlock ABI 1).
// It returns outputs.ErrUnsupported where the kernel has no Landlock: then nothing is uploaded from this node.
func Confine(job outputs.JobFiles) error {
	dirs := []string{job.Dirs.Work, job.Dirs.Output, job.Dirs.Profile, dirOf(job.Dirs.Stdout), dirOf(job.Dirs.Stderr)}
	var rules []landlock.Rule
	for _, dir := range dirs {
		if dir != "" && dir != "/" {
			rules = append(rules, landlock.RODirs(dir).IgnoreIfMissing())
		}
	}
	for _, file := range append(certificateFiles(), systemFiles...) {
		rules = append(rules, readable(file))
	}
	if err := landlock.V1.RestrictPaths(rules...); err != nil {
		return fmt.Errorf("%w: %w", outputs.ErrUnsupported, err)
	}
	return nil
}

// readable is the rule for a file or a directory: a rule for the wrong kind is refused by the kernel.
func readable(path string) landlock.Rule {
	if st, err := os.Stat(path); err == nil && !st.IsDir() {
		return landlock.ROFiles(path).IgnoreIfMissing()
	}
	return landlock.RODirs(path).IgnoreIfMissing()
}

func certificateFiles() (files []string) {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := os.Getenv(name); value != "" {
			files = append(files, value)
		}
	}
	return files
}

func dirOf(file string) string {
	if file == "" {
		return ""
	}
	return filepath.Dir(file)
}
