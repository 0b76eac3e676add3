package submit

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
)

// hung is the world that stands still at a point: time runs out there, and only the deadline can bring sbatch about.
func (b *bench) hung(point string) { b.env = append(b.env, "TEST_WRAPPER_HANG="+point) }

// withPath lets the wrapper find the fake sbatch as a shell does.
func (b *bench) withPath() { b.env = append(b.env, "PATH="+b.fake.Dir+":/usr/bin:/bin") }

func (b *bench) kept() []string {
	b.t.Helper()
	kept, err := filepath.Glob(filepath.Join(b.home, "state", "ergon", "spool", "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return kept
}

// one gives the only call of sbatch, with the environment's names as they were.
func (b *bench) one() string {
	b.t.Helper()
	calls := b.fake.Calls("sbatch")
	if len(calls) != 1 {
		b.t.Fatalf("%d calls of sbatch: %q", len(calls), calls)
	}
	return strings.TrimSpace(calls[0])
}

func TestWhateverHangsTheSubmissionGoesOnUntouched(t *testing.T) {
	t.Parallel()
	for _, point := range []string{
		"wrapper.site",        // the node's file
		"wrapper.path",        // a directory of PATH
		"wrapper.off",         // the home, at the first look
		"wrapper.agent",       // the home, where the socket is
		"wrapper.script",      // where the script is
		"wrapper.directories", // where directories are made
		"wrapper.user",        // the name service
	} {
		for _, agent := range []bool{false, true} {
			name := point + " without an agent"
			if agent {
				name = point
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				if agent {
					b.agent()
				}
				b.site("dirs:\n  scratch: " + b.home + "/scratch/%u\n")
				b.withPath()
				b.hung(point)
				script := b.script("#!/bin/sh\n#ERGON outputs=x scratch\nhostname\n")
				if got := b.run(nil, script); got.code != 0 || got.stdout != "Submitted batch job 7\n" || got.stderr != "" {
					t.Fatalf("got %+v", got)
				}
				if call := b.one(); call != script {
					t.Fatalf("called with %q", call)
				}
				if env := b.fake.Env("sbatch"); !strings.Contains(env, "ERGON_OUTPUT_DIR=/inherited\n") {
					t.Fatalf("the environment was changed: %s", env)
				}
			})
		}
	}
}

func TestAHomeThatHangsWhenSomethingIsToBeKeptIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.hung("wrapper.spool")
	if got := b.run(nil, b.script("#!/bin/sh\n#ERGON outputs=x\nhostname\n")); got.code != 0 || got.stdout != "Submitted batch job 7\n" {
		t.Fatalf("got %+v", got)
	}
	if call := b.one(); !strings.HasPrefix(call, "--comment=ergon1:") {
		t.Fatalf("called with %q", call)
	}
}

// The agent accepts and never answers, neither before nor after sbatch: the job is submitted, its tag tells, and what was
// declared is kept for later.
func TestAnAgentThatNeverAnswersIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l, err := net.Listen("unix", b.sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b.env = append(b.env, "TEST_WRAPPER_LATE=wrapper.intent.before,wrapper.report")
	if got := b.run(nil, b.script("#!/bin/sh\n#ERGON outputs=x\nhostname\n")); got.code != 0 || got.stdout != "Submitted batch job 7\n" || got.stderr != "" {
		t.Fatalf("got %+v", got)
	}
	if call := b.one(); !strings.HasPrefix(call, "--comment=ergon1:") {
		t.Fatalf("called with %q", call)
	}
	if kept := b.kept(); len(kept) != 1 || !strings.HasSuffix(kept[0], ".json") {
		t.Fatalf("kept %q", kept)
	}
}

func TestAScriptThatComesSlowlyOnAPipeIsSubmittedUntouched(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent()
	b.env = append(b.env, "TEST_WRAPPER_LATE=wrapper.stdin")
	b.fake.Replace("sbatch", "#!/bin/sh\n: > "+b.home+"/started\ncat > "+b.home+"/got\necho \"args:$*\"\n")
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "#!/bin/sh\n#SBATCH --com")
		for _, err := os.Stat(b.home + "/started"); err != nil && t.Context().Err() == nil; _, err = os.Stat(b.home + "/started") {
			time.Sleep(time.Millisecond)
		}
		_, _ = io.WriteString(w, "ment=mine\nhostname\n")
		_ = w.Close()
	}()
	if got := b.run(r); got.stdout != "args:\n" {
		t.Fatalf("got %+v", got)
	}
	if got, _ := os.ReadFile(filepath.Join(b.home, "got")); string(got) != "#!/bin/sh\n#SBATCH --com"+"ment=mine\nhostname\n" {
		t.Fatalf("got %q", got)
	}
}

func TestWhatIsNoScriptOrNoHomeHoldsNothingUp(t *testing.T) {
	t.Parallel()
	cases := map[string]func(b *bench) []string{
		"no HOME": func(b *bench) []string { b.env = append(b.env, "HOME="); return nil },
		"home is read-only": func(b *bench) []string {
			b.env = append(b.env, "HOME=/proc/1/none", "XDG_STATE_HOME=/proc/1/none")
			return nil
		},
		"script is a FIFO": func(b *bench) []string {
			path := filepath.Join(b.home, "fifo")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				b.t.Fatal(err)
			}
			return []string{path}
		},
	}
	for name, set := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			args := set(b)
			if args == nil {
				args = []string{b.script("#!/bin/sh\n#ERGON outputs=x scratch\nhostname\n")}
			}
			if got := b.run(nil, args...); got.code != 0 || got.stdout != "Submitted batch job 7\n" || got.stderr != "" {
				t.Fatalf("got %+v", got)
			}
			b.one()
		})
	}
}

// A full disk holds the home: no directory can be made and nothing can be kept, and sbatch is called all the same.
func TestAFullDiskHoldsNothingUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	script := b.script("#!/bin/sh\n#ERGON outputs=x scratch\nhostname\n")
	full := filepath.Join(b.home, "full")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "HOME="+full, "XDG_STATE_HOME="+full)
	mount := `mount -t tmpfs -o size=4k,nr_inodes=2 none "$1" && : >"$1/last" && ! mkdir "$1/more" 2>/dev/null && shift && exec "$@"`
	cmd := exec.Command("unshare", "-rm", "sh", "-c", mount, "sh", full, os.Args[0], script)
	cmd.Env, cmd.Dir = b.env, b.home
	out, err := cmd.CombinedOutput()
	if len(b.fake.Calls("sbatch")) == 0 && (strings.Contains(string(out), "unshare:") || strings.Contains(string(out), "mount:")) {
		t.Skipf("this machine gives no mounts to tests: %s", out)
	}
	if err != nil || string(out) != "Submitted batch job 7\n" {
		t.Fatalf("got %q, %v", out, err)
	}
	if call := b.one(); !strings.HasPrefix(call, "--comment=ergon1:") {
		t.Fatalf("called with %q", call)
	}
	if env := b.fake.Env("sbatch"); strings.Contains(env, "ERGON_OUTPUT_DIR=") || strings.Contains(env, "ERGON_SCRATCH_DIR=") {
		t.Fatal("a directory that could not be made is named")
	}
}

func TestTheBudgetIsThatOfTheDesign(t *testing.T) {
	t.Parallel()
	if Budget != 100*time.Millisecond {
		t.Errorf("%s are spent on Ergon, the design gives 100 ms", Budget)
	}
	// Each is counted from the start of the process, so they end one after another, and the last within the budget.
	if prepareTime <= 0 || intentTime < prepareTime || lastTime < intentTime || lastTime > Budget {
		t.Errorf("limits of %s, %s and %s do not end one after another within %s", prepareTime, intentTime, lastTime, Budget)
	}
	if prepareTime+lateTime > lastTime {
		t.Errorf("a preparation that hangs is left after %s, %s before the last limit", prepareTime+lateTime, lastTime)
	}
}

// slack is what a machine with much else to do takes to start processes: far below any timeout of the agent's client.
const slack = 2 * time.Second

// By the clock, and seen from sbatch: an agent that accepts and never answers puts its start off by the budget at most.
func TestSbatchStartsWithinTheBudgetBesideAnAgentThatNeverAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l, err := net.Listen("unix", b.sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b.env = append(b.env, "TEST_WRAPPER_CLOCK=1")
	stamp := filepath.Join(b.home, "stamp")
	b.fake.Replace("sbatch", "#!/bin/sh\ndate +%s%N > "+stamp+"\necho Submitted batch job 7\n")
	script := b.script("#!/bin/sh\n#ERGON outputs=x\nhostname\n")
	began := time.Now()
	if got := b.run(nil, script); got.code != 0 || got.stdout != "Submitted batch job 7\n" {
		t.Fatalf("got %+v", got)
	}
	text, err := os.ReadFile(stamp)
	if err != nil {
		t.Fatal(err)
	}
	nanos, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Unix(0, nanos).Sub(began)
	t.Logf("sbatch started %s after the wrapper", took.Round(time.Millisecond))
	if took > Budget+slack {
		t.Errorf("sbatch started %s after the wrapper, want at most %s", took, Budget+slack)
	}
}

// The time is counted from the start of the process, and what is left of it decides.
func TestTheClockStartsWithTheProcess(t *testing.T) {
	t.Parallel()
	started := time.Now()
	for _, limit := range []time.Duration{prepareTime, intentTime, lastTime} {
		ctx, cancel := Call{Started: started}.until(limit)
		at, ok := ctx.Deadline()
		cancel()
		if !ok || at.Sub(started) != limit || limit >= Budget {
			t.Errorf("a limit of %s ends %s after the start, of %s", limit, at.Sub(started), Budget)
		}
	}
	b := newBench(t)
	a := b.agent()
	b.env = append(b.env, "TEST_WRAPPER_OLD=1")
	if got := b.run(nil, b.script("#!/bin/sh\nhostname\n")); got.code != 0 || len(a.intents) != 0 {
		t.Fatalf("got %+v; the agent was asked after the time was up: %+v", got, a.intents)
	}
	b.one()
}

func TestTwoProgramsOfOursDoNotTakeEachOtherForSbatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var path []string
	for _, name := range []string{"ergon", "ergon-sbatch"} {
		links := filepath.Join(dir, "links-to-"+name)
		err := errors.Join(os.Mkdir(links, 0o700), slurmtest.WriteProgram(filepath.Join(dir, name), "#!/bin/sh\n", 0o700),
			os.Symlink(filepath.Join(dir, name), filepath.Join(links, "sbatch")))
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, links)
	}
	for _, self := range []string{"ergon", "ergon-sbatch"} {
		if got, err := FindSbatch("", strings.Join(path, ":"), filepath.Join(dir, self)); err == nil {
			t.Errorf("%s takes %s for sbatch", self, got)
		}
	}
}
