package main

import (
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/api"
)

// evilNames are names that a hostile or careless job may give its files.
var evilNames = []string{
	"a\nb", "a|b", "100%", "%s%n", "ü/漢字", "..", "../../escape", "/etc/escape", "-rf", "--force", "a//b", "\x1b[2Jcleared", "a\tb",
	"=cmd()", "x\u202egpj.exe", "~root", "$(id)", "`id`", "con", strings.Repeat("n", 255), strings.Repeat("d/", 40) + "deep", "a/", "a",
}

func TestNamesOfEveryKindAreListedAndGotWithoutHarm(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	j := apiJob("11", "c1", api.DONE, "COMPLETED")
	s.jobs = []api.Job{j}
	for i, name := range evilNames {
		s.hold(name, strings.Repeat("x", i), &j.Id)
	}
	for _, format := range []string{"table", "csv", "yaml", "json"} {
		d.want(exitOK, []string{"files", "ls", "-o", format})
		if strings.Contains(d.out.String(), "\u202e") && (format == "table" || format == "csv") {
			t.Errorf("%s prints a mark that turns the text around", format)
		}
	}
	lines := strings.Split(strings.TrimSpace(d.out.String()), "\n")
	if len(lines) != len(evilNames) {
		t.Fatalf("%d lines of JSON, want %d", len(lines), len(evilNames))
	}
	for i, line := range lines {
		var f api.FileObject
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Name != evilNames[i] {
			t.Errorf("line %d: %q, %v", i, f.Name, err)
		}
	}
	d.want(exitOK, []string{"files", "ls", "-o", "csv"})
	if rows, err := csv.NewReader(strings.NewReader(d.out.String())).ReadAll(); err != nil || len(rows) != len(evilNames)+1 {
		t.Errorf("%d rows of CSV, %v", len(rows), err)
	}
	top := t.TempDir()
	dir := filepath.Join(top, "x", "y", "z")
	d.want(exitOK, []string{"files", "get", "--job", "11", dir}, "files are in")
	if count := filesBelow(t, dir); count != len(evilNames) || filesBelow(t, top) != count {
		t.Errorf("%d of %d files are in the directory, %d around it", count, len(evilNames), filesBelow(t, top)-count)
	}
	for _, name := range []string{"-rf", "--force"} {
		d.want(exitOK, []string{"files", "get", "--", name, filepath.Join(t.TempDir(), "x")})
		d.want(exitOK, []string{"files", "rm", "--", name}, "1 files deleted")
	}
}

func filesBelow(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneFileOfAHostileNameStaysInItsDirectory(t *testing.T) {
	t.Parallel()
	for _, name := range evilNames {
		d := newDesk(t)
		s := d.login()
		f := s.hold(name, "x", nil)
		top := t.TempDir()
		dir := filepath.Join(top, "down")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		d.want(exitOK, []string{"files", "get", f.Id.String(), dir})
		if filesBelow(t, dir) != 1 || filesBelow(t, top) != 1 {
			t.Errorf("%q is not in its directory", name)
		}
	}
}

func TestAListWithoutAnEndEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	s.hold("a", "x", nil)
	s.endless = true
	for _, args := range [][]string{{"files", "ls"}, {"files", "get", "--prefix", "a", t.TempDir()}, {"files", "rm", "--prefix", "a", "--yes"}} {
		d.want(exitFailed, args, "does not end")
	}
	if len(s.deleted) > 0 {
		t.Error("files were deleted")
	}
}

func TestAPutOfADirectorySendsNoFileTwice(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	dir := filepath.Join(t.TempDir(), "data")
	for name, content := range map[string]string{"a": "one", "sub/b": "two"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := s.hold("data/a", "one", nil), s.hold("data/sub/b", "two", nil)
	for i := range s.files {
		s.files[i].Class = api.FileClassUpload
	}
	d.want(exitOK, []string{"files", "put", "-r", "--json", dir}, "2 of 2 files are stored", a.Id.String(), b.Id.String()) // this site takes no uploads
	s.hold("data/a", "1", nil)
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(exitNotFound, []string{"files", "put", "-r", dir}, "1 of 2 files are stored")
	d.want(exitNotFound, []string{"files", "put", filepath.Join(dir, "sub", "b")}) // a file that is named is sent
}

func TestManyErrorsAreNotAllPrinted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	for range 50 {
		f := s.hold("x", "y", nil)
		s.data[f.Id.String()] = []byte("z")
	}
	d.want(exitFailed, []string{"files", "get", "--class", "output", t.TempDir()}, "0 of 50 files", "and 29 more errors")
	if n := strings.Count(d.err.String(), "not those that were stored"); n != maxErrors+1 {
		t.Errorf("%d errors are printed", n)
	}
}

func TestALinkIsSharedAsJSON(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	f := s.hold("a\nb", "x", nil)
	d.want(exitOK, []string{"files", "share", "--json", f.Id.String()})
	var got struct{ URL, Name, ID string }
	if err := json.Unmarshal(d.out.Bytes(), &got); err != nil || got.Name != "a\nb" || got.ID != f.Id.String() || !strings.HasPrefix(got.URL, s.URL+"/store/") || d.err.Len() > 0 {
		t.Errorf("%+v, %v, %q", got, err, d.err.String())
	}
}
