package protect

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

// The test binary is also the process that is protected, and the one that looks into it.
func TestMain(m *testing.M) {
	switch os.Getenv("ERGON_TEST_T25") {
	case "protected":
		if err := Process(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		holdSecret()
	case "open":
		holdSecret()
	case "thief":
		os.Exit(steal(os.Getenv("ERGON_TEST_PID")))
	default:
		os.Exit(m.Run())
	}
}

// holdSecret says that it is there and lives until its input ends.
func holdSecret() {
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// steal prints what of another process could be had.
func steal(pid string) int {
	for _, name := range []string{"environ", "mem", "maps", "fd", "io", "auxv"} {
		f, err := os.Open(filepath.Join("/proc", pid, name))
		if err != nil {
			continue
		}
		if name == "fd" {
			_, err = f.Readdirnames(1)
		} else if name != "mem" {
			_, err = f.Read(make([]byte, 16))
		}
		if err == nil || errors.Is(err, io.EOF) {
			fmt.Println(name)
		}
		f.Close()
	}
	var n int
	if _, err := fmt.Sscan(pid, &n); err != nil {
		return 2
	}
	if unix.PtraceSeize(n) == nil { // ends with this process; after an attach the victim could stay stopped for ever
		fmt.Println("ptrace")
	}
	return 0
}

const holder, stranger = 64511, 64512 // uids that nobody has

func TestThreat_T25_AnotherUserAndTheSameUIDCannotLookIntoTheProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start processes of two users")
	}
	binary := shared(t)
	if got := look(t, binary, "open", holder); !strings.Contains(got, "environ") {
		t.Fatalf("the control shows nothing: %q; this test would prove nothing", got)
	}
	for _, uid := range []uint32{holder, stranger} {
		if got := look(t, binary, "protected", uid); got != "" {
			t.Errorf("uid %d got %q of the protected process", uid, got)
		}
	}
}

// shared copies the test binary to where other users can run it.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ergon-t25-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "t"), data, 0o755))
	}
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "t"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "t")
}

func look(t *testing.T, binary, mode string, thief uint32) string {
	t.Helper()
	victim := as(binary, holder, "ERGON_TEST_T25="+mode, "SECRET=of-the-agent")
	in, err1 := victim.StdinPipe()
	out, err2 := victim.StdoutPipe()
	if err := errors.Join(err1, err2, victim.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := victim.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q %v", line, err)
	}
	got, err := as(binary, thief, "ERGON_TEST_T25=thief", fmt.Sprint("ERGON_TEST_PID=", victim.Process.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(got)), " ")
}

func as(binary string, uid uint32, environ ...string) *exec.Cmd {
	cmd := exec.Command(binary)
	cmd.Env, cmd.Dir, cmd.WaitDelay = environ, "/", time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}
