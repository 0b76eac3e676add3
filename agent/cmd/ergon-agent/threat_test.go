package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the process that holds secrets, and the one that looks for them.
func TestMain(m *testing.M) {
	switch os.Getenv("ERGON_TEST_T25") {
	case "agent":
		if err := protect(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		holdSecret()
	case "open":
		holdSecret()
	case "thief":
		steal(os.Getenv("ERGON_TEST_PID"), os.Getenv("ERGON_TEST_DIR"))
		os.Exit(0)
	default:
		os.Exit(m.Run())
	}
}

// holdSecret writes a state file as the agent does, says that it is there, and lives until its input ends.
func holdSecret() {
	if err := os.WriteFile(filepath.Join(os.Getenv("ERGON_TEST_DIR"), "journal.db"), []byte("secret"), 0o666); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// steal prints what of a process and its state directory could be had.
func steal(pid, dir string) {
	for _, name := range []string{"environ", "mem", "maps", "auxv"} {
		f, err := os.Open(filepath.Join("/proc", pid, name))
		if err != nil {
			continue
		}
		if name != "mem" { // its first page is mapped nowhere: opening is what the kernel guards
			_, err = f.Read(make([]byte, 16))
		}
		if err == nil || errors.Is(err, io.EOF) {
			fmt.Println(name)
		}
		_ = f.Close()
	}
	if names, err := os.ReadDir(filepath.Join("/proc", pid, "fd")); err == nil && len(names) > 0 {
		fmt.Println("fd")
	}
	var n int
	if _, err := fmt.Sscan(pid, &n); err == nil && unix.PtraceSeize(n) == nil { // does not stop it, and ends with us
		fmt.Println("ptrace")
	}
	for _, name := range []string{".", "journal.db"} {
		if f, err := os.Open(filepath.Join(dir, name)); err == nil {
			fmt.Println("state:" + name)
			_ = f.Close()
		}
	}
}

const holder, stranger = 64521, 64522 // uids that nobody has

func TestThreat_T25_ASecondUserCannotLookIntoTheAgentNorItsState(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start processes of two users")
	}
	binary := readableBinary(t)
	control := look(t, victim{binary: binary, mode: "open", uid: holder}, holder)
	for _, what := range []string{"environ", "mem", "maps", "fd", "ptrace", "state:journal.db"} {
		if !strings.Contains(control, what) {
			t.Fatalf("the control shows only %q, not %s; this test would prove nothing", control, what)
		}
	}
	if got := look(t, victim{binary: binary, mode: "agent", uid: holder}, stranger); got != "" {
		t.Errorf("a second user got %q", got)
	}
	// The agent's own account may read its files, but a program of it that went astray must not read the process.
	if got := look(t, victim{binary: binary, mode: "agent", uid: holder}, holder); got != "state:. state:journal.db" {
		t.Errorf("the same uid got %q", got)
	}
	// Were the directory open, the umask would still keep the file.
	if got := look(t, victim{binary: binary, mode: "agent", uid: holder, dirMode: 0o755}, stranger); got != "state:." {
		t.Errorf("through an open directory a second user got %q", got)
	}
}

// readableBinary copies the test binary to where other users can run it: t.TempDir is closed to them.
func readableBinary(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	data, err := os.ReadFile("/proc/self/exe")
	path := filepath.Join(dir, "t")
	if err == nil {
		err = errors.Join(os.WriteFile(path, data, 0o755), os.Chmod(path, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ergon-t25-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

type victim struct {
	binary, mode string
	uid          uint32
	dirMode      os.FileMode // of its state directory; 0: 0700
}

// look starts the victim, lets a thief look, and gives what the thief got.
func look(t *testing.T, v victim, thief uint32) string {
	t.Helper()
	state := filepath.Join(openDir(t), "state")
	mode := v.dirMode
	if mode == 0 {
		mode = 0o700
	}
	if err := errors.Join(os.Mkdir(state, mode), os.Chmod(state, mode), os.Chown(state, int(v.uid), int(v.uid))); err != nil {
		t.Fatal(err)
	}
	cmd := as(t, v.binary, v.uid, "ERGON_TEST_T25="+v.mode, "ERGON_TEST_DIR="+state, "SECRET=of-the-agent")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q %v", line, err)
	}
	got, err := as(t, v.binary, thief, "ERGON_TEST_T25=thief", fmt.Sprint("ERGON_TEST_PID=", cmd.Process.Pid), "ERGON_TEST_DIR="+state).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(got)), " ")
}

func as(t *testing.T, binary string, uid uint32, environ ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env, cmd.Dir, cmd.WaitDelay = environ, "/", time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}
