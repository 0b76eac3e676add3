package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// list is the manifest as "class status path" by path.
func list(t *testing.T, job outputs.JobFiles) map[string]string {
	t.Helper()
	job.UID = uint32(os.Getuid())
	m, err := Files(t.Context(), job, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range m.Entries {
		all[e.Path] = fmt.Sprintf("%s %s", e.Class, e.Status)
		if e.Status != outputs.StatusFound && e.Reason == "" {
			t.Errorf("%s: no reason for %s", e.Path, e.Status)
		}
	}
	return all
}

func same(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for path, what := range want {
		if got[path] != what {
			t.Errorf("%q: got %q, want %q", path, got[path], what)
		}
	}
	for path := range got {
		if _, known := want[path]; !known {
			t.Errorf("%q: %q was not expected", path, got[path])
		}
	}
}

func TestEverythingOfTheJobIsFoundAndNothingElse(t *testing.T) {
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	write(t, at("profile/12_0_n1.h5"), "h")
	write(t, at("profile/12_batch_n1.h5"), "h")
	write(t, at("profile/123_0_n1.h5"), "another job")
	write(t, at("out/a"), "a")
	write(t, at("out/deep/b\n|c"), "b")
	write(t, at("work/slurm-12.out"), "hello")
	write(t, at("work/results/x.csv"), "x")
	write(t, at("work/results/deep/y.csv"), "y")
	write(t, at("work/private/key"), "not declared")
	if err := os.Symlink("/etc/passwd", at("out/link")); err != nil {
		t.Fatal(err)
	}
	got := list(t, outputs.JobFiles{
		JobIDRaw: "12", Globs: []string{"results/*.csv", "nothing-*", "../escape", "deep/*"},
		Dirs: outputs.Dirs{
			Work: at("work"), Output: at("out"), Profile: at("profile"),
			Stdout: at("work/slurm-12.out"), Stderr: at("work/none.err"),
		},
	})
	same(t, got, map[string]string{
		"12_0_n1.h5": "profile found", "12_batch_n1.h5": "profile found", "a": "output found", "deep/b\n|c": "output found",
		"link": "output skipped", "slurm-12.out": "stdout found", "none.err": "stderr missing",
		"results/x.csv": "output found", "nothing-*": "output missing", "../escape": "output skipped",
	})
}

func TestATaskOfAnArrayOwnsItsDirectoryOnly(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "4", "mine"), "x")
	write(t, filepath.Join(base, "5", "other"), "x")
	same(t, list(t, outputs.JobFiles{ArrayTask: "4", Dirs: outputs.Dirs{Output: base}}), map[string]string{"mine": "output found"})
	same(t, list(t, outputs.JobFiles{ArrayTask: "6", Dirs: outputs.Dirs{Output: base}}), map[string]string{})
}

func TestGlobsReachDeepAndNeverThroughALink(t *testing.T) {
	work := t.TempDir()
	write(t, filepath.Join(work, "run/1/out.dat"), "x")
	write(t, filepath.Join(work, "run/2/3/out.dat"), "x")
	if err := os.Symlink("/etc", filepath.Join(work, "etc")); err != nil {
		t.Fatal(err)
	}
	got := list(t, outputs.JobFiles{Globs: []string{"run/**/out.dat", "etc/passwd"}, Dirs: outputs.Dirs{Work: work}})
	if got["run/1/out.dat"] != "output found" || got["run/2/3/out.dat"] != "output found" {
		t.Errorf("got %v", got)
	}
	if got["etc/passwd"] != "output missing" || len(got) != 3 {
		t.Errorf("the link was followed: %v", got)
	}
}

func TestCapsSkipWhatDoesNotFitAndSayWhy(t *testing.T) {
	out := t.TempDir()
	for name, size := range map[string]int{"a": 10, "b": 101, "c": 60, "d": 60, "e": 1} {
		write(t, filepath.Join(out, name), strings.Repeat("x", size))
	}
	caps := outputs.Caps{FileBytes: 100, JobBytes: 100, JobFiles: 3}
	same(t, list(t, outputs.JobFiles{Caps: caps, Dirs: outputs.Dirs{Output: out}}), map[string]string{
		"a": "output found", "b": "output skipped", "c": "output found", "d": "output skipped", "e": "output found",
	})
}

func TestMergedStreamsAreCollectedOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slurm-1.out")
	write(t, file, "x")
	same(t, list(t, outputs.JobFiles{Dirs: outputs.Dirs{Stdout: file, Stderr: file}}), map[string]string{"slurm-1.out": "stdout found"})
}

func TestADirectoryThatRefusesItsOwnerNeedsALogin(t *testing.T) {
	if err := rootError("/home/me", &os.PathError{Op: "open", Path: "/home/me", Err: os.ErrPermission}); !errors.Is(err, outputs.ErrNeedsLogin) {
		t.Errorf("got %v, want ErrNeedsLogin", err)
	}
	if err := rootError("/gone", os.ErrNotExist); err != nil {
		t.Errorf("a directory that is gone: %v", err)
	}
}

func TestTheEndsOfALongStreamAreKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slurm-1.out")
	write(t, file, strings.Repeat("a", 100)+strings.Repeat("b", 1000)+strings.Repeat("c", 100))
	job := outputs.JobFiles{UID: uint32(os.Getuid()), Caps: outputs.Caps{EndBytes: 100}, Dirs: outputs.Dirs{Stdout: file}}
	m, err := Files(t.Context(), job, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	e := m.Entries[0]
	c, err := Open(job, e)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	text, err := io.ReadAll(c.Reader(0, c.Entry.Size))
	want := strings.Repeat("a", 100) + "\n[... 1000 bytes left out by Ergon ...]\n" + strings.Repeat("c", 100)
	if err != nil || string(text) != want {
		t.Errorf("got %q %v", text, err)
	}
	if e.Size != int64(len(want)) || e.FullSize != 1200 || !Same(c.Entry, e) {
		t.Errorf("sizes: manifest %d of %d, opened %d", e.Size, e.FullSize, c.Entry.Size)
	}
	write(t, file, "short")
	if _, err := c.SHA256(context.Background()); !errors.Is(err, safefs.ErrChanged) {
		t.Errorf("after a change: got %v", err)
	}
}

func TestTailNeedsAStream(t *testing.T) {
	if _, err := Tail(outputs.JobFiles{}, outputs.ClassStderr, 10); err == nil {
		t.Error("a job without stderr has no tail")
	}
}

func TestNamesThatJSONCannotCarryAreSkippedAndStayDistinct(t *testing.T) {
	out := t.TempDir()
	write(t, filepath.Join(out, "bad\xff"), "x")
	write(t, filepath.Join(out, "bad\xfe"), "x")
	same(t, list(t, outputs.JobFiles{Dirs: outputs.Dirs{Output: out}}), map[string]string{
		`"bad\xff"`: "output skipped", `"bad\xfe"`: "output skipped",
	})
}
