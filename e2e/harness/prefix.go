package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
)

// prefixes are named ergon-<kind>-<pid of the test binary>-<number>: a dead owner shows.
var prefixName = regexp.MustCompile(`^ergon-([a-z]+)-(\d+)-\d+$`)

var prefixCount atomic.Int64

// scratchDir is memory where there is any: slurmctld and databases make many small files.
func scratchDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

func newPrefix(kind string) string {
	name := fmt.Sprintf("ergon-%s-%d-%d", kind, os.Getpid(), prefixCount.Add(1))
	return filepath.Join(scratchDir(), name)
}

// orphans lists prefixes of the kind whose test binary no longer lives.
func orphans(kind string) []string {
	entries, err := os.ReadDir(scratchDir())
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		match := prefixName.FindStringSubmatch(entry.Name())
		if match == nil || match[1] != kind {
			continue
		}
		if pid, err := strconv.Atoi(match[2]); err == nil && !alive(pid) {
			found = append(found, filepath.Join(scratchDir(), entry.Name()))
		}
	}
	return found
}

func alive(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }
