package packaging

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// tree is a path below the top of the source tree.
func tree(t *testing.T, parts ...string) string {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(tree(t, parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a command to its end, as root, with a small environment.
func run(t *testing.T, env []string, args ...string) harness.Result {
	t.Helper()
	base := []string{"PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + t.TempDir(), "TERM=dumb"}
	got, err := harness.Spec{Dir: tree(t), Env: append(base, env...), Args: args}.Run(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := harness.Binary(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
