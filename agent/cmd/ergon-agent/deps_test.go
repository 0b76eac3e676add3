package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// forbidden are modules of the control plane; the agent stays small and static.
var forbidden = []string{
	"github.com/gin-gonic/gin", "gorm.io/", "github.com/duckdb/", "github.com/minio/", "github.com/mattn/go-sqlite3",
	"github.com/versity/", "github.com/riverqueue/", "github.com/ergon-hpc/ergon/controlplane", "runtime/cgo",
}

func TestBinariesLinkNothingOfTheControlPlane(t *testing.T) {
	t.Parallel()
	for _, program := range []string{".", "../ergon", "../ergon-sbatch"} {
		cmd := exec.Command("go", "list", "-deps", program)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			for _, bad := range forbidden {
				if strings.HasPrefix(dep, bad) {
					t.Errorf("%s links %s", program, dep)
				}
			}
		}
	}
}

// slow are packages that take longer to load than the wrapper takes to run.
var slow = []string{"net/http", "crypto/tls", "regexp", "text/template", "html/template", "gopkg.in/yaml.v3", "github.com/spf13/cobra"}

func TestTheWrapperOfEverySubmissionLinksNothingSlow(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "../ergon-sbatch").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, bad := range slow {
			if dep == bad || strings.HasPrefix(dep, bad+"/") {
				t.Errorf("ergon-sbatch links %s", dep)
			}
		}
	}
}

// maxBinary is the limit for a stripped binary, in bytes.
const maxBinary = 20 << 20

func TestBinariesAreStaticAndSmall(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: two builds take a while")
	}
	for _, program := range []string{".", "../ergon", "../ergon-sbatch"} {
		out := filepath.Join(t.TempDir(), "binary")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, program)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		info, err := os.Stat(out)
		if err != nil || info.Size() > maxBinary {
			t.Errorf("%s has %d bytes, at most %d are allowed (%v)", program, info.Size(), maxBinary, err)
		}
		static(t, program, out)
		tellsItsVersion(t, program, out)
	}
}

// static asserts that the kernel starts the binary without a loader and without libraries.
func static(t *testing.T, program, file string) {
	t.Helper()
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	if needed, err := binary.ImportedLibraries(); err != nil || len(needed) > 0 {
		t.Errorf("%s is not static: it needs %q, %v", program, needed, err)
	}
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s is not static: it has an interpreter", program)
		}
	}
}

// tellsItsVersion asserts what --version prints. ergon-sbatch hands all its options to sbatch.
func tellsItsVersion(t *testing.T, program, file string) {
	t.Helper()
	name := map[string]string{".": "ergon-agent", "../ergon": "ergon"}[program]
	if name == "" {
		return
	}
	out, err := exec.Command(file, "--version").Output()
	if want := regexp.MustCompile(`^` + name + ` version \S+.*\n$`); err != nil || !want.Match(out) {
		t.Errorf("%s --version prints %q, %v; want %s", name, out, err, want)
	}
}
