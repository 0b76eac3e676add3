package way

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// TestTheWay submits everything at once, as users do, and looks for secrets while and after it happens.
func TestTheWay(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	watch := watchProcesses(t)
	t.Run("jobs", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"a small job goes the whole way, and each state is told within a cycle": small,
			"the wrapper is sbatch when it is called so":                            symlink,
			"two nodes: energy, CPU and memory as measured by the profile":          twoNodes,
			"each task of an array has its own outputs":                             array,
			"exit 3 is a failed job with code 3":                                    exit3,
			"a job beyond its memory is told so":                                    outOfMemory,
			"a job that plain sbatch submitted is reported too":                     plain,
			"200 MB go in parts and come back the same":                             large,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t) })
		}
	})
	t.Run("no presigned URL, token or password was to be seen anywhere", func(t *testing.T) { secrets(t, watch) })
}

func small(t *testing.T) {
	id := alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=small --ntasks=1 --mem=200M --time=5 --profile=task --output=small-%%j.out --error=small-%%j.err
#ERGON outputs=result-*.txt
#ERGON scratch
echo to stdout; echo to stderr >&2
srun python3 %s 6 50
[ -O "${ERGON_SCRATCH_DIR:?}" ] && echo hot > "$ERGON_SCRATCH_DIR/tmp" && mkdir -p "${ERGON_OUTPUT_DIR:?}" && stat -c %%a "$ERGON_SCRATCH_DIR" > "$ERGON_OUTPUT_DIR/scratch.txt"
head -c 100000 /dev/urandom > result-$SLURM_JOB_ID.txt
mkdir -p "${ERGON_OUTPUT_DIR:?}/deep/er"
echo below > "$ERGON_OUTPUT_DIR/deep/er/file.csv"
`, world.Burn()))
	alice.WaitJob(t, id, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if job.State != "DONE" || job.ExitCode == nil || *job.ExitCode != 0 || job.UnixUser != "alice" {
		t.Errorf("job %+v, want DONE, exit code 0, of alice", job)
	}
	files := byName(t, alice.Files(t, job.ID))
	home := alice.Home
	for name, path := range map[string]string{
		"result-" + id + ".txt": filepath.Join(home, "result-"+id+".txt"),
		"small-" + id + ".out":  filepath.Join(home, "small-"+id+".out"),
		"small-" + id + ".err":  filepath.Join(home, "small-"+id+".err"),
	} {
		comeBack(t, files, job, name, site.SHA256(t, path))
	}
	comeBack(t, files, job, "deep/er/file.csv", site.Sum([]byte("below\n")))
	comeBack(t, files, job, "scratch.txt", site.Sum([]byte("700\n"))) // the job's own directory, which nobody else enters
	for _, profile := range profiles(t, "alice", id) {
		comeBack(t, files, job, filepath.Base(profile), site.SHA256(t, profile))
	}
	prompt(t, job)
	report := alice.WaitReport(t, job.ID, "from the profile", fromProfile)
	t.Logf("verdict: %s; sources: %v", report.Verdict, report.Sources)
	sameAsSeff(t, id, report)
	t.Run("and nobody else sees it", func(t *testing.T) { hidden(t, job) })
}

// fromProfile says that the stored profile has refined the report.
func fromProfile(r site.Report) bool { return slices.Contains(r.Sources, "hdf5_profile") }

func byName(t *testing.T, files []site.File) map[string]site.File {
	t.Helper()
	m := map[string]site.File{}
	for _, f := range files {
		if _, twice := m[f.Name]; twice {
			t.Errorf("%q is stored twice", f.Name)
		}
		m[f.Name] = f
	}
	return m
}

// comeBack downloads one file with the CLI and compares it with what the job wrote.
func comeBack(t *testing.T, files map[string]site.File, job site.Job, name, want string) {
	t.Helper()
	f, ok := files[name]
	if !ok {
		t.Errorf("%s is not stored; stored are %v", name, names(files))
		return
	}
	if prefix := job.UserID + "/jobs/" + job.ID + "/"; !strings.HasPrefix(f.Key, prefix) || job.UserID == "" {
		t.Errorf("key %q, want it below %q", f.Key, prefix)
	}
	target, err := os.MkdirTemp(alice.Home, "get-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o777); err != nil {
		t.Fatal(err)
	}
	alice.Must(t, "ergon", "files", "get", f.ID, target+"/")
	if got := site.SHA256(t, filepath.Join(target, filepath.Base(name))); got != want || f.SHA256 != "" && f.SHA256 != want {
		t.Errorf("%s: downloaded %s, stored as %s, the job wrote %s", name, got, f.SHA256, want)
	}
}

func names(files map[string]site.File) (all []string) {
	for name := range files {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func profiles(t *testing.T, user, id string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(world.Slurm.ProfileDir(), user, id+"_*.h5"))
	if err != nil || len(found) == 0 {
		t.Errorf("Slurm wrote no profile for job %s (%v)", id, err)
	}
	return found
}

// prompt prints how long after Slurm's own times the server heard of them: other suites use the same two cores, so that no bound
// says anything. TestEachStateReachesTheServerWithinOneCycle counts cycles instead.
func prompt(t *testing.T, job site.Job) {
	t.Helper()
	var times struct {
		Start time.Time `json:"start_at"`
		End   time.Time `json:"end_at"`
	}
	if status, err := alice.Get(t.Context(), "/jobs/"+job.ID, &times); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	events := alice.Events(t, job.ID)
	for i, e := range events {
		if i > 0 && e.Seq <= events[i-1].Seq {
			t.Errorf("event %d has number %d after %d", i, e.Seq, events[i-1].Seq)
		}
	}
	for state, since := range map[string]time.Time{"RUNNING": times.Start, "DONE": times.End} {
		at := slices.IndexFunc(events, func(e site.Event) bool { return e.Type == "state" && e.State == state })
		if at < 0 {
			t.Errorf("no event %s: %+v", state, events)
			continue
		}
		t.Logf("%s reached the server %v after Slurm's (whole) second", state, events[at].ReceivedAt.Sub(since).Round(10*time.Millisecond))
	}
}

// sameAsSeff compares the local report with the server's, number by number.
func sameAsSeff(t *testing.T, id string, want site.Report) {
	t.Helper()
	got := seff(t, id)
	if len(want.Metrics) == 0 || len(got.Metrics) != len(want.Metrics) {
		t.Fatalf("%d metrics by seff, %d by the server", len(got.Metrics), len(want.Metrics))
	}
	for name, server := range want.Metrics {
		local := got.Metrics[name]
		if (local.Value == nil) != (server.Value == nil) || local.Source != server.Source || local.Unit != server.Unit || local.Bound != server.Bound {
			t.Errorf("%s: seff says %s, the server %s", name, show(local), show(server))
			continue
		}
		if local.Value != nil && math.Abs(*local.Value-*server.Value) > 1e-9*math.Abs(*server.Value) {
			t.Errorf("%s: seff says %s, the server %s", name, show(local), show(server))
		}
	}
	if got.Verdict != want.Verdict {
		t.Errorf("seff: %q\nserver: %q", got.Verdict, want.Verdict)
	}
}

func show(m site.Metric) string {
	if m.Value == nil {
		return "nothing"
	}
	return fmt.Sprintf("%g %s (%s, %s)", *m.Value, m.Unit, m.Bound, m.Source)
}

func hidden(t *testing.T, job site.Job) {
	for _, path := range []string{"", "/events", "/efficiency", "/series"} {
		if status, err := bob.Get(t.Context(), "/jobs/"+job.ID+path, nil); err != nil || status != http.StatusNotFound {
			t.Errorf("bob asks for alice's /jobs/ID%s: %d %v, want 404", path, status, err)
		}
	}
	for _, f := range alice.Files(t, job.ID)[:1] {
		for _, path := range []string{"/files/" + f.ID, "/files/presign/download?id=" + f.ID} {
			if status, err := bob.Get(t.Context(), path, nil); err != nil || status != http.StatusNotFound {
				t.Errorf("bob asks for alice's file: %d %v, want 404", status, err)
			}
		}
	}
	if got := bob.Jobs(t, job.SlurmJobID); len(got) != 0 {
		t.Errorf("bob lists alice's job: %+v", got)
	}
	if result := bob.Run(t, "ergon", "files", "ls", "--job", job.ID); result.Code == 0 {
		t.Errorf("bob lists files of alice's job: %s", result.Stdout)
	}
	if status, err := world.Anonymous().Get(t.Context(), "/jobs/"+job.ID, nil); err != nil || status != http.StatusUnauthorized {
		t.Errorf("nobody asks for alice's job: %d %v, want 401", status, err)
	}
}

func symlink(t *testing.T) {
	link := filepath.Join(bob.Home, "sbatch")
	program, err := harness.Binary("ergon")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	script := bob.Write(t, "link.sh", "#!/bin/bash\n#SBATCH --output=link-%j.out\necho by symlink\n", 0o755)
	out := bob.Must(t, link, "--job-name=linked", "--mem=50M", script)
	id := regexp.MustCompile(`^Submitted batch job ([0-9]+)\n$`).FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("sbatch's own message is %q", out)
	}
	job := bob.WaitJob(t, id[1], "settled", site.Settled)
	if job.SubmissionID == "" || job.State != "DONE" {
		t.Errorf("job %+v, want it tagged and DONE", job)
	}
	if files := byName(t, bob.Files(t, job.ID)); files["link-"+id[1]+".out"].SHA256 != site.Sum([]byte("by symlink\n")) {
		t.Errorf("stored: %+v", files)
	}
}

const watts = 120 // of each node: dev/slurm/lib/feeder.py

func twoNodes(t *testing.T) {
	id := alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=two --nodes=2 --ntasks-per-node=1 --mem=300M --time=5 --profile=all --output=two-%%j.out
exec srun python3 %s 20 120 0.4
`, world.Burn()))
	job := alice.WaitJob(t, id, "settled", site.Settled)
	report := alice.WaitReport(t, job.ID, "from the profile", fromProfile)
	elapsed := *report.Job.ElapsedSeconds
	joules := value(t, report, "energy")
	if want := watts * 2 * elapsed; math.Abs(joules-want) > 0.15*want {
		t.Errorf("energy %.0f J; two nodes of %d W for %.0f s are %.0f J", joules, watts, elapsed, want)
	}
	text, err := os.ReadFile(filepath.Join(alice.Home, "two-"+id+".out"))
	if err != nil {
		t.Fatal(err)
	}
	used := 0.0
	for _, m := range regexp.MustCompile(`cpu_seconds=([0-9.]+)`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		used += n
	}
	cpu := value(t, report, "cpu_efficiency")
	// Two CPUs were allocated. The profile begins and ends up to a second beside the process, and knows whole ticks.
	want := 100 * used / (2 * elapsed)
	t.Logf("energy %.0f J of %.0f J, CPU %.1f %% of %.1f %% by the processes' own count, elapsed %.0f s", joules, watts*2*elapsed, cpu, want, elapsed)
	if math.Abs(cpu-want) > 6 {
		t.Errorf("CPU efficiency %.1f %%, the processes themselves counted %.1f s, which is %.1f %%", cpu, used, want)
	}
	// Each node holds 120 MiB and an interpreter.
	if peak := report.Metrics["memory_peak"]; value(t, report, "memory_peak") < 2*115e6 || *peak.Value > 2*190e6 || peak.Source != "hdf5_profile" {
		t.Errorf("memory %s, want 230 to 380 MB, from the profile", show(peak))
	}
	sameAsSeff(t, id, report)
}

func value(t *testing.T, r site.Report, metric string) float64 {
	t.Helper()
	m, ok := r.Metrics[metric]
	if !ok || m.Value == nil {
		t.Fatalf("no value of %s: %+v", metric, m)
	}
	return *m.Value
}

func array(t *testing.T) {
	id := alice.Sbatch(t, `#!/bin/bash
#SBATCH --job-name=sweep --array=1-3 --ntasks=1 --mem=60M --time=5 --output=sweep-%A_%a.out
#ERGON outputs=nothing-matches-*.dat
dir="${ERGON_OUTPUT_DIR:?}/$SLURM_ARRAY_TASK_ID"
mkdir -p "$dir"
echo "task $SLURM_ARRAY_TASK_ID" > "$dir/result.csv"
`)
	for _, job := range alice.WaitJobs(t, id, 3, "settled", site.Settled) {
		_, task, found := strings.Cut(job.SlurmJobID, "_")
		if !found || job.State != "DONE" {
			t.Errorf("task %+v", job)
		}
		files := byName(t, alice.Files(t, job.ID))
		comeBack(t, files, job, "result.csv", site.Sum([]byte("task "+task+"\n")))
		if len(files) != 2 {
			t.Errorf("task %s has files %v, want its own result and stdout", task, names(files))
		}
	}
	if out := alice.Must(t, "ergon", "job", id); !strings.Contains(out, "Array "+id+", 3 tasks") {
		t.Errorf("the page of the array does not count its tasks:\n%s", out)
	}
}

func exit3(t *testing.T) {
	id := alice.Sbatch(t, "#!/bin/bash\n#SBATCH --job-name=three --mem=50M --output=three-%j.out --error=three-%j.err\necho input.dat: no such file >&2\nexit 3\n")
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if job.State != "FAILED" || job.SlurmState != "FAILED" || job.ExitCode == nil || *job.ExitCode != 3 {
		t.Errorf("job %s %s, exit code %v; want FAILED with 3", job.State, job.SlurmState, job.ExitCode)
	}
	report := alice.WaitReport(t, job.ID, "there", func(site.Report) bool { return true })
	if !strings.Contains(report.Verdict, "3") {
		t.Errorf("the verdict does not name the exit code: %q", report.Verdict)
	}
	if out := alice.Must(t, "ergon", "job", id); !strings.Contains(out, report.Verdict) {
		t.Errorf("ergon job does not print the verdict %q:\n%s", report.Verdict, out)
	}
}

func outOfMemory(t *testing.T) {
	if why, err := world.Slurm.BlindToOutOfMemory(); err != nil || why != "" {
		t.Skip(why, err)
	}
	id := alice.Sbatch(t, fmt.Sprintf("#!/bin/bash\n#SBATCH --job-name=oom --mem=64M --output=oom-%%j.out\nexec python3 %s 20 300\n", world.Burn()))
	job := alice.WaitJob(t, id, "settled", site.Settled)
	if job.State != "FAILED" || job.SlurmState != "OUT_OF_MEMORY" {
		t.Errorf("job %s %s, want FAILED, OUT_OF_MEMORY", job.State, job.SlurmState)
	}
	report := alice.WaitReport(t, job.ID, "there", func(site.Report) bool { return true })
	if !strings.Contains(strings.ToLower(report.Verdict), "memory") {
		t.Errorf("the verdict does not name memory: %q", report.Verdict)
	}
	t.Log(report.Verdict)
}

func plain(t *testing.T) {
	id, _, _ := strings.Cut(strings.TrimSpace(alice.Must(t, "sbatch", "--parsable", "--job-name=plain", "--mem=60M", "--output=/dev/null", "--wrap", "sleep 2")), ";")
	job := alice.WaitJob(t, id, "ended", site.Ended)
	if job.SubmissionID != "" || job.Name != "plain" || job.State != "DONE" {
		t.Errorf("job %+v, want DONE without a submission", job)
	}
	report := alice.WaitReport(t, job.ID, "there", func(site.Report) bool { return true })
	sameAsSeff(t, id, report)
}

func large(t *testing.T) {
	id := alice.Sbatch(t, `#!/bin/bash
#SBATCH --job-name=large --mem=800M --output=large-%j.out
#ERGON outputs=large.bin
head -c 200000000 /dev/urandom > large.bin
`)
	job := alice.WaitJob(t, id, "settled", site.Settled)
	files := byName(t, alice.Files(t, job.ID))
	if f := files["large.bin"]; f.Size != 200000000 {
		t.Fatalf("stored: %+v", files)
	}
	comeBack(t, files, job, "large.bin", site.SHA256(t, filepath.Join(alice.Home, "large.bin")))
}
