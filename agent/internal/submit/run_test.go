package submit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// agent records what the wrapper tells.
type agent struct {
	server.Backend
	mu      sync.Mutex
	intents []socket.Intent
	results []socket.Result
}

func (a *agent) Intent(_ context.Context, _ socket.Peer, in socket.Intent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.intents = append(a.intents, in)
	return nil
}

func (a *agent) Result(_ context.Context, _ socket.Peer, r socket.Result) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results = append(a.results, r)
	return nil
}

// heard waits until every intent has its result, since a wrapper may not wait for the answer, and says how much was told.
// It takes the lock, so that what was told may be read after it.
func (a *agent) heard() int {
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		a.mu.Lock()
		intents, results := len(a.intents), len(a.results)
		a.mu.Unlock()
		if results >= intents || time.Now().After(patience) {
			return intents + results
		}
	}
}

func (a *agent) Unlink(context.Context, socket.Peer) error { return errors.New("not asked for") }

// bench is a home, a fake sbatch and perhaps an agent.
type bench struct {
	t    *testing.T
	fake *slurmtest.Fake
	home string
	sock string
	env  []string
	told *agent
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, fake: slurmtest.New(t), home: t.TempDir()}
	b.sock = filepath.Join(b.home, "a.sock")
	b.fake.Answer("sbatch", "Submitted batch job 7\n")
	b.env = []string{
		"HOME=" + b.home, "PATH=/usr/bin:/bin", "ERGON_AGENT_SOCKET=" + b.sock, "TZ=America/New_York", "ERGON_OUTPUT_DIR=/inherited",
		"TEST_WRAPPER=1", "ERGON_SITE_CONFIG=" + filepath.Join(b.home, "site.yaml"), "XDG_STATE_HOME=" + filepath.Join(b.home, "state"),
	}
	b.site("slurm:\n  sbatch: " + filepath.Join(b.fake.Dir, "sbatch") + "\n")
	return b
}

func (b *bench) site(text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.home, "site.yaml"), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) agent() *agent {
	b.t.Helper()
	a := &agent{}
	b.told = a
	l, err := server.Listen(b.t.Context(), b.sock)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ctx, l, server.Options{Backend: a, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now})
	}()
	b.t.Cleanup(func() { cancel(); <-done })
	return a
}

func (b *bench) script(text string) string {
	b.t.Helper()
	path := filepath.Join(b.home, "job.sh")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

type result struct {
	stdout, stderr string
	code           int
	signal         syscall.Signal
}

func (b *bench) run(stdin io.Reader, args ...string) result {
	b.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env, cmd.Stdin, cmd.Dir = b.env, stdin, b.home
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if b.told != nil {
		b.told.heard()
	}
	r := result{stdout: out.String(), stderr: errs.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
		r.signal = exit.Sys().(syscall.WaitStatus).Signal()
	} else if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func TestASubmissionIsTaggedToldAndPassedThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	got := b.run(nil, "-n", "1", b.script("#!/bin/sh\n#ERGON outputs=x.nc scratch\nhostname\n"))
	if got.stdout != "Submitted batch job 7\n" || got.stderr != "" || got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if len(a.intents) != 1 || len(a.results) != 1 || a.results[0].BaseID != "7" || a.results[0].SubmissionID != a.intents[0].SubmissionID {
		t.Fatalf("told %+v and %+v", a.intents, a.results)
	}
	in := a.intents[0]
	if !slices.Equal(in.Globs, []string{"x.nc"}) {
		t.Fatalf("globs %q", in.Globs)
	}
	call := b.fake.Calls("sbatch")
	if len(call) != 1 || !strings.HasPrefix(call[0], "--comment="+jobkey.Tag(in.SubmissionID, "")+" -n 1 ") {
		t.Fatalf("called with %q", call)
	}
	env := b.fake.Env("sbatch")
	for _, want := range []string{"ERGON_OUTPUT_DIR=" + in.Dirs.Output + "\n", "ERGON_SCRATCH_DIR=" + in.Dirs.Scratch + "\n", "TZ=America/New_York\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment lacks %q", want)
		}
	}
	if strings.Contains(env, "/inherited") || strings.Contains(env, "ERGON_INPUT_DIR") {
		t.Error("a directory of an outer submission was inherited")
	}
	for _, dir := range []string{in.Dirs.Output, in.Dirs.Scratch} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := os.Stat(filepath.Join(in.Dirs.Scratch, OwnerFile)); err != nil {
		t.Error(err)
	}
}

func TestAScriptWithoutDirectivesGetsTheCallersOwnEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent()
	b.run(nil, b.script("#!/bin/sh\nhostname\n"))
	if env := b.fake.Env("sbatch"); !strings.Contains(env, "ERGON_OUTPUT_DIR=/inherited\n") {
		t.Fatalf("got %s", env)
	}
	if _, err := os.Stat(filepath.Join(b.home, "ergon")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("directories were made")
	}
}

func TestTheUsersOwnCommentIsKeptByPrecedence(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env, want string
		args      []string
	}{
		"script":        {"", "from script", nil},
		"environment":   {"SBATCH_COMMENT=from env", "from env", nil},
		"command line":  {"SBATCH_COMMENT=from env", "from line", []string{"--comment", "from line"}},
		"an older tag":  {"", "inner", []string{"--comment=ergon1:0192f0c1-0000-7000-8000-000000000001|inner"}},
		"an older bare": {"", "", []string{"--comment=ergon1:0192f0c1-0000-7000-8000-000000000001"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			a := b.agent()
			b.env = append(b.env, c.env)
			b.run(nil, append(c.args, b.script("#!/bin/sh\n#SBATCH --comment='from script'\nhostname\n"))...)
			if len(a.intents) != 1 {
				t.Fatalf("%d intents", len(a.intents))
			}
			want := "--comment=" + jobkey.Tag(a.intents[0].SubmissionID, c.want)
			if call := b.fake.Calls("sbatch")[0]; !strings.Contains(call+" ", want+" ") {
				t.Fatalf("called with %q, want %q", call, want)
			}
		})
	}
}

func TestWithoutAnAgentTheProcessBecomesATaggedSbatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.Replace("sbatch", "#!/bin/sh\necho pid $$ \"$@\"\necho err >&2\nexit 5\n")
	cmd := exec.Command(os.Args[0], b.script("#!/bin/sh\nhostname\n"))
	cmd.Env = b.env
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || errs.String() != "err\n" {
		t.Fatalf("got %v, %q", err, errs.String())
	}
	if want := fmt.Sprintf("pid %d --comment=ergon1:", cmd.Process.Pid); !strings.HasPrefix(string(out), want) {
		t.Fatalf("got %q, want %q", out, want)
	}
}

func TestStdoutStderrAndExitCodePassThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.fake.Answer("sbatch", "half a line")
	b.fake.Fail("sbatch", 3, "sbatch: error: Batch job submission failed: Invalid partition\n")
	got := b.run(nil, b.script("#!/bin/sh\n"))
	if got.stdout != "half a line" || got.stderr != "sbatch: error: Batch job submission failed: Invalid partition\n" || got.code != 3 {
		t.Fatalf("got %+v", got)
	}
	if r := a.results; len(r) != 1 || r[0].BaseID != "" || r[0].ExitCode != 3 || r[0].NotStarted {
		t.Fatalf("told %+v", r)
	}
}

func TestDeathBySignalIsPassedOnAndTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\nkill -TERM $$\nsleep 5\n")
	if got := b.run(nil, b.script("#!/bin/sh\n")); got.signal != syscall.SIGTERM {
		t.Fatalf("got %+v", got)
	}
	if r := a.results; len(r) != 1 || r[0].Signal != int(syscall.SIGTERM) {
		t.Fatalf("told %+v", r)
	}
}

func TestSignalsReachSbatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\ntrap 'echo got it; exit 9' INT\necho ready\nwhile :; do sleep 0.05; done\n")
	cmd := exec.Command(os.Args[0], b.script("#!/bin/sh\n"))
	cmd.Env = b.env
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 9 || string(rest) != "got it\n" {
		t.Fatalf("got %v, %q", err, rest)
	}
}

func TestAScriptOnStdinArrivesByteForByte(t *testing.T) {
	t.Parallel()
	script := "#!/bin/sh\n#ERGON outputs=x\n#SBATCH --comment=mine\necho \x00\xff binary\n" + strings.Repeat("# long\n", 200_000)
	for name, file := range map[string]bool{"pipe": false, "file": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			a := b.agent()
			b.fake.Replace("sbatch", "#!/bin/sh\ncat > "+b.home+"/got\necho \"$1\" > "+b.home+"/first\necho Submitted batch job 7\n")
			var in io.Reader = strings.NewReader(script)
			if file {
				f, err := os.Open(b.script(script))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				in = f
			}
			if got := b.run(in); got.code != 0 {
				t.Fatalf("got %+v", got)
			}
			got, err := os.ReadFile(filepath.Join(b.home, "got"))
			if err != nil || string(got) != script {
				t.Fatalf("%d bytes of %d arrived, %v", len(got), len(script), err)
			}
			if len(a.intents) != 1 || !slices.Equal(a.intents[0].Globs, []string{"x"}) {
				t.Fatalf("told %+v", a.intents)
			}
			if first, _ := os.ReadFile(filepath.Join(b.home, "first")); !strings.Contains(string(first), "|mine") {
				t.Fatalf("the script's own comment is lost: %s", first)
			}
		})
	}
}

func TestCallsThatSubmitNothingAreNotTagged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	for _, args := range [][]string{{"--help"}, {"--test-only", "x.sh"}} {
		b.run(nil, args...)
	}
	calls := b.fake.Calls("sbatch")
	if len(calls) != 2 {
		t.Errorf("%d calls of sbatch, want 2", len(calls))
	}
	for _, call := range calls {
		if strings.Contains(call, "ergon1:") {
			t.Errorf("called with %q", call)
		}
	}
	if len(a.intents) != 0 {
		t.Errorf("told %+v", a.intents)
	}
}

func TestABrokenScriptGetsSbatchsOwnMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent()
	b.fake.Fail("sbatch", 1, "sbatch: error: Unable to open file missing.sh\n")
	if got := b.run(nil, "missing.sh"); got.code != 1 || got.stderr != "sbatch: error: Unable to open file missing.sh\n" {
		t.Fatalf("got %+v", got)
	}
}

func TestWhatNoAgentTookIsHandedInLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	script := b.script("#!/bin/sh\n#ERGON outputs=x\nhostname\n")
	b.run(nil, script)
	kept, _ := filepath.Glob(filepath.Join(b.home, "state", "ergon", "spool", "*.json"))
	if len(kept) != 1 {
		t.Fatalf("%d results were kept", len(kept))
	}
	a := b.agent()
	b.run(nil, script)
	if len(a.results) != 2 || !slices.Equal(a.results[1].Globs, []string{"x"}) || len(a.intents) != 1 {
		t.Fatalf("told %+v", a.results)
	}
	if kept, _ = filepath.Glob(filepath.Join(b.home, "state", "ergon", "spool", "*.json")); len(kept) != 0 {
		t.Fatal("still kept")
	}
}

func TestExportListsAreExtendedOnlyOnRequest(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		directive string
		args      []string
		want      string
	}{
		"asked":     {"export", []string{"--export=A,B"}, "--export=A,B,ERGON_INPUT_DIR,ERGON_OUTPUT_DIR,ERGON_SCRATCH_DIR"},
		"not asked": {"scratch", []string{"--export=A,B"}, "--export=A,B "},
		"none":      {"export", []string{"--export=NONE"}, "--export=NONE "},
		"all":       {"export", []string{"--export=ALL,X=1"}, "--export=ALL,X=1 "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.agent()
			b.run(nil, append(c.args, b.script("#!/bin/sh\n#ERGON "+c.directive+"\nhostname\n"))...)
			if call := b.fake.Calls("sbatch")[0]; !strings.Contains(call, c.want) {
				t.Fatalf("called with %q, want %q", call, c.want)
			}
		})
	}
}

func TestDisabledByAnyOfThree(t *testing.T) {
	t.Parallel()
	env := func(values map[string]string) func(string) string { return func(n string) string { return values[n] } }
	only := func(path string) func(string) bool { return func(p string) bool { return p == path } }
	if !Disabled(env(map[string]string{"ERGON_DISABLE": "1"}), only("")) ||
		!Disabled(env(map[string]string{"HOME": "/h"}), only("/h/.config/ergon/off")) ||
		!Disabled(env(nil), only("/etc/ergon/disabled")) {
		t.Error("not disabled")
	}
	if Disabled(env(map[string]string{"HOME": "/h", "ERGON_DISABLE": "0"}), only("")) {
		t.Error("disabled without a reason")
	}
}

func TestFindSbatchSkipsOurselves(t *testing.T) {
	t.Parallel()
	dir, genuine := t.TempDir(), t.TempDir()
	self := filepath.Join(dir, "ergon")
	for _, p := range []string{self, filepath.Join(genuine, "sbatch")} {
		if err := slurmtest.WriteProgram(p, "#!/bin/sh\n", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(dir, "sbatch")); err != nil {
		t.Fatal(err)
	}
	if got, err := FindSbatch("", dir+":"+genuine, self); err != nil || got != filepath.Join(genuine, "sbatch") {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := FindSbatch("", dir, self); !errors.Is(err, ErrNoSbatch) {
		t.Fatalf("got %v", err)
	}
	if got, err := FindSbatch("/opt/sbatch", "", self); err != nil || got != "/opt/sbatch" {
		t.Fatalf("got %q, %v", got, err)
	}
}
