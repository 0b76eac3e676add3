// Package bare runs the server as somebody does who has read nothing: in an empty directory, with no configuration at all.
package bare

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

const password = "a battery, a horse and a staple"

// bare is an empty directory in a network of its own, in which the default ports are free.
type bare struct {
	t   *testing.T
	net *harness.Namespace
	dir string
	env []string
}

func newBare(t *testing.T) *bare {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root: run the suite as root")
	}
	pair, err := harness.StartNetPair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	dir := t.TempDir()
	return &bare{t: t, net: pair.Server, dir: dir, env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir}}
}

func (b *bare) spec(args ...string) harness.Spec {
	b.t.Helper()
	program, err := harness.Binary(args[0])
	if err != nil {
		b.t.Fatal(err)
	}
	return harness.Spec{Namespace: b.net, Dir: b.dir, Env: b.env, Args: append([]string{program}, args[1:]...)}
}

func (b *bare) must(stdin string, args ...string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), site.Patience)
	defer cancel()
	got, err := site.RunWithInput(ctx, b.spec(args...), stdin)
	if err != nil || got.Code != 0 {
		b.t.Fatalf("%s: %v, %d %s%s", strings.Join(args, " "), err, got.Code, got.Stdout, got.Stderr)
	}
}

func TestAServerWithoutAnyConfiguration(t *testing.T) {
	b := newBare(t)
	server, err := harness.Launch("ergon-server", b.spec("ergon-server", "serve"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Kill() })
	server.WaitLog(t, "ergon-server listens on http://127.0.0.1:8080\n", time.Minute)
	b.firstAccount(server)
	b.must(password+"\n", "ergon", "login", "--server", "http://127.0.0.1:8080", "--user", "first", "--register", "--password-stdin")
	if err := os.WriteFile(filepath.Join(b.dir, "one.txt"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.must("", "ergon", "files", "put", "one.txt")
	b.must("", "ergon", "files", "get", "one.txt", "back.txt")
	if got, err := os.ReadFile(filepath.Join(b.dir, "back.txt")); err != nil || string(got) != "one\n" {
		t.Errorf("it came back as %q, %v", got, err)
	}
	b.loopbackOnly()
	b.closedToOthers()
	if code, err := server.Stop(30 * time.Second); err != nil || code != 0 {
		t.Errorf("it ends with %d, %v", code, err)
	}
}

// firstAccount makes one as the server says how, and logs in with it.
func (b *bare) firstAccount(server *harness.Process) {
	b.t.Helper()
	server.WaitLog(b.t, "registration:", site.Patience) // the line after it
	said := regexp.MustCompile(`(?m)^first account:  (ergon-server .*) NAME (.*?) +\(`).FindStringSubmatch(server.Log())
	if said == nil {
		b.t.Fatalf("the server does not say how to make the first account: %s", server.Log())
	}
	words := append(strings.Fields(said[1]), "chief")
	b.must(password+"\n", append(words, strings.Fields(said[2])...)...)
	b.must(password+"\n", "ergon", "login", "--server", "http://127.0.0.1:8080", "--user", "chief", "--password-stdin")
}

// loopbackOnly looks at every socket that listens in this network.
func (b *bare) loopbackOnly() {
	b.t.Helper()
	got, err := harness.Spec{Namespace: b.net, Dir: b.dir, Env: b.env, Args: []string{"ss", "-Hltn"}}.Run(b.t.Context())
	lines := strings.Split(strings.TrimSpace(got.Stdout), "\n")
	if err != nil || len(lines) < 2 {
		b.t.Fatalf("API and store do not listen: %v, %q", err, got.Stdout+got.Stderr)
	}
	for _, line := range lines {
		if words := strings.Fields(line); len(words) < 4 || !strings.HasPrefix(words[3], "127.0.0.1:") && !strings.HasPrefix(words[3], "[::1]:") {
			b.t.Errorf("not on loopback: %s", line)
		}
	}
}

// closedToOthers looks at the whole data directory: nobody but its owner enters it, and none of its files is open even
// if somebody did.
func (b *bare) closedToOthers() {
	b.t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Join(b.dir, "ergon-data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // SQLite's files come and go
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		name, _ := filepath.Rel(b.dir, path)
		switch mode := info.Mode().Perm(); {
		case name == "ergon-data" && mode != 0o700:
			b.t.Errorf("%s has mode %04o, want 0700", name, mode)
		case d.Type().IsRegular():
			files++
			if mode != 0o600 {
				b.t.Errorf("%s has mode %04o, want 0600", name, mode)
			}
		}
		return nil
	})
	if err != nil || files < 3 {
		b.t.Errorf("%d files in ergon-data, %v", files, err)
	}
}
