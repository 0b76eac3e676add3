package transfer

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/safename"
)

// cutGet ends a download after n bytes, as a kill would; the temporary file stays.
func cutGet(t *testing.T, f *fake, object api.FileObject, to Target, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f.onGet = func(_ int, w http.ResponseWriter, data []byte) bool {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:n])
		_ = http.NewResponseController(w).Flush()
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	}
	m := f.mover(t.TempDir())
	seen := m.Progress.(*tally)
	done := make(chan error)
	go func() { done <- m.Get(ctx, object, to) }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		seen.mu.Lock()
		got := seen.bytes
		seen.mu.Unlock()
		if got >= int64(n) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bytes came", got, n)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("the download was not cut off: %v", err)
	}
	f.onGet = nil
}

func partName(id uuid.UUID) string { return ".ergon-" + id.String() + ".part" }

func TestASecondGetGoesOnWhereTheFirstWasKilled(t *testing.T) {
	t.Parallel()
	f, data := newFake(t), content(5<<20)
	root, dir := rootOf(t)
	object, to := f.hold("x", data), Target{Root: root, Path: "x"}
	cutGet(t, f, object, to, 3<<20)
	onlyFiles(t, dir, partName(object.Id))
	before := len(f.getLog)
	m := f.mover(t.TempDir())
	if err := m.Get(t.Context(), object, to); err != nil {
		t.Fatal(err)
	}
	if got := f.getLog[before:]; len(got) != 1 || got[0] != "bytes="+strconv.Itoa(3<<20)+"-" {
		t.Errorf("requests %q, want one for what is missing", got)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || digestOf(got) != digestOf(data) {
		t.Errorf("other bytes, %v", err)
	}
	if m.Progress.(*tally).bytes != 5<<20 {
		t.Errorf("progress of %d bytes", m.Progress.(*tally).bytes)
	}
	onlyFiles(t, dir, "x")
}

func TestWhatAnEarlierDownloadLeftIsNotTrusted(t *testing.T) {
	t.Parallel()
	data := content(2 << 20)
	for name, left := range map[string][]byte{
		"other bytes": make([]byte, 1<<20), "all of it": data, "longer": make([]byte, 3<<20), "all of it, wrong": make([]byte, 2<<20), "nothing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			root, dir := rootOf(t)
			object := f.hold("x", data)
			if err := os.WriteFile(filepath.Join(dir, partName(object.Id)), left, 0o600); err != nil {
				t.Fatal(err)
			}
			m := f.mover(t.TempDir())
			if err := m.Get(t.Context(), object, Target{Root: root, Path: "x"}); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || digestOf(got) != digestOf(data) {
				t.Errorf("other bytes, %v", err)
			}
			if m.Progress.(*tally).bytes != int64(len(data)) {
				t.Errorf("progress of %d bytes", m.Progress.(*tally).bytes)
			}
			onlyFiles(t, dir, "x")
		})
	}
}

func TestALeftOverThatIsNotPlainlyOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(t *testing.T, part, victim string){
		"a link": func(t *testing.T, part, victim string) {
			if err := os.Symlink(filepath.Base(victim), part); err != nil {
				t.Fatal(err)
			}
		},
		"a second name of another file": func(t *testing.T, part, victim string) {
			if err := os.Link(victim, part); err != nil {
				t.Fatal(err)
			}
		},
		"a pipe": func(t *testing.T, part, _ string) {
			if err := unix.Mkfifo(part, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"held by another download": func(t *testing.T, part, _ string) {
			f, err := os.Create(part)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, data := newFake(t), content(100)
			root, dir := rootOf(t)
			object, victim := f.hold("x", data), filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			place(t, filepath.Join(dir, partName(object.Id)), victim)
			if err := f.mover(t.TempDir()).Get(t.Context(), object, Target{Root: root, Path: "x"}); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(victim); err != nil || string(got) != "mine" {
				t.Errorf("the other file holds %q, %v", got, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || digestOf(got) != digestOf(data) {
				t.Errorf("other bytes, %v", err)
			}
		})
	}
}

func TestADownloadThatNoLaterOneWouldFindLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	root, dir := rootOf(t)
	object := f.hold("x", content(5<<20))
	held, err := os.Create(filepath.Join(dir, partName(object.Id)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cutGet(t, f, object, Target{Root: root, Path: "x"}, 3<<20)
	onlyFiles(t, dir, partName(object.Id))
}

func TestATargetWithThatContentIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	f, data := newFake(t), content(1000)
	root, dir := rootOf(t)
	object, to := f.hold("x", data), Target{Root: root, Path: "x"}
	for range 2 {
		if err := f.mover(t.TempDir()).Get(t.Context(), object, to); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.getLog) != 1 {
		t.Errorf("%d requests", len(f.getLog))
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.mover(t.TempDir()).Get(t.Context(), object, to); !errors.Is(err, ErrExists) {
		t.Errorf("other content of the same length: %v", err)
	}
}

func TestAServerThatChangesItsMindIsNotFollowed(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*api.FileObject){
		"the length":   func(o *api.FileObject) { o.Size += 10 },
		"the checksum": func(o *api.FileObject) { o.Sha256 = digestOf([]byte("other")) },
	} {
		f := newFake(t)
		root, dir := rootOf(t)
		object := f.hold("x", content(10))
		f.lie = lie
		if err := f.mover(t.TempDir()).Get(t.Context(), object, Target{Root: root, Path: "x"}); err == nil || len(f.getLog) > 0 {
			t.Errorf("%s: %d requests, %v", name, len(f.getLog), err)
		}
		onlyFiles(t, dir)
	}
}

func TestAFileAndADirectoryOfOneNameHaveBothAPlace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 250)
	var objects []api.FileObject
	for i, name := range []string{"a", "a/b", "a/b/c", "a", "a/b/c/d", long, long, "x/" + long, "x"} {
		objects = append(objects, api.FileObject{Id: uuid.New(), Name: name, CreatedAt: time.Unix(int64(i), 0)})
	}
	layoutFits(t, objects)
}

type failer interface {
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// layoutFits makes the files of a layout below a directory, where a path that is taken or leads out shows.
func layoutFits(t failer, objects []api.FileObject) {
	dir, err := os.MkdirTemp("", "layout")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer func() { _ = root.Close() }()
	items := Layout(objects)
	if len(items) != len(objects) {
		t.Fatalf("%d of %d objects have a place", len(items), len(objects))
	}
	for _, i := range items {
		if _, err := safename.Parse(i.Path); err != nil || term.Clean(i.Path) != i.Path || !filepath.IsLocal(i.Path) {
			t.Errorf("%q becomes %q: %v", i.Object.Name, i.Path, err)
		}
		if err := root.MkdirAll(filepath.Dir(i.Path), 0o700); err != nil {
			t.Fatalf("%q at %q: %v", i.Object.Name, i.Path, err)
		}
		f, err := root.OpenFile(i.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatalf("%q at %q: %v", i.Object.Name, i.Path, err)
		}
		_ = f.Close()
	}
}

func TestNoListOfNamesEscapesOrCollides(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var objects []api.FileObject
		for i := range rapid.IntRange(1, 12).Draw(t, "objects") {
			name := rapid.StringOfN(rapid.SampledFrom([]rune("ab/.|%-_\n\x00\x1bü漢")), 1, 12, -1).Draw(t, "name")
			objects = append(objects, api.FileObject{Id: uuid.New(), Name: name, CreatedAt: time.Unix(int64(i), 0)})
		}
		layoutFits(t, objects)
	})
}

func FuzzLayout(f *testing.F) {
	for _, name := range []string{"a\nb", "a|b", "100%", "ü/漢字", "..", "../../etc/passwd", "/etc/passwd", "-rf", "--", ".", "a//b", "\x00", "\x1b[2J", strings.Repeat("x/", 600), strings.Repeat("y", 4096), "\xff\xfe", "a/", "con", "~root"} {
		f.Add(name, name+"/x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 4096 || len(b) > 4096 {
			return // the contract has shorter names
		}
		layoutFits(t, []api.FileObject{{Id: uuid.New(), Name: a}, {Id: uuid.New(), Name: b}, {Id: uuid.New(), Name: a}})
	})
}
