package spawn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// roleEnv makes the test binary play a part of the agent.
const roleEnv = "ERGON_SPAWN_TEST_ROLE"

// TestMain plays the helper, the parent or the broker when the test binary is re-executed as one of them.
func TestMain(m *testing.M) {
	ctx := context.Background()
	if len(os.Args) > 1 && os.Args[1] == HelperArg {
		if err := HelperMain(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "helper:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	switch os.Getenv(roleEnv) {
	case "parent":
		os.Setenv(roleEnv, "broker")
		code, err := RunParent(ctx, ParentConfig{
			Broker: "nobody", UIDMin: 1000, Socket: os.Getenv("ERGON_SPAWN_TEST_SOCKET"), Log: slog.Default(),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "parent:", err)
		}
		os.Exit(code)
	case "broker":
		os.Exit(playBroker(ctx))
	case "confine":
		os.Exit(playConfined())
	}
	os.Exit(m.Run())
}

func script(t *testing.T) (job outputs.JobFiles, own string) {
	t.Helper()
	dir := t.TempDir()
	own = filepath.Join(dir, "out")
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "result"), []byte("42"), 0o600); err != nil {
		t.Fatal(err)
	}
	return outputs.JobFiles{UID: uint32(os.Getuid()), Dirs: outputs.Dirs{Output: own}}, own
}

func TestSelfStartsAHelperThatReadsTheJobsFiles(t *testing.T) {
	job, _ := script(t)
	conn, kill, err := Self{}.Spawn(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	defer kill()
	client, err := helper.NewClient(t.Context(), conn, job)
	if err != nil {
		t.Fatal(err)
	}
	m, err := client.Collect(t.Context())
	if err != nil || len(m.Entries) != 1 || m.Entries[0].Path != "result" {
		t.Fatalf("got %+v %v", m, err)
	}
	kill()
	if _, err := client.Collect(t.Context()); !errors.Is(err, helper.ErrGone) {
		t.Errorf("after a kill: got %v, want ErrGone", err)
	}
	_ = client.Close()
}

func TestSelfRefusesAnotherUid(t *testing.T) {
	_, _, err := Self{}.Spawn(t.Context(), outputs.JobFiles{UID: uint32(os.Getuid()) + 1})
	if !errors.Is(err, outputs.ErrNotLinked) {
		t.Errorf("got %v, want ErrNotLinked", err)
	}
}

// playConfined shows what a helper can still reach.
func playConfined() int {
	inside, outside := os.Getenv("INSIDE"), os.Getenv("OUTSIDE")
	if err := Confine(outputs.JobFiles{Dirs: outputs.Dirs{Output: inside}}); err != nil {
		fmt.Println("confine:", err)
		return 1
	}
	_, errInside := os.ReadFile(filepath.Join(inside, "result"))
	_, errOutside := os.ReadFile(outside)
	errWrite := os.WriteFile(filepath.Join(inside, "new"), nil, 0o600)
	fmt.Println(errInside == nil, os.IsPermission(errOutside), os.IsPermission(errWrite))
	return 0
}

func TestAHelperReachesTheJobsDirectoriesOnlyAndWritesNothing(t *testing.T) {
	_, own := script(t)
	outside := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"=confine", "INSIDE="+own, "OUTSIDE="+outside)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "true true true" {
		t.Errorf("inside readable, outside refused, write refused: got %s %v", out, err)
	}
}

// seen is what the broker found out, printed as JSON for the test.
type seen struct {
	BrokerCaps, ParentCaps  string
	AliceFiles              []string
	BobRefused, RootRefused bool
	SystemRefused, NoSuch   bool
	HelperUID, HelperCaps   string
	HelperNNP               string
	Listening               bool
	OwnUIDRoot              bool
}

func status(pid, field string) string {
	text, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func playBroker(ctx context.Context) int {
	var s seen
	l, err := Listener()
	s.Listening = l != nil && err == nil
	r, err := FromParent()
	if err != nil || r == nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		return 1
	}
	s.BrokerCaps, s.ParentCaps = status("self", "CapEff"), status(fmt.Sprint(os.Getppid()), "CapEff")
	s.OwnUIDRoot = os.Getuid() == 0
	var alice, bob uint32
	fmt.Sscan(os.Getenv("ALICE"), &alice)
	fmt.Sscan(os.Getenv("BOB"), &bob)
	dir := os.Getenv("DIR")
	s.AliceFiles, s.HelperUID, s.HelperCaps, s.HelperNNP = visit(ctx, r, alice, dir)
	bobs, _, _, _ := visit(ctx, r, bob, dir)
	s.BobRefused = len(bobs) == 0
	refused := func(uid uint32) bool {
		_, _, err := r.Spawn(ctx, outputs.JobFiles{UID: uid})
		return errors.Is(err, outputs.ErrNotLinked)
	}
	s.RootRefused, s.SystemRefused, s.NoSuch = refused(0), refused(1), refused(4_000_000)
	_ = json.NewEncoder(os.Stdout).Encode(s)
	_ = r.Close()
	return 7
}

// visit lists dir through a helper of uid, and looks at the helper itself.
func visit(ctx context.Context, r *Remote, uid uint32, dir string) (files []string, uids, caps, nnp string) {
	job := outputs.JobFiles{UID: uid, Dirs: outputs.Dirs{Output: dir}}
	conn, kill, err := r.Spawn(ctx, job)
	if err != nil {
		return []string{err.Error()}, "", "", ""
	}
	defer kill()
	client, err := helper.NewClient(ctx, conn, job)
	if err != nil {
		return []string{err.Error()}, "", "", ""
	}
	defer func() { _ = client.Close() }()
	pid := child(fmt.Sprint(os.Getppid()), fmt.Sprint(os.Getpid()))
	m, _ := client.Collect(ctx)
	for _, e := range m.Entries {
		files = append(files, string(e.Status)+" "+e.Path)
	}
	return files, status(pid, "Uid"), status(pid, "CapEff"), status(pid, "NoNewPrivs")
}

// child is the child of parent that is not other.
func child(parent, other string) string {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		if pid := filepath.Base(p); pid != other && status(pid, "PPid") == parent {
			return pid
		}
	}
	return "none"
}

func user(t *testing.T, name string) Account {
	t.Helper()
	a, err := Lookup(t.Context(), name)
	if err != nil {
		t.Fatalf("%v: dev/install.sh makes the users of the tests", err)
	}
	return a
}

func TestTheParentStartsHelpersForUsersAndForNobodyElse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: only root can become another user")
	}
	alice, bob := user(t, "alice"), user(t, "bob")
	dir := t.TempDir()
	own := filepath.Join(dir, "alice")
	for path := dir; path != "/"; path = filepath.Dir(path) {
		if path != "/tmp" {
			_ = os.Chmod(path, 0o755)
		}
	}
	if err := errors.Join(os.Mkdir(own, 0o700), os.WriteFile(filepath.Join(own, "f"), nil, 0o600),
		os.Chown(own, int(alice.UID), int(alice.GID)), os.Chown(filepath.Join(own, "f"), int(alice.UID), int(alice.GID))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"=parent", fmt.Sprintf("ALICE=%d", alice.UID), fmt.Sprintf("BOB=%d", bob.UID),
		"DIR="+own, "ERGON_SPAWN_TEST_SOCKET="+filepath.Join(dir, "run", "agent.sock"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if strings.Contains(stderr.String(), ErrCgo.Error()) {
		t.Skip("linked with cgo: run with CGO_ENABLED=0, as the agent is built")
	}
	exit, _ := errors.AsType[*exec.ExitError](err)
	if exit == nil || exit.ExitCode() != 7 {
		t.Fatalf("the broker's exit code must come through: %v\n%s", err, stderr.String())
	}
	var s seen
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, &stderr)
	}
	if !slices.Equal(s.AliceFiles, []string{"found f"}) {
		t.Errorf("alice's helper saw %q", s.AliceFiles)
	}
	if s.OwnUIDRoot || s.BrokerCaps != "0000000000000000" || s.ParentCaps != fmt.Sprintf("%016x", uint64(kept)) {
		t.Errorf("capabilities: broker %s, parent %s", s.BrokerCaps, s.ParentCaps)
	}
	if want := fmt.Sprintf("%d\t%d\t%d\t%d", alice.UID, alice.UID, alice.UID, alice.UID); s.HelperUID != want {
		t.Errorf("helper's uids: got %q, want %q", s.HelperUID, want)
	}
	if s.HelperCaps != "0000000000000000" || s.HelperNNP != "1" {
		t.Errorf("helper: capabilities %s, no_new_privs %s", s.HelperCaps, s.HelperNNP)
	}
	if !s.BobRefused || !s.RootRefused || !s.SystemRefused || !s.NoSuch || !s.Listening {
		t.Errorf("refusals: %+v", s)
	}
}

func TestAccountsAreParsedStrictly(t *testing.T) {
	if _, err := parsePasswd("alice:x:1000:1000:A:/home/alice"); err == nil {
		t.Error("six fields were accepted")
	}
	if _, err := parsePasswd("alice:x:99999999999:1:::"); err == nil {
		t.Error("an uid over 32 bits was accepted")
	}
	a, err := parsePasswd("alice:x:1000:1001:A:/home/alice:/bin/sh")
	if err != nil || a.UID != 1000 || a.GID != 1001 || a.Home != "/home/alice" {
		t.Errorf("got %+v %v", a, err)
	}
	groups, err := parseGroups("alice 1001 50 60", a)
	if err != nil || !slices.Equal(groups, []uint32{1001, 50, 60}) {
		t.Errorf("got %v %v", groups, err)
	}
	if _, err := parseGroups("bob 0", a); err == nil {
		t.Error("another user's groups were accepted")
	}
	if _, err := Lookup(t.Context(), "no-such-user-here"); !errors.Is(err, ErrNoUser) {
		t.Errorf("got %v, want ErrNoUser", err)
	}
}
