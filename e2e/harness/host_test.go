package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestReservedPortRangesDoNotOverlap(t *testing.T) {
	first, err := ReservePorts()
	if err != nil {
		t.Fatal(err)
	}
	second, err := ReservePorts()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if first.Base == second.Base {
		t.Errorf("both ranges begin at %d", first.Base)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestPortsFreeSeesAListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if portsFree(port, 1) {
		t.Error("a port with a listener counts as free")
	}
	l.Close()
	if !portsFree(port, 1) {
		t.Error("a closed port does not count as free")
	}
}

func TestOrphansAreThePrefixesOfDeadOwners(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	mine := newPrefix("probe")
	theirs := filepath.Join(scratchDir(), "ergon-probe-"+strconv.Itoa(dead.Process.Pid)+"-1")
	for _, dir := range []string{mine, theirs} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
	}
	found := orphans("probe")
	if !slices.Contains(found, theirs) || slices.Contains(found, mine) {
		t.Errorf("orphans = %v, want %s and not %s", found, theirs, mine)
	}
}

func TestUserEnvIsCleanAndExtraWordsWin(t *testing.T) {
	u := User{Name: "alice", Home: "/home/alice"}
	env := u.Env("PATH=/x", "SLURM_CONF=/y")
	for _, want := range []string{"PATH=/x", "SLURM_CONF=/y", "HOME=/home/alice", "USER=alice"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %v", want, env)
		}
	}
	if slices.Contains(env, "PATH=/usr/local/bin:/usr/bin:/bin") {
		t.Error("the old PATH is still there")
	}
}

func TestRootHoldsTheWorkspace(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "dev", "slurm", "up")); err != nil {
		t.Error(err)
	}
}

func TestBinaryNamesTheRemedy(t *testing.T) {
	t.Setenv("ERGON_BIN_DIR", t.TempDir())
	_, err := Binary("ergon")
	if err == nil || !contains(err.Error(), "make build") {
		t.Errorf("Binary of an empty directory: %v, want a word about make build", err)
	}
}
