package harness

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func skipUnlessRoot(t *testing.T) {
	t.Helper()
	var missing *Missing
	if err := requireRoot(t.Name()); errors.As(err, &missing) {
		t.Skip(missing)
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func startSlurm(t *testing.T, opts SlurmOptions) *Slurm {
	t.Helper()
	skipUnlessRoot(t)
	s, err := StartSlurm(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil { // fails when a process, cgroup, mount or file is left
			t.Error(err)
		}
	})
	return s
}

const eatMemory = `python3 -c 'x = b"x" * (400 << 20); import time; time.sleep(30)'`

// Both clusters track by cgroup where the machine can; one has its network to itself.
func TestTwoClustersSideBySide(t *testing.T) {
	plain := startSlurm(t, SlurmOptions{Nodes: 1})
	pair := netPair(t)
	faked := startSlurm(t, SlurmOptions{Nodes: 2, Fake: true, Namespace: pair.Agent})

	killed := submit(t, plain, "alice", eatMemory, "--mem=60")
	steady := submit(t, plain, "bob", "sleep 2")
	profiled := submit(t, faked, "alice", "srun sleep 6", "--nodes=2", "--ntasks=2", "--profile=all")

	t.Run("a job beyond its memory is killed for it", func(t *testing.T) {
		skipIfBlind(t, plain)
		plain.WaitState(t, killed, "OUT_OF_MEMORY", 30*time.Second)
	})
	t.Run("its neighbour is not", func(t *testing.T) { plain.WaitState(t, steady, "COMPLETED", 30*time.Second) })
	t.Run("a job of two nodes has energy and profiles", func(t *testing.T) {
		faked.WaitState(t, profiled, "COMPLETED", 40*time.Second)
		if joules := consumedEnergy(t, faked, profiled); joules < 2*4*120 || joules > 2*30*120 {
			t.Errorf("energy %d J: two nodes of 120 W for at least 6 s should give more than 960 J and less than 7200 J", joules)
		}
		files, err := filepath.Glob(filepath.Join(faked.ProfileDir(), "alice", fmt.Sprintf("%d_0_*.h5", profiled)))
		if err != nil || len(files) != 2 {
			t.Errorf("profiles %v, %v; want one of each node", files, err)
		}
	})
}

// Both on the host, apart by prefix, ports and name alone: neither takes anything of the other along when it goes.
func TestOneOfTwoClustersOnTheHostGoes(t *testing.T) {
	first, second := startSlurm(t, SlurmOptions{Nodes: 1, Fake: true}), startSlurm(t, SlurmOptions{Nodes: 1, Fake: true})
	for _, pair := range [][2]*Slurm{{first, second}, {second, first}} {
		goes, stays := pair[0], pair[1]
		ended := submit(t, goes, "alice", "sleep 60", "--output=/dev/null")
		lives := submit(t, stays, "alice", "srun sleep 5", "--output=/dev/null")
		goes.WaitState(t, ended, "RUNNING", 30*time.Second)
		stays.WaitState(t, lives, "RUNNING", 30*time.Second)
		if err := goes.Purge(t.Context()); err != nil { // fails when anything of it is left
			t.Fatal(err)
		}
		stays.WaitState(t, lives, "COMPLETED", 30*time.Second)
		if _, err := goes.script(t.Context(), "up", goes.Prefix, strconv.Itoa(goes.ports.Base)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClusterSurvivesTheEndOfADaemon(t *testing.T) {
	s := startSlurm(t, SlurmOptions{Nodes: 1})
	if err := s.KillDaemon(t.Context(), "slurmctld"); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Not before the kill: slurmctld saves its jobs some seconds late. One that crashes
	// earlier forgets a new job, and takes one that has just completed for running.
	before := submit(t, s, "carol", "true")
	s.WaitState(t, before, "COMPLETED", 20*time.Second)
	held := submit(t, s, "carol", "true", "--hold")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.WaitState(t, before, "COMPLETED", 5*time.Second)
	release, err := s.As("root", "/usr/bin/scontrol", "release", strconv.Itoa(held))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := release.must(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.WaitState(t, held, "COMPLETED", 20*time.Second)
}

func TestAClusterOfADeadTestBinaryIsRemoved(t *testing.T) {
	skipUnlessRoot(t)
	ports, err := ReservePorts()
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(scratchDir(), fmt.Sprintf("ergon-slurm-%d-1", dead.Process.Pid))
	up := hostSpec(filepath.Join(root, "dev", "slurm", "up"), orphan, strconv.Itoa(ports.Base))
	if _, err := up.must(t.Context()); err != nil {
		t.Fatal(err)
	}
	startSlurm(t, SlurmOptions{Nodes: 1})
	check := hostSpec(filepath.Join(root, "dev", "slurm", "check"), orphan)
	if _, err := check.must(t.Context()); err != nil {
		t.Error(err)
	}
}

func submit(t *testing.T, s *Slurm, user, command string, options ...string) int {
	t.Helper()
	id, err := s.Submit(t.Context(), user, command, options...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func skipIfBlind(t *testing.T, s *Slurm) {
	t.Helper()
	why, err := s.BlindToOutOfMemory()
	if err != nil {
		t.Fatal(err)
	}
	if why != "" {
		t.Skip(why)
	}
}

func consumedEnergy(t *testing.T, s *Slurm, job int) int {
	t.Helper()
	spec, err := s.As("alice", "sacct", "-X", "-n", "-P", "-o", "ConsumedEnergyRaw", "-j", strconv.Itoa(job))
	if err != nil {
		t.Fatal(err)
	}
	out, err := spec.must(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return atoi(t, out)
}
