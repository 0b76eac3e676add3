// Package files moves files between `ergon files` and a server with its embedded store: large ones that are cut off by
// kill -9, thousands of small ones, names of every kind. It needs no Slurm.
package files

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// world is the one server of this suite, behind a gate that counts what clients send to its store.
var world *server

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		world, err = start(ctx, h)
		return err
	}))
}

// full says that the large figures are wanted.
func full() bool { return os.Getenv("ERGON_TEST_FULL") == "1" }

// server is ergon-server on a data directory of its own.
type server struct {
	dir, url string
	gate     *gate
	env      []string
	process  *harness.Process
}

func start(ctx context.Context, h *harness.Stack) (*server, error) {
	ports, err := harness.ReservePorts()
	if err != nil {
		return nil, err
	}
	h.Defer(ports.Close)
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", ports.Base)}
	if s.dir, err = scratch(); err != nil {
		return nil, err
	}
	h.Defer(func() error { return os.RemoveAll(s.dir) })
	store := fmt.Sprintf("127.0.0.1:%d", ports.Base+1)
	if s.gate, err = newGate(store); err != nil {
		return nil, err
	}
	h.Defer(s.gate.close)
	s.env = []string{
		"HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		"ERGON_DATA_DIR=" + filepath.Join(s.dir, "server"), "ERGON_HTTP_LISTEN=" + strings.TrimPrefix(s.url, "http://"),
		"ERGON_STORE_LISTEN=" + store, "ERGON_STORE_PUBLIC_URL=" + s.gate.url, "ERGON_AUTH_REGISTRATION=open", "ERGON_AUTH_LOGIN_PER_MINUTE=100000",
		"ERGON_LOG_LEVEL=debug",
	}
	h.Defer(func() error {
		if s.process == nil {
			return nil
		}
		_, err := s.process.Stop(time.Minute) // its store ends with it, before the directory goes
		return errors.Join(err, s.process.Kill())
	})
	return s, s.start(ctx)
}

// scratch is in memory, where the large figures do not fit: they go to the disk.
func scratch() (string, error) {
	if full() {
		return os.MkdirTemp("", "ergon-files-")
	}
	return harness.NewScratch("files")
}

// start starts the server, also again after kill, and returns when it is ready.
func (s *server) start(ctx context.Context) error {
	program, err := harness.Binary("ergon-server")
	if err != nil {
		return err
	}
	if s.process, err = harness.Launch("ergon-server", harness.Spec{Dir: s.dir, Env: s.env, Args: []string{program, "serve"}}); err != nil {
		return err
	}
	client := &http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.process.Done():
			return errors.New("ergon-server ended at once: " + s.process.Log())
		default:
		}
	}
	return errors.New("ergon-server is not ready: " + s.process.Log())
}

// kill ends the server by SIGKILL and waits until its store has followed it.
func (s *server) kill(t testing.TB) {
	t.Helper()
	store := s.store(t)
	if err := s.process.Kill(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, func() (bool, string) {
		return harness.Gone(store), fmt.Sprintf("the object store (pid %d) survives its server", store)
	})
}

// store is the process of the embedded object store, the server's child.
func (s *server) store(t testing.TB) int {
	t.Helper()
	entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.process.PID())) // of whichever thread started it
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, e := range entries {
		if text, err := os.ReadFile(e); err == nil {
			pids = append(pids, strings.Fields(string(text))...)
		}
	}
	for _, text := range pids {
		line, err := os.ReadFile("/proc/" + text + "/cmdline")
		if err == nil && strings.Contains(string(line), "\x00objectstore") {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("the embedded object store is not running")
	return 0
}

// admin runs `ergon-server admin …` beside the server.
func (s *server) admin(t testing.TB, args ...string) {
	t.Helper()
	program, err := harness.Binary("ergon-server")
	if err != nil {
		t.Fatal(err)
	}
	result, err := harness.Spec{Dir: s.dir, Env: s.env, Args: append([]string{program, "admin"}, args...)}.Run(t.Context())
	if err != nil || result.Code != 0 {
		t.Fatalf("admin %v: %v %s", args, err, result.Stderr)
	}
}
