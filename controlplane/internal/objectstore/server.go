package objectstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where the store lives and how its child is started. Dir, Command and Log are required.
type Config struct {
	Dir     string   // owned by this store alone
	Listen  string   // host:port; default 127.0.0.1:0, whose port is then kept
	Command []string // what to execute; its main must call RunChild
	Region  string   // default us-east-1
	Bucket  string   // default ergon

	CertFile, KeyFile string // both: the store speaks TLS

	Log          *slog.Logger
	StartTimeout time.Duration // how long a child may take to serve; default 30 s
	FirstPause   time.Duration // before the first restart; it doubles up to 30 s; default 100 ms
	ProbeEvery   time.Duration // between health probes; default 5 s; three failures in a row kill the child
	ProbeTimeout time.Duration // default 5 s
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" || len(c.Command) == 0 || c.Log == nil {
		return c, errors.New("starting the object store: Dir, Command and Log must be set")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return c, errors.New("starting the object store: a TLS certificate and its key are only good together")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("starting the object store: %w", err)
	}
	c.Dir = dir
	c.Listen, c.Region, c.Bucket = or(c.Listen, "127.0.0.1:0"), or(c.Region, "us-east-1"), or(c.Bucket, "ergon")
	c.StartTimeout, c.FirstPause = or(c.StartTimeout, 30*time.Second), or(c.FirstPause, 100*time.Millisecond)
	c.ProbeEvery, c.ProbeTimeout = or(c.ProbeEvery, 5*time.Second), or(c.ProbeTimeout, 5*time.Second)
	return c, nil
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Server is the running store: the supervised child and what is needed to reach it. Close it once.
type Server struct {
	cfg    Config
	child  childConfig
	lock   *os.File
	probe  *http.Client
	cancel context.CancelFunc
	done   chan struct{}

	pid        atomic.Int64
	restarts   atomic.Int64
	everServed bool // touched by the supervising goroutine only
	mu         sync.Mutex
	lastErr    error // why the child is not serving
}

// Start takes the directory, starts the child and waits until it serves. A cancelled ctx only ends the start; Close ends the store.
// Errors: another server holds the directory, the port is taken, the file system lost its extended attributes.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the store's directory: %w", err)
	}
	held, err := lock(ctx, cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, lock: held, done: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	set, err := prepare(s.cfg.Dir, s.cfg.Listen)
	if err != nil {
		return err
	}
	keys, err := loadKeys(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.child = childConfig{
		Data: dataDir(s.cfg.Dir), Addr: set.Addr, CertFile: s.cfg.CertFile, KeyFile: s.cfg.KeyFile,
		Region: s.cfg.Region, Bucket: s.cfg.Bucket, Keys: keys,
	}
	if set.Sidecar {
		s.child.Sidecar = sidecarDir(s.cfg.Dir)
		s.cfg.Log.Warn("the file system has no extended attributes: the object store keeps metadata in sidecar files", "dir", s.cfg.Dir)
	}
	s.probe = probeClient(s.cfg.ProbeTimeout)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	first := make(chan error, 1)
	go s.supervise(running, first)
	select {
	case err = <-first:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		<-s.done
		return fmt.Errorf("starting the object store: %w", err)
	}
	return nil
}

// probeClient asks our own child over loopback or its own address: its certificate may name a public host.
func probeClient(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // sends nothing, believes nothing but "200"
		DisableKeepAlives: true,
	}}
}

// URL is where this host reaches the store.
func (s *Server) URL() string {
	host, port, err := net.SplitHostPort(s.child.Addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if s.cfg.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Addr is the address that the store listens on, host:port.
func (s *Server) Addr() string { return s.child.Addr }

// Bucket is the one bucket.
func (s *Server) Bucket() string { return s.child.Bucket }

// Region is what signatures must name.
func (s *Server) Region() string { return s.child.Region }

// Keys are the credentials of the three identities.
func (s *Server) Keys() Keys { return s.child.Keys.keys() }

// Sidecar reports whether metadata lies in files instead of extended attributes.
func (s *Server) Sidecar() bool { return s.child.Sidecar != "" }

// PID is the process id of the child, 0 while none runs.
func (s *Server) PID() int { return int(s.pid.Load()) }

// Restarts counts how often the child had to be started again.
func (s *Server) Restarts() int64 { return s.restarts.Load() }

// Health asks the child now. For /readyz.
func (s *Server) Health(ctx context.Context) error {
	if s.PID() == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("the object store is being restarted: %w", or(s.lastErr, errEnded))
	}
	return s.ask(ctx)
}

func (s *Server) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+healthPath, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking the object store: %w", err)
	}
	resp, err := s.probe.Do(req)
	if err != nil {
		return fmt.Errorf("asking the object store: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("asking the object store: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the object store answers its health probe with %s", resp.Status)
	}
	return nil
}

// Close ends the child, gracefully within ctx and at most 12 s, and gives the directory back.
func (s *Server) Close() error {
	s.cancel()
	<-s.done
	return s.lock.Close()
}
