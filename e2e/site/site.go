package site

import (
	"context"
	_ "embed" // jobs' programs
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// Options of a Site; zero values are a cluster of the harness's defaults with everything on loopback.
type Options struct {
	Slurm harness.SlurmOptions
	// Apart puts cluster and agent into one network namespace and the server into another, with TLS between them.
	Apart bool
	// ServerEnv is laid over the server's environment.
	ServerEnv []string
	// AgentYAML are further lines of the agent's settings, at top level.
	AgentYAML string
	// SstatPerMinute is how often the agent samples running jobs; 0 is never, as by default.
	SstatPerMinute int
	// Programs holds ergon and ergon-agent when they are not those of the harness.
	Programs string
	// StateMB puts the agent's state on a file system of its own with that many megabytes, so that it can be filled.
	StateMB int
	// ServerMB does the same for the server's data.
	ServerMB int
	// NoAgent leaves the node's agent out.
	NoAgent bool
}

// Site is a running site.
type Site struct {
	Slurm *harness.Slurm
	// Dir holds everything but the cluster: server/, agent/, home/NAME, run/.
	Dir string
	// URL is the server's address.
	URL string
	// Store is the object store's address as clients see it.
	Store string

	opt    Options
	nets   *harness.NetPair
	ca     *authority
	server *harness.Process
	agent  *harness.Process
	// mounts are the file systems that were made for this site.
	mounts []string
	// logs of processes that were ended, for LogOnFailure.
	mu   sync.Mutex
	past []*harness.Process
}

// Cluster is the name under which the agent is enrolled.
const Cluster = "e2e"

// account is the one without privileges that the agent runs as.
const account = "ergon"

// Start brings a site up: cluster, server, and (unless left out) an enrolled agent.
func Start(ctx context.Context, h *harness.Stack, opt Options) (*Site, error) {
	s := &Site{opt: opt}
	if err := s.network(ctx, h); err != nil {
		return nil, err
	}
	var err error
	if s.Slurm, err = h.StartSlurm(ctx, s.opt.Slurm); err != nil {
		return nil, err
	}
	if s.Dir, err = harness.NewScratch("site"); err != nil {
		return nil, err
	}
	h.Defer(func() error { return os.RemoveAll(s.Dir) })
	h.Defer(s.end)
	for _, dir := range []string{"home", "run", "etc"} {
		if err := os.Mkdir(filepath.Join(s.Dir, dir), 0o755); err != nil { //nolint:gosec // users pass through
			return nil, fmt.Errorf("making the site: %w", err)
		}
	}
	return s, s.start(ctx)
}

//go:embed job/burn.py
var burn []byte

// Burn is a program for jobs: python3 BURN SECONDS MEGABYTES [SHARE] uses a known amount, and prints cpu_seconds=N.
func (s *Site) Burn() string { return s.path("etc", "burn.py") }

func (s *Site) start(ctx context.Context) error {
	if err := os.WriteFile(s.Burn(), burn, 0o644); err != nil { //nolint:gosec // jobs of all users read it
		return fmt.Errorf("making the site: %w", err)
	}
	if err := s.addresses(); err != nil {
		return err
	}
	if err := s.mount(s.DataDir(), s.opt.ServerMB); err != nil {
		return err
	}
	if err := s.StartServer(ctx); err != nil {
		return err
	}
	return s.enrolAndStart(ctx)
}

func (s *Site) network(ctx context.Context, h *harness.Stack) (err error) {
	if !s.opt.Apart {
		return nil
	}
	if s.nets, err = h.StartNetPair(ctx); err != nil {
		return err
	}
	s.opt.Slurm.Namespace = s.nets.Agent
	return nil
}

// addresses chooses where the server and its store listen.
func (s *Site) addresses() (err error) {
	scheme, host := "http", "127.0.0.1"
	if s.nets != nil {
		scheme, host = "https", s.nets.Server.Addr.String()
		if s.ca, err = newAuthority(s.path("etc"), host); err != nil {
			return err
		}
	}
	s.URL = fmt.Sprintf("%s://%s:%d", scheme, host, s.Slurm.FreePort(0))
	s.Store = fmt.Sprintf("%s://%s:%d", scheme, host, s.Slurm.FreePort(1))
	return nil
}

func (s *Site) enrolAndStart(ctx context.Context) error {
	if s.opt.NoAgent {
		return nil
	}
	if err := ensureAccount(ctx); err != nil {
		return err
	}
	if err := s.mount(s.StateDir(), s.opt.StateMB); err != nil {
		return err
	}
	if err := s.Enrol(ctx); err != nil {
		return err
	}
	return s.StartAgent(ctx)
}

// ensureAccount makes the agent's account where it is missing; another suite may do so at the same time.
func ensureAccount(ctx context.Context) error {
	if _, err := user.Lookup(account); err == nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, "useradd", "--system", "--no-create-home", "-c", "Ergon test user", account).CombinedOutput()
	if _, found := user.Lookup(account); found == nil {
		return nil
	}
	return fmt.Errorf("making the account %s: %w: %s", account, err, out)
}

func (s *Site) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// program finds one of the agent's two programs.
func (s *Site) program(name string) (string, error) {
	if s.opt.Programs != "" {
		return filepath.Join(s.opt.Programs, name), nil
	}
	return harness.Binary(name)
}

// agentSide is the namespace of the cluster; nil is the host's.
func (s *Site) agentSide() *harness.Namespace {
	if s.nets == nil {
		return nil
	}
	return s.nets.Agent
}

func (s *Site) serverSide() *harness.Namespace {
	if s.nets == nil {
		return nil
	}
	return s.nets.Server
}

// rootEnv is a service's environment: nothing of the test's own.
func (s *Site) rootEnv(extra ...string) []string {
	env := []string{"HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SLURM_CONF=" + s.Slurm.Conf}
	if s.ca != nil {
		env = append(env, "SSL_CERT_FILE="+s.ca.certFile)
	}
	return append(env, extra...)
}

// mount gives a service's directory a file system of its own; 0 megabytes leave it to the service.
func (s *Site) mount(dir string, megabytes int) error {
	if megabytes == 0 {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making a file system for the site: %w", err)
	}
	if err := unix.Mount("ergon-e2e", dir, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%dm", megabytes)); err != nil {
		return fmt.Errorf("making a file system for the site: %w", err)
	}
	s.mounts = append(s.mounts, dir)
	return nil
}

func (s *Site) end() error {
	err := errors.Join(s.KillAgent(), s.KillServer())
	for _, dir := range s.mounts {
		err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
	}
	return err
}

// adopt remembers a process for its log.
func (s *Site) adopt(p *harness.Process) *harness.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past = append(s.past, p)
	return p
}

func port(n int) string { return strconv.Itoa(n) }
