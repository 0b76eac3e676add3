package objectstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
)

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func start(t *testing.T, change func(*objectstore.Config)) (*objectstore.Server, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	cfg := config(t.TempDir(), slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if change != nil {
		change(&cfg)
	}
	s, err := objectstore.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if alive(s.PID()) {
			t.Error("the child outlives Close")
		}
	})
	return s, log
}

func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute) // only ends a wait that would be for ever
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within three minutes: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestStoreServesAndStops(t *testing.T) {
	s, _ := start(t, nil)
	if err := s.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") || s.Bucket() != "ergon" || s.Region() != "us-east-1" {
		t.Errorf("url %s bucket %s region %s", s.URL(), s.Bucket(), s.Region())
	}
	for _, path := range []string{"/", "/ergon", "/ergon/some-key", "/create-user", "/list-users"} {
		if code := get(t, s.URL()+path); code != http.StatusForbidden && code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("anonymous GET %s answers %d", path, code)
		}
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestPortAndKeysStayOverARestart(t *testing.T) {
	dir := t.TempDir()
	var first string
	var keys objectstore.Keys
	for i := range 3 {
		s, err := objectstore.Start(t.Context(), config(dir, slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first, keys = s.URL(), s.Keys()
		}
		if s.URL() != first || s.Keys().PutSigner.AccessKey != keys.PutSigner.AccessKey || !s.Keys().PutSigner.SecretKey.Equal(keys.PutSigner.SecretKey) {
			t.Errorf("start %d: %s, was %s; keys changed", i, s.URL(), first)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "keys.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("keys.json: %v, %v", info.Mode(), err)
	}
}

func TestTakenPortIsReplacedByAnother(t *testing.T) {
	dir := t.TempDir()
	s, err := objectstore.Start(t.Context(), config(dir, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	addr := s.Addr()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err = objectstore.Start(t.Context(), config(dir, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() == addr {
		t.Error("it claims the port of somebody else")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFixedPortThatIsTakenFailsTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log := &logBuffer{}
	cfg := config(t.TempDir(), slog.New(slog.NewTextHandler(log, nil)))
	cfg.Listen = l.Addr().String()
	if s, err := objectstore.Start(t.Context(), cfg); err == nil {
		t.Errorf("started: %v", s.Close())
	}
	if !strings.Contains(log.String(), "address already in use") {
		t.Errorf("the log does not say why: %s", log)
	}
}

func TestDirectoryHasOneOwner(t *testing.T) {
	var dir string
	first, _ := start(t, func(c *objectstore.Config) { dir = c.Dir })
	pid := first.PID()
	second, err := objectstore.Start(t.Context(), config(dir, slog.New(slog.DiscardHandler)))
	if err == nil {
		t.Fatalf("a second store started on the directory: %v", second.Close())
	}
	if !strings.Contains(err.Error(), "in use by another ergon-server") || !strings.Contains(err.Error(), "ERGON_DATA_DIR") {
		t.Errorf("the error does not say whose it is and what to do: %v", err)
	}
	if err := first.Health(t.Context()); err != nil || first.PID() != pid || first.Restarts() != 0 {
		t.Errorf("the first is disturbed: %v, pid %d was %d", err, first.PID(), pid)
	}
}

func TestKilledChildComesBackOnTheSamePort(t *testing.T) {
	s, log := start(t, func(c *objectstore.Config) { c.FirstPause = 10 * time.Millisecond })
	url, pid := s.URL(), s.PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new child", func() bool { return s.PID() != 0 && s.PID() != pid })
	if err := s.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if s.URL() != url || s.Restarts() != 1 {
		t.Errorf("%s was %s, %d restarts", s.URL(), url, s.Restarts())
	}
	if !strings.Contains(log.String(), "starting it again") {
		t.Error("the log is silent about it")
	}
}

func TestHangingChildIsReplaced(t *testing.T) {
	s, _ := start(t, func(c *objectstore.Config) {
		c.FirstPause, c.ProbeEvery, c.ProbeTimeout = 10*time.Millisecond, 20*time.Millisecond, time.Second
	})
	pid := s.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new child", func() bool { return s.PID() != 0 && s.PID() != pid })
}

func TestKilledParentLeavesNoOrphan(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "parent", dir)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var url string
	if _, err := fmt.Fscan(out, &pid, &url); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("there is no child")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the child has died", func() bool { return !alive(pid) })
	s, err := objectstore.Start(t.Context(), config(dir, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if s.URL() != url {
		t.Errorf("it is now at %s, was %s", s.URL(), url)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestThreat_T11_KeysStayOutOfArgumentsEnvironmentAndLog(t *testing.T) {
	t.Setenv("ERGON_SOME_SECRET", "of-the-parent")
	s, log := start(t, nil)
	text := log.String()
	for _, file := range []string{"cmdline", "environ"} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.PID(), file))
		if err != nil {
			t.Fatal(err)
		}
		text += string(raw)
	}
	k := s.Keys()
	text += fmt.Sprintf("%+v %#v", k, k)
	for _, id := range []objectstore.Identity{k.Maintenance, k.PutSigner, k.GetSigner} {
		if strings.Contains(text, id.SecretKey.Reveal()) {
			t.Errorf("the key of %s leaked", id.AccessKey)
		}
	}
	if strings.Contains(text, "of-the-parent") {
		t.Error("the parent's environment reached the child")
	}
}

func TestDamagedStateStopsTheStartAndSaysWhatToDo(t *testing.T) {
	for name, content := range map[string]string{"keys.json": `{"maintenance":{}}`, "settings.json": "nonsense"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := objectstore.Start(t.Context(), config(dir, slog.New(slog.DiscardHandler)))
		if err == nil {
			t.Errorf("%s: started: %v", name, s.Close())
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := config(t.TempDir(), slog.New(slog.DiscardHandler))
	for name, change := range map[string]func(*objectstore.Config){
		"no directory":            func(c *objectstore.Config) { c.Dir = "" },
		"no command":              func(c *objectstore.Config) { c.Command = nil },
		"no log":                  func(c *objectstore.Config) { c.Log = nil },
		"certificate without key": func(c *objectstore.Config) { c.CertFile = "x" },
		"listen without port":     func(c *objectstore.Config) { c.Listen = "127.0.0.1" },
		"command that ends":       func(c *objectstore.Config) { c.Command = []string{"/bin/false"} },
		"command that hangs": func(c *objectstore.Config) {
			c.Command, c.StartTimeout = []string{"/bin/cat"}, 50*time.Millisecond
		},
		"command that is missing": func(c *objectstore.Config) { c.Command = []string{"/nonexistent/x"} },
	} {
		cfg := good
		cfg.Dir = t.TempDir()
		change(&cfg)
		if s, err := objectstore.Start(t.Context(), cfg); err == nil {
			t.Errorf("%s: started: %v", name, s.Close())
		}
	}
}

func TestByHandTheChildCommandSaysWhoStartsIt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, "objectstore").CombinedOutput()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || !strings.Contains(string(out), "ergon-server serve") {
		t.Errorf("%v: %s", err, out)
	}
}
