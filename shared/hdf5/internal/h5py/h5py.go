// Package h5py lets tests use Debian's python3-h5py: as the reference against
// which the reader is compared, and as the writer of files of every shape.
package h5py

import (
	"bytes"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed generate.py
var generator string

// Python finds an interpreter that has h5py. Debian installs it for
// /usr/bin/python3, which need not be the first python3 on PATH. Without one the
// test fails, unless ERGON_SKIP_H5PY=1 says that this is known.
func Python(tb testing.TB) string {
	tb.Helper()
	if os.Getenv("ERGON_SKIP_H5PY") == "1" {
		tb.Skip("ERGON_SKIP_H5PY=1: not compared with h5py, the reference implementation")
	}
	candidates := []string{os.Getenv("ERGON_PYTHON"), "/usr/bin/python3", "python3"}
	for _, python := range candidates {
		if python != "" && exec.Command(python, "-c", "import h5py").Run() == nil {
			return python
		}
	}
	tb.Fatalf("no Python with h5py among %q: apt-get install python3-h5py, or ERGON_PYTHON=/path/to/python3, or ERGON_SKIP_H5PY=1 to do without the comparison", candidates)
	return ""
}

// Run runs a script with arguments and returns what it prints.
func Run(tb testing.TB, script string, args ...string) []byte {
	tb.Helper()
	cmd := exec.Command(Python(tb), append([]string{"-c", script}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("python: %v\n%s", err, errs.String())
	}
	return out
}

// Generate lets generate.py write files of the named shapes into a temporary
// folder and returns their paths by shape.
func Generate(tb testing.TB, shapes ...string) map[string]string {
	tb.Helper()
	dir := tb.TempDir()
	Run(tb, generator, append([]string{dir}, shapes...)...)
	out := map[string]string{}
	for _, shape := range shapes {
		out[shape] = filepath.Join(dir, shape+".h5")
	}
	return out
}
