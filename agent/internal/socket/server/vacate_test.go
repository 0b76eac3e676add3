package server

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func listening(t *testing.T) (l *net.UnixListener, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = l.Close() })
	return l, path
}

// A descriptor that another process holds keeps the socket answering, whoever made it.
func TestASocketThatOutlivesItsAgentForAMomentIsReplaced(t *testing.T) {
	t.Parallel()
	dead, path := listening(t)
	held, err := dead.File()
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	if taken, err := answered(t.Context(), path); !taken || err != nil {
		t.Fatalf("the held socket answers: %v, %v; the test shows nothing", taken, err)
	}
	done := make(chan error, 1)
	go func() {
		l, err := Listen(t.Context(), path)
		if err == nil {
			err = l.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("the new agent did not wait: %v", err)
	case <-time.After(5 * vacateRetry):
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestALivingAgentIsNeverReplaced(t *testing.T) {
	t.Parallel()
	_, path := listening(t)
	full, fullPath := listening(t)
	fill(t, full, fullPath)
	for name, path := range map[string]string{"it answers": path, "its queue is full": fullPath} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*vacateRetry)
			defer cancel()
			if err := Vacate(ctx, path); err == nil || !strings.Contains(err.Error(), "stop it first") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("its socket is gone: %v", err)
			}
		})
	}
}

// late has a deadline that has passed, and a timer that has not fired yet.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Second), true }

func TestPatienceThatEndsWhileItIsAskedIsNoFault(t *testing.T) {
	t.Parallel()
	_, path := listening(t)
	if taken, err := answered(late{t.Context()}, path); !taken || err != nil {
		t.Errorf("got %v, %v", taken, err)
	}
}

// fill leaves no place for one more connection.
func fill(t *testing.T, l *net.UnixListener, path string) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		c, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue is never full")
}

func TestWhatCannotBeAskedIsNotRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Vacate(t.Context(), path); err == nil {
		t.Error("a path that no socket can have is no error")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestAPathWithoutASocketIsVacant(t *testing.T) {
	t.Parallel()
	dead, path := listening(t)
	_ = dead.Close()
	if err := Vacate(t.Context(), path); err != nil {
		t.Error(err)
	}
	if err := Vacate(t.Context(), path); err != nil {
		t.Errorf("again: %v", err)
	}
}
