package files

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// maxMemory is what client, server and store may each take of their own, bytes, however large the file is.
const maxMemory = 100_000_000

// meter watches what a process takes.
type meter struct {
	name string
	pid  int
	stop chan struct{}
	once sync.Once
	done chan struct{}
	own  int64 // most of RssAnon + RssShmem that was seen, bytes: program files stand in the page cache, once for all
	all  int64 // VmHWM, bytes
}

// watchMemory reads proc(5) until the process ends or the meter is stopped.
func watchMemory(name string, pid int) *meter {
	m := &meter{name: name, pid: pid, stop: make(chan struct{}), done: make(chan struct{})}
	go m.watch()
	return m
}

func (m *meter) watch() {
	defer close(m.done)
	for {
		s, err := statusOf(m.pid)
		if err != nil {
			return
		}
		m.own = max(m.own, s["RssAnon"]+s["RssShmem"])
		m.all = max(m.all, s["VmHWM"])
		select {
		case <-m.stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// check ends the watching, says the peaks where the report of the tests shows them, and holds them to maxMemory.
func (m *meter) check(t testing.TB) {
	t.Helper()
	m.once.Do(func() { close(m.stop) })
	<-m.done
	t.Attr("memory", fmt.Sprintf("%s: %.1f MB of its own at most, %.1f MB with its program file (VmHWM)", m.name, mb(m.own), mb(m.all)))
	if m.own == 0 || m.own >= maxMemory {
		t.Errorf("%s took %.1f MB of memory, want less than %.1f", m.name, mb(m.own), mb(maxMemory))
	}
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

// statusOf are the sizes of /proc/PID/status, bytes. A process that has ended has none.
func statusOf(pid int) (map[string]int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if kib, found := strings.CutSuffix(strings.TrimSpace(rest), " kB"); found {
			n, err := strconv.ParseInt(kib, 10, 64)
			if err != nil {
				return nil, err
			}
			sizes[name] = n << 10
		}
	}
	if len(sizes) == 0 {
		return nil, errors.New("it has ended")
	}
	return sizes, nil
}

// watchServer watches server and store from now on.
func watchServer(t testing.TB) []*meter {
	t.Helper()
	return []*meter{watchMemory("ergon-server", world.process.PID()), watchMemory("object store", world.store(t))}
}
