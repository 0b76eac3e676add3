package crash

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/site"
)

// expected is one submission, whose every file in dir has to be in the store.
type expected struct {
	slurmID, dir string
	by           *site.Person // nil is alice
}

func (e expected) person() *site.Person {
	if e.by == nil {
		return alice
	}
	return e.by
}

// want reads the checksums of what the job has written.
func (e expected) want(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(e.dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("job %s wrote %v, %v; want stdout.txt and out.dat", e.slurmID, entries, err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		files[entry.Name()] = site.SHA256(t, filepath.Join(e.dir, entry.Name()))
	}
	return files
}

// settle waits for the job's end and counts the submission's jobs in Slurm, its jobs at the server, and its objects in the store.
func (e expected) settle(t *testing.T) {
	t.Helper()
	job := e.person().WaitJob(t, e.slurmID, "settled", site.Settled)
	if job.SubmissionID == "" {
		t.Errorf("job %s lost its submission", e.slurmID)
	} else if n := tagged(t, job.SubmissionID); n != 1 {
		t.Errorf("submission %s has %d Slurm jobs, want 1", job.SubmissionID, n)
	}
	e.objects(t, job)
	seqs := map[int64]bool{}
	for _, event := range e.person().Events(t, job.ID) {
		if seqs[event.Seq] {
			t.Errorf("job %s has two events of number %d", e.slurmID, event.Seq)
		}
		seqs[event.Seq] = true
	}
	if len(seqs) == 0 {
		t.Errorf("no event of job %s reached the server", e.slurmID)
	}
}

func (e expected) objects(t *testing.T, job site.Job) {
	t.Helper()
	files := e.want(t)
	stored := map[string]int{}
	for _, f := range e.person().Files(t, job.ID) {
		stored[f.Name]++
		want, known := files[f.Name]
		if !known || f.SHA256 != want || !f.SHA256Verified && f.Size < multipart {
			t.Errorf("job %s stored %s with %s (verified %v), want %s", e.slurmID, f.Name, f.SHA256, f.SHA256Verified, want)
		}
	}
	for name := range files {
		if stored[name] != 1 {
			t.Errorf("job %s has %s %d times in the list of files, want once", e.slurmID, name, stored[name])
		}
	}
	var want []string
	for _, sum := range files {
		want = append(want, sum)
	}
	slices.Sort(want)
	if got := onDisk(t, job.ID); !slices.Equal(got, want) {
		t.Errorf("job %s has objects with %q in the store, want %q", e.slurmID, got, want)
	}
}

// multipart is the size from which on the store checks each part by itself, and nobody the whole: here onDisk does.
const multipart = 64 << 20

// onDisk gives the checksums of a job's objects where the embedded store keeps them, sorted.
func onDisk(t *testing.T, jobID string) (sums []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(world.Dir, "server"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(path, "/jobs/"+jobID+"/") && !strings.Contains(path, ".sgwtmp") {
			sums = append(sums, site.SHA256(t, path))
		}
		return nil // an error is one of SQLite's files, which come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sums)
	return sums
}

// tagged counts Slurm's jobs that carry the tag of a submission, running or ended. Incarnations of one job count once.
func tagged(t *testing.T, submission string) int {
	t.Helper()
	bases := map[string]bool{}
	for _, args := range [][]string{
		{"squeue", "-h", "-a", "-o", "%A|%k"},
		{"sacct", "-a", "-X", "-n", "-P", "-S", "now-1days", "-o", "JobIDRaw,Comment"},
		{"sacct", "-a", "-X", "-n", "-P", "-S", "now-1days", "-o", "JobIDRaw,SubmitLine"},
	} {
		for _, line := range strings.Split(alice.Must(t, args...), "\n") {
			if id, rest, found := strings.Cut(line, "|"); found && strings.Contains(rest, submission) {
				bases[id] = true
			}
		}
	}
	return len(bases)
}
