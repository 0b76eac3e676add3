package site_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/site"
)

// byYAML is what the agent's own reader makes of a file; ok is false for a file that it refuses.
func byYAML(t *testing.T, text string) (s site.Site, ok bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, true, config.Env{System: true, Getenv: func(string) string { return "" }})
	return c.Site(), err == nil
}

var plain = []string{
	"", "# only this\n\n  # and this — in any letters\n", "slurm:\n  sbatch: /opt/slurm/bin/sbatch\n", "slurm:\n    sbatch: /a # the real one\n    timeout: 5s\n",
	"log_level: debug\ntag:\n  carrier: none\ndirs:\n  base: ~/e/jobs\n  scratch: \"/scratch/%u\" # each his own\n", "dirs:\n  scratch: ''\n  base: '/a b#c'\n",
	"slurm:\nuploads:\n  enabled: false\n", "slurm:\n  sbatch: /a:b/c#d\n", "cluster: \"\"\n", "dirs:   \n\n # between\n  base:    /x   \n",
}

var notPlain = []string{
	"slurm: {sbatch: /x}\n", "slurm:\n  sbatch: \"/x\\t\"\n", "slurm:\n  sbatch: 'it''s'\n", "slurm:\n\tsbatch: /x\n", "slurm:\n  sbatch: &a /x\n",
	"---\nslurm:\n  sbatch: /x\n", "slurm:\n  sbatch: |\n    /x\n", "slurm:\n  sbatch: /x\n    /y\n", "slurm:\n  sbatch: ~\n", "slurm:\n  sbatch:\n    /x\n",
	"\"slurm\":\n  sbatch: /x\n", "slurm:\n  sbatch: /x\n  sbatch: /y\n", "slurm:\n  sbatch: /x\nslurm:\n  sbatch: /y\n", "slurm:\r\n  sbatch: /x\r\n",
	"slurm: /x\n", "dirs:\n  base: /x\n   scratch: /y\n", "slurm:\n  sbatch: /x\u2028tag: none\n", "a\n", "slurm:\n  sbatch: \"/x\"y\n", "slurm:\n  sbatch: a: b\n",
}

func TestAPlainFileMeansWhatYAMLMakesOfIt(t *testing.T) {
	t.Parallel()
	for _, text := range plain {
		got, err := site.Parse([]byte(text))
		want, ok := byYAML(t, text)
		if err != nil || !ok || got != want {
			t.Errorf("%q: got %+v, %v; YAML says %+v, %v", text, got, err, want, ok)
		}
	}
	for _, text := range notPlain {
		if got, err := site.Parse([]byte(text)); !errors.Is(err, site.ErrNotPlain) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

// The wrapper must never have to load a YAML reader for the file that we ship.
func TestTheFileOfThePackageIsPlain(t *testing.T) {
	t.Parallel()
	got, err := site.Read("../../../packaging/agent/agent.yaml")
	if err != nil || got != site.Default() {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestAWrongFileMeansTheDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"slurm:\n  sbatch: relative\n", "tag:\n  carrier: magic\n", "dirs:\n  base: x\n", "dirs:\n  scratch: /\n", "no yaml"} {
		path := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := site.Read(path); err == nil || got != site.Default() {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	if got, err := site.Read(filepath.Join(t.TempDir(), "none")); err != nil || got != site.Default() {
		t.Errorf("no file: got %+v, %v", got, err)
	}
}

func FuzzPlainIsAlwaysYAML(f *testing.F) {
	for _, text := range append(plain, notPlain...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := site.Parse([]byte(text))
		if err != nil || got.Validate() != nil {
			return
		}
		if want, ok := byYAML(t, text); ok && got != want {
			t.Fatalf("%q: got %+v, YAML says %+v", text, got, want)
		}
	})
}
