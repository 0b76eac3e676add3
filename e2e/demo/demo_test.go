// Package demo runs the demo as its reader does: up, up again, down; and looks at what is left on the machine.
package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

const (
	visitor = "ergondemo" // Unix users of this demo alone: suites that run beside it have the others
	account = "ergondemoagent"
)

// limit is for the whole of it on a machine with much else to do.
const limit = 8 * time.Minute

type demo struct {
	t         *testing.T
	root, dir string
	env       []string
}

// newDemo is a demo of its own: directory, ports, cluster and users.
func newDemo(t *testing.T) *demo {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the demo needs root: run the suite as root")
	}
	for _, name := range []string{"slurmctld", "mariadbd", "jq", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: run dev/install.sh demo", name)
		}
	}
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := harness.ReservePorts()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ports.Close() })
	dir := fmt.Sprintf("/var/tmp/ergon-demotest-%d", os.Getpid())
	d := &demo{t: t, root: root, dir: dir, env: append(os.Environ(),
		"ERGON_DEMO_DIR="+dir, "ERGON_DEMO_PORT="+strconv.Itoa(ports.Base), "ERGON_DEMO_CLUSTER=demotest"+strconv.Itoa(os.Getpid()),
		"ERGON_DEMO_USER="+visitor, "ERGON_DEMO_ACCOUNT="+account)}
	t.Cleanup(func() { _, _ = d.script(context.Background(), "down") })
	return d
}

func (d *demo) script(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "dev", "demo", name))
	cmd.Env, cmd.WaitDelay = d.env, time.Second // the demo's processes outlive up and hold its output
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *demo) up() string {
	d.t.Helper()
	began := time.Now()
	out, err := d.script(d.t.Context(), "up")
	if err != nil {
		d.t.Fatalf("dev/demo/up: %v\n%s", err, out)
	}
	d.t.Logf("up took %v", time.Since(began).Round(time.Second))
	for _, want := range []string{"OUT OF MEMORY on", "well-sized", "exits-3", "$ ergon files ls", "Your last 30 days:", "Try it"} {
		if !strings.Contains(out, want) && !(strings.HasPrefix(want, "OUT") && strings.Contains(out, "falling back to")) {
			d.t.Errorf("the demo does not show %q", want)
		}
	}
	return out
}

func TestTheDemoComesUpTwiceAndLeavesNothing(t *testing.T) {
	d := newDemo(t)
	_, cpuBefore := os.Stat("/dev/cpu")
	first := d.up()
	d.tryWhatIsPrinted(first)
	second := d.up()
	if !strings.Contains(second, "18 jobs") {
		t.Errorf("the second run does not show the jobs of both:\n%s", second)
	}
	d.sections(second)
	d.quick(second)
	out, err := d.script(t.Context(), "down")
	if err != nil || !strings.Contains(out, "The demo is gone.") {
		t.Fatalf("dev/demo/down: %v\n%s", err, out)
	}
	d.nothingLeft()
	if _, err := os.Stat("/run/ergon-dev-cpu"); os.IsNotExist(err) && os.IsNotExist(cpuBefore) {
		if _, err := os.Stat("/dev/cpu"); !os.IsNotExist(err) {
			t.Errorf("/dev/cpu was made and is left: %v", err)
		}
	}
}

// maxOwnWork is what a second run may take beside the time in which it waits for its jobs.
const maxOwnWork = 60

func (d *demo) quick(out string) {
	d.t.Helper()
	m := regexp.MustCompile(`(?m)^Own work: (\d+) s, beside \d+ s of waiting for jobs$`).FindStringSubmatch(out)
	if m == nil {
		d.t.Fatalf("the demo does not print how long it worked:\n%s", out)
	}
	d.t.Attr("seconds", "demo: the second run's "+m[0])
	if own, err := strconv.Atoi(m[1]); err != nil || own >= maxOwnWork {
		d.t.Errorf("%s; want less than %d s", m[0], maxOwnWork)
	}
}

// outOfMemory is the verdict where the cluster can hold a job to its memory.
const outOfMemory = "OUT OF MEMORY on"

// sections asserts what each job's own report says. They are printed in the order of dev/demo/lib/jobs.sh.
func (d *demo) sections(out string) {
	d.t.Helper()
	reports := strings.Split(out, "\n$ ergon ")[1:]
	wants := [][]string{
		{"(well-sized)", "COMPLETED", "result-"},
		{"(wasteful)", "#SBATCH --mem=", "#SBATCH --ntasks=1", "kept "},
		{"(two-nodes)", "2 of 2 nodes", "HDF5 profile", "Energy   sacct ConsumedEnergyRaw", " W peak"},
		{"4 tasks", "4 COMPLETED", "Spread over the tasks"},
		{"(exits-3)", "exit code 3"},
		{"(too-big)", outOfMemory},
		{"/output/result-1.txt", "/stderr/exits-3-", "/profile/"},
	}
	for i, want := range wants {
		for _, text := range want {
			if text == outOfMemory && strings.Contains(out, "falling back to") { // no cgroups here
				continue
			}
			if i >= len(reports) || !strings.Contains(reports[i], text) {
				d.t.Errorf("section %d lacks %q in:\n%s", i, text, out)
			}
		}
	}
}

// tryWhatIsPrinted runs the first of the lines under "Try it" as it stands.
func (d *demo) tryWhatIsPrinted(out string) {
	d.t.Helper()
	_, rest, _ := strings.Cut(out, "Try it")
	lines := strings.Split(rest, "\n")
	if len(lines) < 2 {
		d.t.Fatalf("nothing to try:\n%s", out)
	}
	words := strings.Fields(lines[1])
	answer, err := exec.CommandContext(d.t.Context(), words[0], words[1:]...).CombinedOutput()
	if err != nil || !strings.Contains(string(answer), "wasteful") {
		d.t.Errorf("%s: %v\n%s", lines[1], err, answer)
	}
}

func (d *demo) nothingLeft() {
	d.t.Helper()
	for _, name := range []string{visitor, account} {
		if _, err := user.Lookup(name); err == nil {
			d.t.Errorf("user %s is left", name)
		}
	}
	for _, path := range []string{d.dir, "/home/" + visitor} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			d.t.Errorf("%s is left: %v", path, err)
		}
	}
	for _, what := range []string{"cmdline", "environ", "mountinfo"} {
		files, err := filepath.Glob("/proc/[0-9]*/" + what)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), d.dir+"/") && !strings.Contains(file, "/"+strconv.Itoa(os.Getpid())+"/") {
				d.t.Errorf("%s still names the demo", file)
			}
		}
	}
}
