package files

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// client is somebody with an account and a home.
type client struct {
	t    testing.TB
	name string
	home string
	spec harness.Spec
	// launched are the commands that were watched.
	launched []*running
}

// join makes an account and logs in.
func join(t testing.TB, name string) *client {
	t.Helper()
	harness.Need(t, world)
	dir, err := os.MkdirTemp(world.dir, name+"-") // beside the store: large files do not belong into every TMPDIR
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := harness.Binary("ergon")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, name: name, home: dir}
	c.spec = harness.Spec{Dir: dir, Env: []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, Args: []string{program}}
	password := rand.Text()
	login := c.command(t.Context(), "login", "--server", world.url, "--user", name, "--register", "--password-stdin")
	login.Stdin = strings.NewReader(password)
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("logging in: %v %s", err, out)
	}
	return c
}

func (c *client) command(ctx context.Context, args ...string) *exec.Cmd {
	spec := c.spec
	spec.Args = append(append([]string{}, c.spec.Args...), args...)
	return spec.Command(ctx)
}

// run runs a command to its end.
func (c *client) run(args ...string) harness.Result {
	c.t.Helper()
	spec := c.spec
	spec.Args = append(append([]string{}, c.spec.Args...), args...)
	result, err := spec.Run(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return result
}

func (c *client) must(args ...string) harness.Result {
	c.t.Helper()
	result := c.run(args...)
	if result.Code != 0 {
		c.t.Fatalf("ergon %s ended with %d:\n%s%s", strings.Join(args, " "), result.Code, tail(result.Stdout), tail(result.Stderr))
	}
	return result
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

// running is a command that a test kills, or whose memory it watches.
type running struct {
	cmd   *exec.Cmd
	out   bytes.Buffer
	done  chan struct{}
	meter *meter
}

func (c *client) launch(args ...string) *running {
	c.t.Helper()
	r := &running{cmd: c.command(context.Background(), args...), done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { r.kill(c.t) })
	go func() {
		_ = r.cmd.Wait() // the code is read from ProcessState
		close(r.done)
	}()
	r.meter = watchMemory(fmt.Sprintf("ergon %s, run %d", strings.Join(args[:2], " "), len(c.launched)+1), r.cmd.Process.Pid)
	c.launched = append(c.launched, r)
	return r
}

// kill is kill -9; a process that has ended is fine.
func (r *running) kill(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
	<-r.done
}

// wait ends when the command does, and wants a success.
func (r *running) wait(t testing.TB) {
	t.Helper()
	<-r.done
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("%v ended with %d: %s", r.cmd.Args[1:], code, tail(r.out.String()))
	}
}

// withinMemory holds every command that was launched, and others, to maxMemory; those that were killed too.
func (c *client) withinMemory(others []*meter) {
	c.t.Helper()
	for _, r := range c.launched {
		r.meter.check(c.t)
	}
	for _, m := range others {
		m.check(c.t)
	}
}

// file makes a file of bytes that repeat nowhere near, and gives its path and SHA-256.
func (c *client) file(name string, size int64) (path, sum string) {
	c.t.Helper()
	path = filepath.Join(c.home, name)
	f, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, h), &noise{state: uint64(size) | 1}, size); err != nil {
		c.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		c.t.Fatal(err)
	}
	return path, hex.EncodeToString(h.Sum(nil))
}

// noise is xorshift64 (Marsaglia 2003): the same bytes each time, at memory speed.
type noise struct{ state uint64 }

// Read fills p, whose length is a multiple of eight but at the end.
func (n *noise) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		n.state ^= n.state << 13
		n.state ^= n.state >> 7
		n.state ^= n.state << 17
		for j := i; j < min(i+8, len(p)); j++ {
			p[j] = byte(n.state >> (8 * (j - i)))
		}
	}
	return len(p), nil
}

func sumOf(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
