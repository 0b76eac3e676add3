package server

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// sleeper starts a process that waits, in namespaces of its own when asked, and gives what the kernel would say of it.
func sleeper(t *testing.T, attr *syscall.SysProcAttr) socket.Peer {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/bin/sh", "-c", "echo up; cat")
	c.SysProcAttr = attr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skipf("this machine gives no namespaces to tests: %v", err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return socket.Peer{UID: uint32(os.Getuid()), PID: int32(c.Process.Pid)}
}

func TestAProcessOutsideOfContainersIsTold(t *testing.T) {
	t.Parallel()
	p := sleeper(t, nil)
	if err := Outside("/proc", p); err != nil {
		t.Error(err)
	}
	p.UID++
	if err := Outside("/proc", p); !errors.Is(err, ErrContained) {
		t.Errorf("a number that another user's process has by now: %v", err)
	}
	if err := Outside("/proc", socket.Peer{UID: uint32(os.Getuid())}); !errors.Is(err, ErrContained) {
		t.Errorf("a process that is not below our namespace has number 0: %v", err)
	}
	if err := Outside("/proc", socket.Peer{UID: uint32(os.Getuid()), PID: 1<<31 - 1}); !errors.Is(err, ErrContained) {
		t.Errorf("a process that is gone: %v", err)
	}
}

func TestThreat_T07_ProcessesInContainersAreNobodysLogin(t *testing.T) {
	t.Parallel()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	groups := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	for name, attr := range map[string]*syscall.SysProcAttr{
		"a user namespace":                  {Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: groups},
		"a user and a process namespace":    {Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID, UidMappings: ids, GidMappings: groups},
		"a process namespace, as root made": {Cloneflags: syscall.CLONE_NEWPID},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Outside("/proc", sleeper(t, attr)); !errors.Is(err, ErrContained) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatProcSaysIsReadStrictly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(pid, uidMap, status string) {
		t.Helper()
		sub := filepath.Join(dir, pid)
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"uid_map": uidMap, "status": status} {
			if err := os.WriteFile(filepath.Join(sub, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := "         0          0 4294967295\n"
	good := "Name:\tsh\nUid:\t1000\t1000\t1000\t1000\nNSpid:\t7\n"
	write("self", whole, good)
	for i, c := range []struct {
		uidMap, status string
		ok             bool
	}{
		{whole, good, true},
		{whole, strings.Replace(good, "NSpid:\t7", "NSpid:\t7\t1", 1), false},
		{"         0       1000          1\n", good, false},
		{whole, strings.Replace(good, "Uid:\t1000\t1000", "Uid:\t1000\t0", 1), false},
		{whole, "", false},
		{whole, "Uid:\tx\tx\tx\tx\nNSpid:\t7\n", false},
		{whole, "Uid:\t1000\t1000\t1000\t1000\n", false},
	} {
		write(strconv.Itoa(i+10), c.uidMap, c.status)
		if err := Outside(dir, socket.Peer{UID: 1000, PID: int32(i + 10)}); (err == nil) != c.ok {
			t.Errorf("case %d: %v", i, err)
		}
	}
}
