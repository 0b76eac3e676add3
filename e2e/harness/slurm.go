package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SlurmOptions are the knobs of dev/slurm/up; zero values take its defaults.
type SlurmOptions struct {
	Cluster     string // name of the cluster; by default made from the prefix
	Nodes       int
	CPUs        int // per node, claimed
	MemMB       int // per node, claimed
	Track       string
	Fake        bool // energy, Lustre and network series through the real plugins
	MinJobAge   time.Duration
	PrivateData string
	Extra       string     // further lines of slurm.conf
	Namespace   *Namespace // run the whole cluster in this network namespace
}

// Slurm is a running private cluster.
type Slurm struct {
	Prefix    string
	Conf      string // SLURM_CONF
	opts      SlurmOptions
	ports     *PortRange
	dir       string // dev/slurm
	scriptEnv []string
}

const slurmTimeout = 3 * time.Minute

// StartSlurm brings up a cluster with users alice, bob and carol and returns when every
// node is idle, after five to ten seconds. It first removes clusters whose test binary
// died. It returns a *Missing when the machine cannot run one.
func StartSlurm(ctx context.Context, opts SlurmOptions) (*Slurm, error) {
	err := errors.Join(requireRoot("a Slurm cluster"), requirePrograms("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd"))
	if err != nil {
		return nil, err
	}
	root, err := Root()
	if err != nil {
		return nil, err
	}
	ports, err := ReservePorts()
	if err != nil {
		return nil, err
	}
	s := &Slurm{Prefix: newPrefix("slurm"), opts: opts, ports: ports, dir: filepath.Join(root, "dev", "slurm")}
	s.Conf = filepath.Join(s.Prefix, "etc", "slurm.conf")
	s.scriptEnv = append(os.Environ(), opts.env()...)
	s.sweep(ctx)
	if _, err := s.script(ctx, "up", s.Prefix, strconv.Itoa(ports.Base)); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Slurm: %w", err), s.Close())
	}
	return s, nil
}

func (o SlurmOptions) env() []string {
	var env []string
	add := func(name, value string, given bool) {
		if given {
			env = append(env, "ERGON_SLURM_"+name+"="+value)
		}
	}
	add("CLUSTER", o.Cluster, o.Cluster != "")
	add("NODES", strconv.Itoa(o.Nodes), o.Nodes != 0)
	add("CPUS", strconv.Itoa(o.CPUs), o.CPUs != 0)
	add("MEM", strconv.Itoa(o.MemMB), o.MemMB != 0)
	add("TRACK", o.Track, o.Track != "")
	add("FAKE", "1", o.Fake)
	add("MINJOBAGE", strconv.Itoa(int(o.MinJobAge/time.Second)), o.MinJobAge != 0)
	add("PRIVATEDATA", o.PrivateData, o.PrivateData != "")
	add("EXTRA", o.Extra, o.Extra != "")
	return env
}

// sweep removes what killed test binaries left. A failure shows when names or ports clash.
func (s *Slurm) sweep(ctx context.Context) {
	for _, prefix := range orphans("slurm") {
		if _, err := s.script(ctx, "down", prefix, "--purge"); err != nil {
			fmt.Fprintf(os.Stderr, "harness: removing the orphan %s: %v\n", prefix, err)
		}
	}
}

func (s *Slurm) script(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, slurmTimeout)
	defer cancel()
	spec := Spec{Namespace: s.opts.Namespace, Env: s.scriptEnv, Args: append([]string{filepath.Join(s.dir, name)}, args...)}
	return spec.must(ctx)
}

// Close kills the cluster, removes its prefix, and fails when anything of it is left.
func (s *Slurm) Close() error {
	return errors.Join(s.Purge(context.Background()), s.ports.Close())
}

// Purge kills the cluster, removes its prefix and keeps its ports.
func (s *Slurm) Purge(ctx context.Context) error {
	_, down := s.script(ctx, "down", s.Prefix, "--purge")
	_, check := s.script(ctx, "check", s.Prefix)
	return errors.Join(down, check)
}

// Stop ends the cluster in order and keeps its prefix; Restart brings it back with its
// pending jobs and its accounting.
func (s *Slurm) Stop(ctx context.Context) error {
	_, err := s.script(ctx, "down", s.Prefix)
	return err
}

// Restart starts whatever daemon of the cluster is not running.
func (s *Slurm) Restart(ctx context.Context) error {
	_, err := s.script(ctx, "up", s.Prefix)
	return err
}

// FreePort returns a port of the cluster's range that no daemon of it uses; n is 0 to 9.
func (s *Slurm) FreePort(n int) int { return s.ports.Base + s.ports.Size - 10 + n }

// BlindToOutOfMemory says why a job beyond its memory is not seen as OUT_OF_MEMORY here; "" where it is.
func (s *Slurm) BlindToOutOfMemory() (why string, err error) {
	conf, err := os.ReadFile(s.Conf)
	if err != nil {
		return "", fmt.Errorf("reading the cluster's settings: %w", err)
	}
	if strings.Contains(string(conf), "ProctrackType=proctrack/cgroup") {
		return "", nil
	}
	return "cgroup v1 cannot be written here: Slurm cannot tell OUT_OF_MEMORY with proctrack/linuxproc", nil
}

// Env is what Slurm's commands need to find this cluster.
func (s *Slurm) Env() []string { return []string{"SLURM_CONF=" + s.Conf} }

// As prepares a command that the user runs, in a clean login environment and the user's
// home, with this cluster's configuration.
func (s *Slurm) As(name string, args ...string) (Spec, error) {
	u, err := LookupUser(name)
	if err != nil {
		return Spec{}, err
	}
	return Spec{User: u, Namespace: s.opts.Namespace, Env: s.Env(), Args: args}, nil
}
