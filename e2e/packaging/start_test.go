package packaging

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// account stands in for ergon, which is no account of the build machine.
const account = "nobody"

// service is a directory in which the agent runs as its unit would have it, and the socket on which it speaks to systemd.
type service struct {
	dir    string
	notify *net.UnixConn
}

func newService(t *testing.T) service {
	t.Helper()
	dir, err := os.MkdirTemp("", "ergon-unit-") //nolint:usetesting // that of t.TempDir is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	user, err := harness.LookupUser(account)
	if err != nil {
		t.Fatal(err)
	}
	state, path := filepath.Join(dir, "state"), filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, step := range []error{
		os.Chmod(dir, 0o755),
		os.Chmod(path, 0o777),
		os.Mkdir(state, 0o700),
		os.Chown(state, int(user.UID), int(user.GID)),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return service{dir: dir, notify: conn}
}

func (s service) run(t *testing.T, prefix ...string) *harness.Process {
	t.Helper()
	settings := filepath.Join(s.dir, "agent.yaml")
	if err := os.WriteFile(settings, []byte(read(t, "packaging", "agent", "agent.yaml")), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(prefix, program(t, "ergon-agent"), "run", "--system", "--run-as", account, "--config", settings,
		"--state-dir", filepath.Join(s.dir, "state"), "--socket", filepath.Join(s.dir, "run", "agent.sock"))
	env := []string{"PATH=/usr/bin:/bin", "NOTIFY_SOCKET=" + filepath.Join(s.dir, "notify"), "WATCHDOG_USEC=900000"}
	return harness.Start(t, "ergon-agent", harness.Spec{Dir: "/", Env: env, Args: args})
}

// wants waits until the agent has told systemd each of the words.
func (s service) wants(t *testing.T, words ...string) {
	t.Helper()
	if err := s.notify.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf, heard := make([]byte, 4096), ""
	for _, word := range words {
		for !strings.Contains(heard, word) {
			n, err := s.notify.Read(buf)
			if err != nil {
				t.Fatalf("systemd is not told %s (%v), only %q", word, err, heard)
			}
			heard += string(buf[:n]) + "\n"
		}
	}
}

var capabilities = regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`)

// bounding are setpriv's options for the capabilities of a unit.
func bounding(t *testing.T, file string) []string {
	t.Helper()
	m := capabilities.FindStringSubmatch(read(t, "systemd", file))
	if m == nil {
		t.Fatalf("%s sets no capabilities", file)
	}
	set := "-all"
	for _, c := range strings.Fields(m[1]) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	return []string{"setpriv", "--bounding-set", set, "--inh-caps", "-all", "--no-new-privs"}
}

// effective are the capabilities of a process as /proc shows them.
func effective(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`CapEff:\t(\w+)`).FindStringSubmatch(string(text))[1]
}

func TestLevelTwoStartsWithTheCapabilitiesOfItsUnitAndKeepsThree(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("level 2 starts as root: run the suite as root")
	}
	s := newService(t)
	if err := os.Mkdir(filepath.Join(s.dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	// No WATCHDOG_PID in the environment: level2.conf unsets it.
	if !strings.Contains(read(t, "systemd", "level2.conf"), "UnsetEnvironment=WATCHDOG_PID\n") {
		t.Error("the broker would not answer for the watchdog")
	}
	p := s.run(t, append(bounding(t, "level2.conf"), "--")...)
	s.wants(t, "READY=1", "WATCHDOG=1")
	pid := strconv.Itoa(p.PID())
	const three = "00000000000000e0" // CAP_KILL 5, CAP_SETGID 6, CAP_SETUID 7
	if got := effective(t, pid); got != three {
		t.Errorf("the parent keeps %s, want %s", got, three)
	}
	broker := strings.TrimSpace(run(t, nil, "pgrep", "-P", pid).Stdout)
	if got := effective(t, broker); got != "0000000000000000" {
		t.Errorf("the broker has %s", got)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "run", "agent.sock")); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket: %v, %v; want 0666", info, err)
	}
	if code, err := p.Stop(25 * time.Second); err != nil || code != 0 {
		t.Errorf("the stop within TimeoutStopSec: %d, %v", code, err)
	}
	s.wants(t, "STOPPING=1")
}

func TestLevelOneStartsWithNothingAndTakesSystemdsSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing to another account needs root: run the suite as root")
	}
	s := newService(t)
	path := filepath.Join(s.dir, "state", "activated.sock")
	prefix := append(bounding(t, "ergon-agent.service"), "--reuid", account, "--regid", "nogroup", "--clear-groups", "--",
		"systemd-socket-activate", "-E", "NOTIFY_SOCKET="+filepath.Join(s.dir, "notify"), "-E", "WATCHDOG_USEC=900000", "-l", path)
	p := s.run(t, prefix...)
	harness.Eventually(t, 10*time.Second, func() (bool, string) {
		c, err := net.Dial("unix", path)
		if err != nil {
			return false, err.Error()
		}
		return c.Close() == nil, "closing"
	})
	s.wants(t, "READY=1", "WATCHDOG=1")
	if got := effective(t, strconv.Itoa(p.PID())); got != "0000000000000000" {
		t.Errorf("the agent has %s", got)
	}
	if code, err := p.Stop(25 * time.Second); err != nil || code != 0 {
		t.Errorf("the stop within TimeoutStopSec: %d, %v", code, err)
	}
}
