package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// TestMain is also the program that asks for a login, as other users and in containers.
func TestMain(m *testing.M) {
	path := os.Getenv("ERGON_TEST_ASK")
	if path == "" {
		os.Exit(m.Run())
	}
	c, err := socket.Find(context.Background(), func(string) string { return path })
	if err == nil {
		var t socket.Token
		if t, err = c.Token(context.Background(), false); err == nil {
			fmt.Println("uid", t.Username)
			return
		}
	}
	fmt.Println("refused:", err)
}

// openHouse serves everybody on the machine, as the socket of a node does, and logs in who is outside of containers.
func openHouse(t *testing.T) (program, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ergon-socket-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, path = filepath.Join(dir, "ask"), filepath.Join(dir, "s")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", path)
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.Chmod(path, 0o666), copyTo(program)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, Options{Backend: &backend{}, Log: slog.New(slog.DiscardHandler), OnlyUID: -1, Now: time.Now, Token: func(_ context.Context, p socket.Peer, _ bool) (socket.Token, error) {
			if err := Outside("/proc", p); err != nil {
				return socket.Token{}, &socket.Error{Status: 403, Message: err.Error()}
			}
			return socket.Token{Username: fmt.Sprint(p.UID)}, nil
		}})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return program, path
}

func copyTo(path string) error {
	in, err := os.Open(os.Args[0])
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(0o755), out.Close())
}

func TestThreat_T07_TheKernelSaysWhoAsksAndContainersAreRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can ask as other users")
	}
	program, path := openHouse(t)
	as := func(uid uint32) *syscall.Credential { return &syscall.Credential{Uid: uid, Gid: uid} }
	inside := func(uid int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
	}
	for name, c := range map[string]struct {
		attr *syscall.SysProcAttr
		want string
	}{
		"a person":                            {&syscall.SysProcAttr{Credential: as(1500)}, "uid 1500"},
		"another person":                      {&syscall.SysProcAttr{Credential: as(1501)}, "uid 1501"},
		"a container that maps root to 1500":  {&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: inside(1500), GidMappings: inside(1500), Credential: as(0)}, "runs in a container"},
		"a container that runs as 1500":       {&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Credential: as(1500)}, "runs in a container"},
		"a container with namespaces of both": {&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID, UidMappings: inside(1500), GidMappings: inside(1500), Credential: as(0)}, "runs in a container"},
	} {
		t.Run(name, func(t *testing.T) {
			c.attr.Setsid = true
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env, cmd.SysProcAttr = []string{"ERGON_TEST_ASK=" + path}, c.attr
			out, err := cmd.CombinedOutput()
			if err != nil && len(out) == 0 && c.attr.Cloneflags != 0 {
				t.Skipf("this machine gives no namespaces to tests: %v", err)
			}
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%s%v, want %s", out, err, c.want)
			}
		})
	}
}
