package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// DataDir is the server's.
func (s *Site) DataDir() string { return s.path("server") }

func (s *Site) serverEnv() []string {
	env := s.rootEnv(
		"ERGON_DATA_DIR="+s.DataDir(), "ERGON_HTTP_LISTEN="+hostPort(s.URL), "ERGON_STORE_LISTEN="+hostPort(s.Store),
		"ERGON_AUTH_REGISTRATION=open", "ERGON_AUTH_LOGIN_PER_MINUTE=100000", "ERGON_LOG_LEVEL=debug", "ERGON_QUEUE_SWEEP=5s",
	)
	if s.ca != nil {
		env = append(env, "ERGON_STORE_PUBLIC_URL="+s.Store,
			"ERGON_HTTP_TLS_CERT_FILE="+s.ca.chainFile, "ERGON_HTTP_TLS_KEY_FILE="+s.ca.keyFile,
			"ERGON_STORE_TLS_CERT_FILE="+s.ca.chainFile, "ERGON_STORE_TLS_KEY_FILE="+s.ca.keyFile, "ERGON_STORE_CA_FILE="+s.ca.certFile)
	}
	return append(env, s.opt.ServerEnv...)
}

func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// StartServer starts ergon-server on the site's data and returns when it is ready.
func (s *Site) StartServer(ctx context.Context, extra ...string) error {
	program, err := harness.Binary("ergon-server")
	if err != nil {
		return err
	}
	if s.server, err = harness.Launch("ergon-server", harness.Spec{ //nolint:contextcheck // it outlives ctx: end kills it
		Namespace: s.serverSide(), Dir: s.Dir, Env: append(s.serverEnv(), extra...), Args: []string{program, "serve"},
	}); err != nil {
		return err
	}
	s.adopt(s.server)
	return s.waitReady(ctx, 60*time.Second)
}

func (s *Site) waitReady(ctx context.Context, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		status, err := s.anonymous().Get(ctx, "/readyz", nil)
		if err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-s.server.Done():
			return fmt.Errorf("ergon-server ended at once: %s", s.server.Log())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ergon-server is not ready after %v (%d, %w): %s", within, status, err, tail(s.server.Log()))
		}
	}
}

// KillServer ends the server by SIGKILL. Its children have to end by themselves: one that does not is an error.
func (s *Site) KillServer() error {
	if s.server == nil {
		return nil
	}
	children := s.Processes("ergon-server")
	err := s.server.Kill()
	for _, pid := range children {
		err = errors.Join(err, waitGone(pid))
	}
	return err
}

// StopServer asks the server to end.
func (s *Site) StopServer() error {
	code, err := s.server.Stop(30 * time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("ergon-server ended with %d", code)
	}
	return err
}

// KillStore ends the embedded object store alone; the server is to start a new one.
func (s *Site) KillStore() (pid int, err error) {
	pid, err = s.StorePID()
	if err != nil {
		return 0, err
	}
	return pid, syscall.Kill(pid, syscall.SIGKILL)
}

// FreezeStore stops the embedded object store without ending it; the returned function lets it go on.
func (s *Site) FreezeStore() (thaw func() error, err error) {
	pid, err := s.StorePID()
	if err != nil {
		return nil, err
	}
	return func() error { return syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
}

// StorePID is the process of the embedded object store.
func (s *Site) StorePID() (int, error) {
	for _, pid := range s.Processes("ergon-server") {
		line, err := os.ReadFile(filepath.Join("/proc", port(pid), "cmdline"))
		if err == nil && strings.Contains(string(line), "\x00objectstore") {
			return pid, nil
		}
	}
	return 0, errors.New("the embedded object store is not running")
}

// Admin runs `ergon-server admin …` on the site's data, beside the running server.
func (s *Site) Admin(ctx context.Context, stdin string, args ...string) (string, error) {
	program, err := harness.Binary("ergon-server")
	if err != nil {
		return "", err
	}
	spec := harness.Spec{Dir: s.Dir, Env: append(s.serverEnv(), "ERGON_LOG_LEVEL=error"), Args: append([]string{program, "admin"}, args...)}
	result, err := RunWithInput(ctx, spec, stdin)
	if err != nil {
		return "", err
	}
	if result.Code != 0 {
		return "", fmt.Errorf("ergon-server admin %s ended with %d: %s", args[0], result.Code, result.Stderr)
	}
	return result.Stdout, nil
}

// Alive returns an error unless server and agent run and the server is ready.
func (s *Site) Alive(ctx context.Context) error {
	for _, p := range []*harness.Process{s.server, s.agent} {
		select {
		case <-p.Done():
			return fmt.Errorf("%s has ended: %s", p.Name(), tail(p.Log()))
		default:
		}
	}
	return s.waitReady(ctx, 30*time.Second)
}
