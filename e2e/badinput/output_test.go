package badinput

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// manifest is what became of each file of a job, by the server's last word.
func manifest(t *testing.T, job site.Job) map[string]site.Entry {
	t.Helper()
	entries := map[string]site.Entry{}
	for _, event := range alice.Events(t, job.ID) {
		for _, e := range event.Manifest {
			entries[e.Path] = e
		}
	}
	return entries
}

func TestOutputsThatCannotOrMustNotBeTaken(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	dir := alice.Mkdir(t)
	id := alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --mem=200M --output=stdout.txt
#ERGON outputs=nothing-*.here
cd "${ERGON_OUTPUT_DIR:?}"
echo fine > fine.txt
echo secret > unreadable.txt; chmod 000 unreadable.txt
echo strange > $'new\nline|pipe.txt'
echo other > $'\xff\xfe.bin'
ln -s /etc/passwd link.txt
ln -s / rootdir
echo one > hard1; ln hard1 hard2
mkfifo fifo
head -c %d /dev/zero > huge.bin
mkdir dir; echo in > dir/in.txt
: > empty.txt
`, capBytes+1), "--chdir="+dir)
	job := alice.WaitJob(t, id, "settled", site.Settled)
	entries := manifest(t, job)
	told := alice.Must(t, "ergon", "job", id, "--events")
	for path, want := range map[string]struct{ status, reason string }{
		"fine.txt": {"stored", ""}, "dir/in.txt": {"stored", ""}, "empty.txt": {"stored", ""}, "new\nline|pipe.txt": {"stored", ""},
		`"\xff\xfe.bin"`: {"skipped", "no UTF-8: rename it"},
		"unreadable.txt": {"skipped", "cannot be read by its owner: chmod u+r makes it uploadable"}, "link.txt": {"skipped", "symbolic link"}, "rootdir": {"skipped", "symbolic link"},
		"hard1": {"skipped", "hard link"}, "hard2": {"skipped", "hard link"}, "fifo": {"skipped", "no regular file"},
		"huge.bin": {"skipped", ""}, "nothing-*.here": {"missing", "no file matches"},
	} {
		got, ok := entries[path]
		if !ok || got.Status != want.status || !strings.Contains(got.Reason, want.reason) || want.status != "stored" && got.Reason == "" {
			t.Errorf("%q: %+v (there: %v), want %s because of %q", path, got, ok, want.status, want.reason)
		}
		if line := want.status + " " + path + ": " + got.Reason; want.status != "stored" && !strings.Contains(told, line) {
			t.Errorf("ergon job --events lacks %q:\n%s", line, told)
		}
	}
	stored := map[string]string{}
	for _, f := range alice.Files(t, job.ID) {
		stored[f.Name] = f.SHA256
		if strings.ContainsAny(f.Key, "\n") {
			t.Errorf("the key %q holds a newline", f.Key)
		}
	}
	for name, content := range map[string]string{"fine.txt": "fine\n", "new\nline|pipe.txt": "strange\n", "empty.txt": ""} {
		if stored[name] != site.Sum([]byte(content)) {
			t.Errorf("%q is stored as %q", name, stored[name])
		}
	}
	for name := range stored {
		if entries[name].Status != "stored" && name != "stdout.txt" {
			t.Errorf("%q is stored, its manifest says %+v", name, entries[name])
		}
	}
	target := alice.Mkdir(t)
	alice.Must(t, "ergon", "files", "get", "--job", id, target+"/")
	if got, err := os.ReadFile(filepath.Join(target, "fine.txt")); err != nil || string(got) != "fine\n" {
		t.Errorf("fine.txt came back as %q, %v", got, err)
	}
}

func TestAJobNamedWithNewlineAndPipe(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	dir := alice.Mkdir(t)
	name := "we|ird\nname \"q\" 1.batch|COMPLETED"
	id := alice.Sbatch(t, "#!/bin/bash\n#SBATCH --mem=20M --output=stdout.txt\necho fine\nexit 4\n", "--chdir="+dir, "--job-name="+name)
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if job.State != "FAILED" || job.ExitCode == nil || *job.ExitCode != 4 {
		t.Errorf("job %+v, want FAILED with 4", job)
	}
	alice.WaitReport(t, job.ID, "there", func(r site.Report) bool { return r.Job.SlurmState == "FAILED" })
	if out := alice.Must(t, "ergon", "jobs", "--limit", "5"); strings.Contains(out, "ird\nname") {
		t.Errorf("the list of jobs prints the newline:\n%s", out)
	}
}

func TestHostileProfilesSpoilNothing(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	genuine, err := os.ReadFile(filepath.Join(root, "shared", "hdf5", "testdata", "20_0_n1.h5"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte{}, genuine...)
	for i := 100; i < len(flipped); i += 37 {
		flipped[i] ^= 0xff
	}
	huge := append([]byte{}, genuine...)
	copy(huge[40:], "\xff\xff\xff\xff\xff\xff\xff\x7f")
	dir := alice.Mkdir(t)
	for name, content := range map[string][]byte{"truncated": genuine[:3000], "flipped": flipped, "huge": huge, "text": []byte("no HDF5 at all"), "empty": nil} {
		alice.WriteIn(t, dir, name, string(content), 0o644)
	}
	id := alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --mem=50M --output=stdout.txt --profile=task
profiles=%s/$USER; mkdir -p $profiles
for f in truncated flipped huge text empty; do cp $f $profiles/${SLURM_JOB_ID}_${#f}_$f.h5; done
srun sleep 3
`, world.Slurm.ProfileDir()), "--chdir="+dir)
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if n := len(alice.Files(t, job.ID)); n < 6 {
		t.Errorf("%d files are stored, want stdout and the profiles, whatever is in them", n)
	}
	report := alice.WaitReport(t, job.ID, "from the good profile", func(r site.Report) bool { return len(r.Sources) > 0 && r.Sources[0] == "hdf5_profile" })
	if report.Job.SlurmState != "COMPLETED" || report.Verdict == "" {
		t.Errorf("report %+v", report)
	}
	t.Log(report.Verdict)
	for name, says := range map[string]string{
		"truncated": "is a damaged or foreign HDF5 file: hdf5: file ends too early", "flipped": "is a damaged or foreign HDF5 file: hdf5: ",
		"huge": "the file was cut or is being written", "text": "not parsable Slurm output", "empty": "is empty: nothing to explain",
	} {
		result := alice.Run(t, "ergon", "explain", filepath.Join(dir, name))
		if result.Code == 0 && name != "flipped" && name != "huge" || strings.Contains(result.Stderr, "goroutine") || !strings.Contains(result.Stderr, "ergon: ") || !strings.Contains(result.Stderr, says) {
			t.Errorf("ergon explain %s: %d %q, want it to say %q", name, result.Code, result.Stderr, says)
		}
	}
	if err := world.Alive(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestQuota(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	big := bob.Write(t, "big.bin", strings.Repeat("x", quotaBytes-(1<<20)), 0o644)
	bob.Must(t, "ergon", "files", "put", big)
	dir := bob.Mkdir(t)
	id := bob.Sbatch(t, "#!/bin/bash\n#SBATCH --mem=100M --output=stdout.txt\n#ERGON outputs=*.dat\nhead -c 8000000 /dev/urandom > out.dat\n", "--chdir="+dir)
	job := bob.WaitJob(t, id, "blocked", func(j site.Job) bool { return j.UploadPhase == "blocked" })
	said := false
	for _, e := range bob.Events(t, job.ID) {
		said = said || strings.Contains(e.Message, "bytes do not fit")
	}
	if !said {
		t.Errorf("no event says how many bytes do not fit: %+v", bob.Events(t, job.ID))
	}
	for _, f := range bob.Files(t, "") {
		if f.Name == "big.bin" {
			bob.Must(t, "ergon", "files", "rm", "--yes", f.ID)
		}
	}
	bob.WaitJob(t, id, "settled", site.Settled)
	stored := map[string]string{}
	for _, f := range bob.Files(t, job.ID) {
		stored[f.Name] = f.SHA256
	}
	if stored["out.dat"] != site.SHA256(t, filepath.Join(dir, "out.dat")) {
		t.Errorf("stored after room was made: %v", stored)
	}
}
