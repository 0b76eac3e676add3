package upload

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

func smallFiles(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("f%03d", i)] = fmt.Sprint("content ", i)
	}
	return files
}

func TestSmallFilesAreAskedForInGroups(t *testing.T) {
	files := smallFiles(2*aheadFiles + 5)
	f := newFixture(t, files)
	if _, err := f.upload(t); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.tickets.asked, []int{aheadFiles, aheadFiles, 5}) {
		t.Errorf("files in each call: %v", f.tickets.asked)
	}
	if !maps.Equal(f.stored(), files) {
		t.Errorf("%d of %d files are stored", len(f.stored()), len(files))
	}
}

// A group ends where its files hold too much to be sent while URLs live; large files go by themselves.
func TestAGroupHoldsNoMoreThanIsSentInTheLifeOfAURL(t *testing.T) {
	f := newFixture(t, nil)
	f.tickets.partSize = 1 << 30
	f.store.fault = func(_ int, w http.ResponseWriter, _ *http.Request) bool { // nothing is read
		answerXML(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return true
	}
	for i := range 20 {
		f.sparse(t, fmt.Sprintf("a%02d", i), aheadFile)
	}
	f.sparse(t, "z", aheadFile+1)
	_, _ = f.upload(t)
	if n := aheadBytes / aheadFile; f.tickets.asked[0] != n {
		t.Errorf("the first group has %d files, want %d", f.tickets.asked[0], n)
	}
	for _, id := range f.tickets.byID {
		if id.entry.Path == "z" && !slices.Contains(f.tickets.asked, 1) {
			t.Errorf("the large file was asked for with others: %v", f.tickets.asked)
		}
	}
}

func (f *fixture) sparse(t *testing.T, name string, size int64) {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// One file that the server will not have, or a server that takes no groups, holds up nobody.
func TestAGroupThatIsRefusedIsAskedForOneByOne(t *testing.T) {
	files := smallFiles(7)
	f := newFixture(t, files)
	f.tickets.single = true
	if _, err := f.upload(t); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(f.stored(), files) || len(f.tickets.asked) != 8 {
		t.Errorf("%d files are stored after calls of %v", len(f.stored()), f.tickets.asked)
	}
}

func TestAFileOfAGroupThatChangesOrGoesMeanwhileConcernsNoOther(t *testing.T) {
	files := smallFiles(9)
	f := newFixture(t, files)
	m, err := f.worker.Collect(t.Context(), f.job)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.dir, "f003")); err != nil {
		t.Fatal(err)
	}
	f.store.fault = func(n int, _ http.ResponseWriter, _ *http.Request) bool {
		if n == 1 { // hashed and asked for long ago
			_ = os.WriteFile(filepath.Join(f.dir, "f008"), []byte("newer"), 0o600)
		}
		return false
	}
	f.worker.settings.Parallel = 1
	m, err = f.worker.Upload(t.Context(), f.job, m, outputs.UploadEnv{Tickets: f.tickets, Ledger: f.ledger})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Entries {
		want := outputs.StatusStored
		if e.Path == "f003" {
			want = outputs.StatusMissing
		}
		if e.Status != want {
			t.Errorf("%s is %s: %s", e.Path, e.Status, e.Reason)
		}
	}
	files["f008"] = "newer"
	delete(files, "f003")
	if got := f.stored(); got["f008"] != "newer" || len(got) < len(files) {
		t.Errorf("stored %v", got)
	}
}

func TestPartsAreAskedForInSmallGroups(t *testing.T) {
	f := newFixture(t, map[string]string{"big": strings.Repeat("0123456789abcdef", 6<<16)}) // 6 MiB
	f.tickets.partSize = 1 << 20
	if _, err := f.upload(t); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.tickets.parts, []int{6}) {
		t.Errorf("parts in each call: %v", f.tickets.parts)
	}
	wide := newFixture(t, nil)
	wide.tickets.partSize = aheadBytes / 4
	wide.sparse(t, "big", aheadBytes+aheadBytes/2)
	if _, err := wide.upload(t); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(wide.tickets.parts, []int{4, 2}) {
		t.Errorf("parts in each call: %v", wide.tickets.parts)
	}
}
