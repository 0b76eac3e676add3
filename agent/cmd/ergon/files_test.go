package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/api"
)

// hold stores a file at the site.
func (s *site) hold(name, content string, job *uuid.UUID) api.FileObject {
	sum := sha256.Sum256([]byte(content))
	f := api.FileObject{Id: uuid.New(), Name: name, Class: api.FileClassOutput, Size: int64(len(content)), Sha256: hex.EncodeToString(sum[:]), CreatedAt: now, JobId: job, Key: "k"}
	s.files = append(s.files, f)
	s.data[f.Id.String()] = []byte(content)
	return f
}

func TestFilesAreListedGotSharedAndDeleted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	d.want(exitOK, []string{"files", "ls"}, "No stored files")
	f := s.hold("results.csv", "a,b\n", nil)
	s.hold("evil\x1b[2J", "x", nil)
	s.hold("third", "y", nil)
	d.want(exitOK, []string{"files", "ls"}, f.Id.String(), "results.csv", "3 files")
	d.want(exitOK, []string{"files", "ls", "-o", "csv"}, "id,name,class,size")
	dir := t.TempDir()
	d.want(exitOK, []string{"files", "get", "results.csv", dir}, "results.csv")
	if got, err := os.ReadFile(filepath.Join(dir, "results.csv")); err != nil || string(got) != "a,b\n" {
		t.Errorf("%q, %v", got, err)
	}
	d.want(exitOK, []string{"files", "get", "results.csv", dir}) // it is there
	if err := os.WriteFile(filepath.Join(dir, "results.csv"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(exitFailed, []string{"files", "get", "results.csv", dir}, "exists already", "--force")
	d.want(exitOK, []string{"files", "get", "--force", f.Id.String(), filepath.Join(dir, "results.csv")})
	for _, command := range [][]string{{"get", "absent", dir}, {"get", uuid.NewString(), dir}, {"share", uuid.NewString()}, {"rm", uuid.NewString()}} {
		d.want(exitNotFound, append([]string{"files"}, command...), "no stored file", command[1], "ergon files ls")
	}
	d.want(exitOK, []string{"files", "ls", "--class", "profile"}, "No stored files match")
	d.want(exitOK, []string{"files", "ls", "absent"}, "No stored files match")
	if code := d.run("files", "share", "results.csv"); code != exitOK || d.out.String() != s.URL+"/store/"+f.Id.String()+"?signature=sekret\n" {
		t.Errorf("exit code %d, %q", code, d.out.String())
	}
	d.want(exitOK, []string{"files", "rm", "results.csv"}, "1 files deleted")
	if len(s.deleted) != 1 || s.deleted[0] != f.Id.String() {
		t.Errorf("deleted %q", s.deleted)
	}
	d.want(exitUsage, []string{"files", "rm"}, "by id or name")
	d.want(exitUsage, []string{"files", "get"}, "--job ID")
	d.want(exitOK, []string{"quota"}, "3.0 GiB", "10.0 GiB", "6.0 GiB")
}

func TestAllFilesOfAJobComeIntoOneDirectoryAndNotOut(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	j := apiJob("11", "c1", api.DONE, "COMPLETED")
	s.jobs = []api.Job{j}
	s.hold("a/b.txt", "one", &j.Id)
	s.hold("../../escape", "two", &j.Id)
	s.hold("other", "no", nil)
	damaged := s.hold("damaged", "three", &j.Id)
	s.data[damaged.Id.String()] = []byte("THREE")
	dir := filepath.Join(t.TempDir(), "x", "y")
	d.want(exitFailed, []string{"files", "get", "--job", "11", dir}, "2 of 3 files", "not those that were stored")
	for path, want := range map[string]string{"a/b.txt": "one", "_2E_2E/_2E_2E/escape": "two"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "damaged")); err == nil {
		t.Error("a damaged file was kept")
	}
	if strings.Contains(d.err.String(), "sekret") {
		t.Error("a link was printed")
	}
	d.want(exitUsage, []string{"files", "rm", "--job", "11"}, "3 files would be deleted", "--yes")
	if len(s.deleted) > 0 {
		t.Error("files were deleted without --yes")
	}
	d.want(exitOK, []string{"files", "rm", "--job", "11", "--yes"}, "3 files deleted")
	d.want(exitNotFound, []string{"files", "get", "--job", "99", dir}, "knows no job 99")
}

func TestADirectoryThatWasPutComesBackAsItWas(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	for _, f := range []struct{ name, content string }{
		{"dataset/a", "old"}, {"dataset/a", "new"}, {"dataset/sub/deep/b", "b"}, {"dataset/empty", ""}, {"dataset2/c", "no"}, {"dataset", "no"}, {"x/dataset/d", "no"},
	} {
		s.hold(f.name, f.content, nil)
		last := &s.files[len(s.files)-1]
		last.Class, last.CreatedAt = api.FileClassUpload, now.Add(time.Duration(len(s.files))*time.Second)
	}
	job := uuid.New()
	s.hold("dataset/of-a-job", "no", &job)
	for _, name := range []string{"dataset", "dataset/"} {
		dir := t.TempDir()
		d.want(exitOK, []string{"files", "get", "-r", name, dir}, "3 of 3 files")
		got := map[string]string{}
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := os.ReadFile(filepath.Join(dir, path))
			got[path] = string(text)
			return err
		})
		if want := map[string]string{"dataset/a": "new", "dataset/sub/deep/b": "b", "dataset/empty": ""}; err != nil || !maps.Equal(got, want) {
			t.Errorf("%s comes back as %v, %v; want %v", name, got, err, want)
		}
	}
	d.want(exitNotFound, []string{"files", "get", "-r", "absent", t.TempDir()}, `begins with "absent/"`)
	d.want(exitUsage, []string{"files", "get", "-r", "--job", "11", t.TempDir()}, "without --job")
	d.want(exitUsage, []string{"files", "get", "-r"}, "with -r give the name")
}

func TestPutChoosesNamesAndRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "sub/b"} {
		path := filepath.Join(dir, "data", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "data", "link")); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	warn := &warnings{out: &d.err}
	all, err := sourcesOf([]string{filepath.Join(dir, "data")}, putFlags{recursive: true}, warn)
	if err != nil || len(all) != 2 || all[0].name != "data/a" || all[1].name != "data/sub/b" || !strings.Contains(d.err.String(), "link is left out") {
		t.Fatalf("%v, %v, %s", all, err, d.err.String())
	}
	d.want(exitUsage, []string{"files", "put", filepath.Join(dir, "data")}, "add -r")
	d.want(exitUsage, []string{"files", "put", "--name", "../x", filepath.Join(dir, "data", "a")}, "cannot be stored under the name")
	d.want(exitFailed, []string{"files", "put", filepath.Join(dir, "absent")}, "absent")
	d.want(exitNotLoggedIn, []string{"files", "put", filepath.Join(dir, "data", "a")}, "ergon login")
}

func TestWhatAResultTookIsShownWithIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	j := apiJob("7", "c1", api.DONE, "COMPLETED")
	s.jobs, s.reports[j.Id] = []api.Job{j}, analysed("7")
	f := api.FileObject{Id: uuid.New(), Name: "grid.nc", Class: api.FileClassOutput, Size: 10, JobId: &j.Id}
	s.files = []api.FileObject{f}
	if d.want(exitOK, []string{"files", "ls", "--job", "7"}, "grid.nc"); strings.Contains(d.out.String(), "ENERGY") {
		t.Errorf("nothing is known:\n%s", d.out.String())
	}
	took := api.Footprint{EnergyJoule: ptr(7200.0), Cost: ptr(0.25), CostUnit: ptr("EUR")}
	s.results = &api.JobResults{Job: took}
	s.results.Results = append(s.results.Results, struct {
		Footprint api.Footprint `json:"footprint"`
		Id        uuid.UUID     `json:"id"`
		Name      string        `json:"name"`
		Size      int64         `json:"size"`
	}{took, f.Id, f.Name, f.Size})
	d.want(exitOK, []string{"job", "7"}, "grid.nc  7.2 kJ, 0.25 EUR\n") // and nothing of carbon, which is not known
	d.want(exitOK, []string{"files", "ls", "--job", "7"}, "ENERGY", "7.2 kJ", "0.25 EUR", "–", "grid.nc")
	d.want(exitOK, []string{"files", "ls", "--job", "7", "-o", "json"}, `"footprint":{"carbon_gram":null,"cost":0.25`)
	d.want(exitOK, []string{"files", "ls", "--job", "7", "-o", "csv"}, "key,energy_joule,cost,cost_unit,carbon_gram", ",7200,0.25,EUR,")
	if d.want(exitOK, []string{"files", "ls", "-o", "json"}, "grid.nc"); strings.Contains(d.out.String(), "footprint") {
		t.Errorf("only of one job:\n%s", d.out.String())
	}
}
