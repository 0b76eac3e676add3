package collect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

func TestOfDeclaredFilesOnlyThoseThatChangedSinceTheStartAreTaken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, test := range map[string]struct {
		started time.Time // zero is unknown
		mtime   time.Time // zero leaves it
		want    outputs.Status
	}{
		"written after the start":                         {now.Add(-time.Hour), time.Time{}, outputs.StatusFound},
		"written before the start, within the margin":     {now.Add(clockMargin / 2), time.Time{}, outputs.StatusFound},
		"of an earlier job":                               {now.Add(clockMargin + time.Minute), time.Time{}, outputs.StatusSkipped},
		"an old mtime by cp -p, but new here":             {now.Add(-time.Hour), now.AddDate(-5, 0, 0), outputs.StatusFound},
		"an mtime that its owner put after the start":     {now.Add(time.Hour), now.Add(2 * time.Hour), outputs.StatusFound},
		"of an earlier job, with a still older mtime":     {now.Add(time.Hour), now.AddDate(-5, 0, 0), outputs.StatusSkipped},
		"the start is not known, so all that match is it": {time.Time{}, now.AddDate(-5, 0, 0), outputs.StatusFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			file := filepath.Join(work, "result.dat")
			write(t, file, "x")
			if !test.mtime.IsZero() {
				if err := os.Chtimes(file, test.mtime, test.mtime); err != nil {
					t.Fatal(err)
				}
			}
			e := only(t, outputs.JobFiles{Globs: []string{"*.dat"}, StartedAt: test.started, Dirs: outputs.Dirs{Work: work}})
			if e.Path != "result.dat" || e.Status != test.want {
				t.Errorf("%+v, want %s", e, test.want)
			}
			if test.want == outputs.StatusSkipped && (!strings.Contains(e.Reason, "not changed since the job started") || e.Size != 1 || e.ModTime.IsZero()) {
				t.Errorf("what is left out: %+v, want its reason, size and time", e)
			}
		})
	}
}

// only lists a job with one entry.
func only(t *testing.T, job outputs.JobFiles) outputs.Entry {
	t.Helper()
	job.UID = uint32(os.Getuid())
	m, err := Files(t.Context(), job, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Entries) != 1 {
		t.Fatalf("%+v, want one entry", m.Entries)
	}
	return m.Entries[0]
}

func TestAgeMattersOnlyInTheSharedDirectoryAndCostsNoBudget(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	write(t, at("work/a.dat"), "of an earlier job")
	write(t, at("work/b.dat"), "of an earlier job too")
	write(t, at("work/slurm.out"), "x")
	write(t, at("out/c.dat"), "x")
	job := outputs.JobFiles{
		Globs: []string{"*.dat"}, StartedAt: time.Now().Add(time.Hour), Caps: outputs.Caps{JobFiles: 2},
		Dirs: outputs.Dirs{Work: at("work"), Output: at("out"), Stdout: at("work/slurm.out")},
	}
	same(t, list(t, job), map[string]string{
		"a.dat": "output skipped", "b.dat": "output skipped", "c.dat": "output found", "slurm.out": "stdout found",
	})
}

func TestALinkKeepsItsOwnReasonWhateverItsAge(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(work, "link.dat")); err != nil {
		t.Fatal(err)
	}
	e := only(t, outputs.JobFiles{Globs: []string{"*.dat"}, StartedAt: time.Now().Add(time.Hour), Dirs: outputs.Dirs{Work: work}})
	if e.Status != outputs.StatusSkipped || !strings.Contains(e.Reason, "symbolic link") {
		t.Errorf("%+v", e)
	}
}
