package transfer

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/safename"
)

func rootOf(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root, dir
}

// onlyFile fails when the directory holds anything but the named files.
func onlyFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Errorf("%d files are there (%v), want %q", len(entries), entries, names)
	}
}

func TestADownloadIsVerifiedAndNamedAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1 << 20} {
		f, data := newFake(t), content(size)
		root, dir := rootOf(t)
		object := f.hold("sub/x.bin", data)
		if err := f.mover(t.TempDir()).Get(t.Context(), object, Target{Root: root, Path: "sub/x.bin"}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "sub/x.bin"))
		if err != nil || digestOf(got) != digestOf(data) {
			t.Fatalf("other bytes, %v", err)
		}
		onlyFiles(t, filepath.Join(dir, "sub"), "x.bin")
	}
}

func TestABrokenConnectionIsTakenUpWhereItBroke(t *testing.T) {
	t.Parallel()
	f, data := newFake(t), content(1<<20)
	root, dir := rootOf(t)
	f.onGet = func(n int, w http.ResponseWriter, data []byte) bool {
		if n > 1 {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:300_000])
		panic(http.ErrAbortHandler)
	}
	object := f.hold("x", data)
	if err := f.mover(t.TempDir()).Get(t.Context(), object, Target{Root: root, Path: "x"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "x"))
	if err != nil || digestOf(got) != digestOf(data) {
		t.Fatalf("other bytes, %v", err)
	}
	if len(f.getLog) != 2 || !strings.HasPrefix(f.getLog[1], "bytes=") || f.getLog[1] == "bytes=0-" {
		t.Errorf("requests %q, want the second from the middle on", f.getLog)
	}
}

func TestALyingStoreLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]func(int, http.ResponseWriter, []byte) bool{
		"other bytes": func(_ int, w http.ResponseWriter, data []byte) bool {
			_, _ = w.Write(make([]byte, len(data)))
			return true
		},
		"longer":  func(_ int, w http.ResponseWriter, data []byte) bool { _, _ = w.Write(append(data, 'x')); return true },
		"shorter": func(_ int, w http.ResponseWriter, data []byte) bool { _, _ = w.Write(data[:10]); return true },
		"redirect": func(_ int, w http.ResponseWriter, _ []byte) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/?sekret")
			w.WriteHeader(http.StatusFound)
			return true
		},
		"denied": func(_ int, w http.ResponseWriter, _ []byte) bool { w.WriteHeader(http.StatusForbidden); return true },
		"packed on the way": func(_ int, w http.ResponseWriter, _ []byte) bool {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("xx"))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			root, dir := rootOf(t)
			object := f.hold("x", content(1000))
			f.onGet = hook
			err := f.mover(t.TempDir()).Get(t.Context(), object, Target{Root: root, Path: "x"})
			if err == nil {
				t.Fatal("it was taken for good")
			}
			withoutSecrets(t, err)
			onlyFiles(t, dir)
		})
	}
}

func TestExistingFilesAreKeptUnlessReplaced(t *testing.T) {
	t.Parallel()
	f, data := newFake(t), content(100)
	root, dir := rootOf(t)
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	object := f.hold("x", data)
	m := f.mover(t.TempDir())
	if err := m.Get(t.Context(), object, Target{Root: root, Path: "x"}); !errors.Is(err, ErrExists) || len(f.getLog) > 0 {
		t.Fatalf("%d requests, %v", len(f.getLog), err)
	}
	appeared := Target{Root: root, Path: "y"}
	f.onGet = func(int, http.ResponseWriter, []byte) bool {
		if err := os.WriteFile(filepath.Join(dir, "y"), []byte("mine"), 0o600); err != nil {
			t.Error(err)
		}
		return false
	}
	if err := m.Get(t.Context(), object, appeared); !errors.Is(err, ErrExists) {
		t.Fatalf("a file that appeared meanwhile: %v", err)
	}
	for _, name := range []string{"x", "y"} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != "mine" {
			t.Errorf("%s was replaced", name)
		}
	}
	f.onGet = nil
	if err := m.Get(t.Context(), object, Target{Root: root, Path: "x", Replace: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "x")); digestOf(got) != digestOf(data) {
		t.Error("x was not replaced")
	}
	onlyFiles(t, dir, "x", "y")
}

func TestNoLinkLeadsOutOfTheDirectory(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	root, dir := rootOf(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	object := f.hold("out/x", content(10))
	if err := f.mover(t.TempDir()).Get(t.Context(), object, Target{Root: root, Path: LocalName("out/x")}); err == nil {
		t.Error("it was written through a link")
	}
	onlyFiles(t, outside)
}

func TestStoredNamesAreSafeHere(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a/b c.txt": "a/b c.txt", "../../etc/passwd": "_2E_2E/_2E_2E/etc/passwd", "/etc/passwd": "etc/passwd",
		"..": "_2E_2E", "a//b": "a/b", "a\nb": "a_0Ab", "\x1b[31m": "_1B_5B31m", "": "", "./a": "_2E/a",
	} {
		if got := LocalName(name); got != want && name != "" {
			t.Errorf("LocalName(%q) = %q, want %q", name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOfN(rapid.SampledFrom([]rune("a./\\\x00\n\x1b é\u202e~-")), 1, 60, -1).Draw(t, "name")
		got := LocalName(name)
		if _, err := safename.Parse(got); err != nil || term.Clean(got) != got || !filepath.IsLocal(got) {
			t.Fatalf("LocalName(%q) = %q: %v", name, got, err)
		}
	})
}

func TestEveryObjectHasAPathOfItsOwn(t *testing.T) {
	t.Parallel()
	second := int32(1)
	old, young := time.Unix(1, 0), time.Unix(2, 0)
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New()}
	items := Layout([]api.FileObject{
		{Id: ids[0], Name: "x", CreatedAt: old},
		{Id: ids[1], Name: "x", CreatedAt: young},
		{Id: ids[2], Name: "x", CreatedAt: old, Attempt: &second},
		{Id: ids[3], Name: "/x", CreatedAt: old},
	})
	paths := map[uuid.UUID]string{}
	seen := map[string]bool{}
	for _, i := range items {
		if seen[i.Path] {
			t.Errorf("two objects at %s", i.Path)
		}
		seen[i.Path], paths[i.Object.Id] = true, i.Path
	}
	if paths[ids[1]] != "x" || paths[ids[0]] != "x."+ids[0].String() || paths[ids[2]] != "attempt-1/x" {
		t.Errorf("got %v", paths)
	}
}
