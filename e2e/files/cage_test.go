package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// cage is a memory cgroup with one process and maxMemory: page cache and all. Who needs more is killed by the kernel.
type cage struct {
	name, dir string
	pid       int
}

// cages puts server and store each into one, where the machine allows; where it does not, the report says so.
func cages(t testing.TB) (list []cage) {
	t.Helper()
	for name, pid := range map[string]int{"ergon-server": world.process.PID(), "object store": world.store(t)} {
		c, err := newCage(name, pid)
		if err != nil {
			t.Attr("memory", fmt.Sprintf("%s: not held to %.0f MB by a cgroup: %v", name, mb(maxMemory), err))
			continue
		}
		list = append(list, c)
	}
	return list
}

func newCage(name string, pid int) (cage, error) {
	if inMemory(world.dir) {
		return cage{}, errors.New("the data directory is a tmpfs, which would count as its memory")
	}
	root, limit := "/sys/fs/cgroup/memory", "memory.limit_in_bytes" // version 1
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root, limit = "/sys/fs/cgroup", "memory.max"
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
			return cage{}, err
		}
	}
	c := cage{name: name, pid: pid, dir: filepath.Join(root, fmt.Sprintf("ergon-files-%d", pid))}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return cage{}, err
	}
	for _, set := range [][2]string{{limit, strconv.Itoa(maxMemory)}, {"cgroup.procs", strconv.Itoa(pid)}} {
		if err := os.WriteFile(filepath.Join(c.dir, set[0]), []byte(set[1]), 0); err != nil {
			_ = os.Remove(c.dir)
			return cage{}, err
		}
	}
	return c, nil
}

func inMemory(dir string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && fs.Type == 0x01021994 // TMPFS_MAGIC of statfs(2)
}

// check says whether the kernel killed, and lets the process out again.
func (c cage) check(t testing.TB) {
	t.Helper()
	for _, file := range []string{"memory.oom_control", "memory.events"} {
		text, err := os.ReadFile(filepath.Join(c.dir, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, found := strings.CutPrefix(line, "oom_kill "); found && strings.TrimSpace(rest) != "0" {
				t.Errorf("%s was killed in a cgroup of %.0f MB: %s", c.name, mb(maxMemory), line)
			}
		}
	}
	t.Attr("memory", fmt.Sprintf("%s: lived in a cgroup of %.0f MB", c.name, mb(maxMemory)))
	if err := os.WriteFile(filepath.Join(filepath.Dir(c.dir), "cgroup.procs"), []byte(strconv.Itoa(c.pid)), 0); err != nil {
		t.Error(err)
	}
	if err := os.Remove(c.dir); err != nil {
		t.Error(err)
	}
}
