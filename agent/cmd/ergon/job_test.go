package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func ptr[T any](v T) *T { return &v }

// apiJob is a job as the server lists it.
func apiJob(id, cluster string, state api.JobState, slurmState string) api.Job {
	return api.Job{
		Id: uuid.New(), SlurmJobId: id, Cluster: cluster, State: state, SlurmState: slurmState, Name: ptr("job\x1b[2J" + id), UnixUser: ptr("alice"),
		SubmitAt: now.Add(-2 * time.Hour), StartAt: ptr(now.Add(-time.Hour)), UpdatedAt: now, Attempts: []api.Attempt{}, Cpus: ptr(int32(2)), Nodes: ptr(int32(1)), ElapsedS: ptr(int64(3600)),
		CpuEfficiency: &efficiency.Metric{Value: ptr(42.0), Unit: efficiency.Percent, Bound: efficiency.Exact},
	}
}

// analysed is the report that the server has of a job.
func analysed(id string) efficiency.Report {
	columns := slurmfmt.NewColumns("JobID", "State", "ElapsedRaw", "AllocCPUS", "TotalCPU", "AllocTRES", "TimelimitRaw", "TRESUsageInTot", "User")
	row := func(cells ...string) *slurmfmt.Record { return slurmfmt.NewRecord(columns, cells, nil) }
	return efficiency.Analyse(efficiency.Input{Rows: []*slurmfmt.Record{
		row(id, "COMPLETED", "36000", "32", "", "cpu=32,mem=128G,node=1", "1440", "", "alice"),
		row(id+".batch", "COMPLETED", "36000", "32", "09:55:00", "", "", "cpu=09:55:00,mem=3G", ""),
	}})
}

func TestJobIsTheServersReportWithItsFiles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	j := apiJob("11", "c1", api.DONE, "COMPLETED")
	j.UploadPhase = ptr(api.UploadPhaseVerified)
	s.jobs, s.reports[j.Id] = []api.Job{j}, analysed("11")
	for i := range 25 {
		s.files = append(s.files, api.FileObject{Id: uuid.New(), JobId: &j.Id, Name: "out/\x1b[31m" + string(rune('a'+i)), Class: api.FileClassOutput, Size: 2048, CreatedAt: now})
	}
	d.want(exitOK, []string{"job", "11"}, "COMPLETED after 10 h", "#SBATCH --mem=4G", "Outputs are stored and verified", "and 5 more", "ergon files get --job 11")
	if text := d.out.String(); strings.Index(text, "#SBATCH") > strings.Index(text, "requested") {
		t.Error("the changes do not come before the table")
	}
	d.want(exitOK, []string{"job", j.Id.String()}, "COMPLETED after 10 h")
	if code := d.run("job", "11", "--json"); code != exitOK || len(jsonLines(t, d.out.Bytes())) != 1 {
		t.Errorf("exit code %d: %s", code, d.out.String())
	}
	d.want(exitNotFound, []string{"job", "12"}, "knows no job 12")
	d.want(exitNotFound, []string{"job", uuid.NewString()}, "no such job")
	d.want(exitUsage, []string{"job", "x"}, "no Slurm job id")
	s.events = []api.JobEvent{{EventId: uuid.New(), At: now, Type: "manifest", State: api.DONE, SlurmState: "COMPLETED", Manifest: &[]api.ManifestEntry{{Path: "x\ny", Status: api.ManifestEntryStatusBlocked, Reason: ptr("quota")}}}}
	d.want(exitOK, []string{"job", "11", "--events"}, "manifest", "1 blocked", "x y: quota")
}

func TestEveryFileThatIsNotTakenIsNamedWithItsReason(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	s.jobs = []api.Job{apiJob("11", "fire", api.DONE, "COMPLETED")}
	entries := []api.ManifestEntry{
		{Path: "fine.txt", Status: api.ManifestEntryStatusStored},
		{Path: "link.txt", Status: api.ManifestEntryStatusSkipped, Reason: ptr("symbolic link")},
		{Path: "big.bin", Status: api.ManifestEntryStatusBlocked, Reason: ptr("quota")},
	}
	events := func() {
		t.Helper()
		s.events = []api.JobEvent{{EventId: uuid.New(), At: now, Type: "manifest", State: api.DONE, SlurmState: "COMPLETED", Manifest: &entries}}
	}
	events()
	d.want(exitOK, []string{"job", "11", "--events"}, "1 stored", "1 skipped", "1 blocked", "skipped link.txt: symbolic link\n", "blocked big.bin: quota\n")
	if strings.Contains(d.out.String(), "more") {
		t.Errorf("more than all is promised:\n%s", d.out.String())
	}
	for i := range maxNotTaken + 1 {
		entries = append(entries, api.ManifestEntry{Path: fmt.Sprintf("hard%02d", i), Status: api.ManifestEntryStatusSkipped, Reason: ptr("hard link")})
	}
	events()
	d.want(exitOK, []string{"job", "11", "--events"}, "12 skipped", "skipped hard07: hard link", "and 3 more; --json lists all")
	if strings.Contains(d.out.String(), "hard08") {
		t.Errorf("the list has no end:\n%s", d.out.String())
	}
	if code := d.run("job", "11", "--events", "--json"); code != exitOK || !strings.Contains(d.out.String(), "hard10") {
		t.Errorf("--json lacks the last file (%d): %s", code, d.out.String())
	}
}

func TestTheSameIDOnTwoClustersIsAskedFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	a, b := apiJob("11", "fire", api.DONE, "COMPLETED"), apiJob("11", "spark", api.FAILED, "FAILED")
	s.jobs = []api.Job{a, b}
	s.reports[a.Id], s.reports[b.Id] = analysed("11"), analysed("11")
	d.want(exitUsage, []string{"job", "11"}, "on 2 clusters", "--cluster", "fire (", "spark (")
	d.want(exitOK, []string{"job", "11", "--cluster", "spark"}, "Job 11")
}

func TestAnArrayOfTheServersIsOnePage(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	for _, id := range []string{"9_10", "9_9", "9_1", "9_2", "9_3"} {
		j := apiJob(id, "c1", api.DONE, "COMPLETED")
		j.ArrayJobId = ptr("9")
		s.jobs = append(s.jobs, j)
	}
	s.jobs[0].State, s.jobs[0].SlurmState, s.jobs[0].ExitCode = api.FAILED, "FAILED", ptr(int32(2))
	d.want(exitOK, []string{"job", "9"}, "Array 9, 5 tasks", "exit code 2", "--array=10 ", "42.0 %")
	tasks := []efficiency.Report{analysed("9_1"), analysed("9_2")}
	s.array = ptr(efficiency.Summarise(tasks))
	d.want(exitOK, []string{"job", "9"}, "Array 9, 5 tasks", "2 of them are analysed", "--array=10 ", "Memory peak", "Worst tasks", "9_1 3.1 %", "Wasted CPU")
	if code := d.run("job", "9", "--json"); code != exitOK || len(jsonLines(t, d.out.Bytes())) != 5 {
		t.Errorf("exit code %d: %s", code, d.out.String())
	}
}

func TestAHetJobOfTheServersIsReportedTogether(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	var components []efficiency.Report
	for i, id := range []string{"9+0", "9+1"} {
		j := apiJob(id, "c1", api.DONE, "COMPLETED")
		j.ArrayJobId = ptr("9")
		s.jobs = append(s.jobs, j)
		r := analysed(id)
		r.Job.ParentID, r.Job.HetComponent = "9", &i
		components = append(components, r)
	}
	d.want(exitOK, []string{"job", "9"}, "Job 9+0", "Job 9+1", "Together: 2 jobs")
	for _, j := range s.jobs {
		s.reports[j.Id] = efficiency.HetTotal(components)
	}
	d.want(exitOK, []string{"job", "9"}, "Job 9+0", "Job 9+1", "Together: 2 jobs", "Wasted CPU", "Verdict")
	if code := d.run("job", "9", "--json"); code != exitOK || len(jsonLines(t, d.out.Bytes())) != 3 {
		t.Errorf("exit code %d: %s", code, d.out.String())
	}
}

func TestWithoutTheServerTheLocalSlurmAnswersAndSaysSo(t *testing.T) {
	t.Parallel()
	rows := []map[string]string{sacctRow("JobID=7", "JobIDRaw=7"), sacctRow("JobID=7.batch", "TotalCPU=01:30:00")}
	for name, prepare := range map[string]func(*desk){
		"not logged in":             func(*desk) {},
		"cannot reach":              func(d *desk) { d.login().Close() },
		"down for maintenance":      func(d *desk) { d.login().down = true },
		"the server knows no job 7": func(d *desk) { d.login() },
	} {
		d := newDesk(t)
		prepare(d)
		d.slurm(rows...)
		d.want(exitOK, []string{"job", "7"}, "75.0 %", "from the local sacct", name)
	}
	d := newDesk(t)
	d.want(exitNotLoggedIn, []string{"job", "7"}, "ergon login")
}

func TestAJobThatIsNotAnalysedYetIsReportedAllTheSame(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	s.jobs = []api.Job{apiJob("7", "c1", api.RUNNING, "RUNNING")}
	d.want(exitOK, []string{"job", "7"}, "Job 7", "not analysed", "try again")
	s.jobs[0].SubmitAt = time.Unix(1700000000, 0)
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7", "State=RUNNING", "End=Unknown"))
	d.command("sstat", "echo '7.batch|1||||||cpu=00:30:00,mem=1G|||'; echo\n")
	d.want(exitOK, []string{"job", "7"}, "RUNNING", "from the local sacct")
}

func TestAWaitingJobTellsWhyAndWhen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7", "State=PENDING", "Start=Unknown", "End=Unknown", "NodeList=None assigned", "ElapsedRaw=0"))
	fields := make([]string, len(slurmfmt.SqueueColumns()))
	for i, name := range slurmfmt.SqueueColumns() {
		fields[i] = map[string]string{"JobID": "7", "JobIDRaw": "7", "State": "PENDING", "Reason": "Resources", "User": "alice", "UID": "1000"}[name]
	}
	d.command("squeue", `for a; do case $a in --start) echo 1700053600; exit 0;; --format=*) f=${a#--format=%i};; esac; done
d=${f%%\%A*}
echo "`+strings.Join(fields, "¦")+`" | sed "s/¦/$d/g"
`)
	d.want(exitOK, []string{"job", "7"}, "next in line", "Slurm expects to start it in 1 h 00 min", "It asked for 2 CPUs, 4 GiB")
	d.want(exitOK, []string{"jobs"}, "PENDING (Resources)")
}

func TestAFailedJobShowsTheEndOfItsStderr(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := filepath.Join(t.TempDir(), "job.err")
	if err := os.WriteFile(file, []byte(strings.Repeat("early\n", 30)+"the \x1b[31mreason\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7", "State=FAILED", "ExitCode=3:0"))
	d.command("scontrol", "case \"$*\" in 'show config') echo 'ClusterName = c1';; *) echo 'JobId=7 JobName=x'; echo '   StdErr="+file+"';; esac\n")
	d.want(exitOK, []string{"job", "7"}, "FAILED", "exit code 3", "End of "+file, "the \ufffd[31mreason")
	if n := strings.Count(d.out.String(), "early"); n != 19 {
		t.Errorf("%d lines before the last, want 19", n)
	}
}

func TestJobsFormats(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	s.jobs = []api.Job{apiJob("11", "c1", api.DONE, "COMPLETED"), apiJob("12", "c2", api.PENDING, "PENDING"), apiJob("13", "c1", api.FAILED, "TIMEOUT")}
	s.jobs[1].Reason = ptr("Priority")
	d.want(exitOK, []string{"jobs"}, "JOB", "11", "42.0 %", "PENDING (Priority)", "TIMEOUT")
	d.want(exitOK, []string{"jobs", "--state", "failed"}, "13")
	if strings.Contains(d.out.String(), "11  ") {
		t.Error("--state is ignored")
	}
	d.want(exitOK, []string{"jobs", "--cluster", "c9"}, "No such jobs since 7d")
	d.want(exitOK, []string{"jobs", "-o", "csv"}, "id,job_id,cluster", ",42,")
	if code := d.run("jobs", "--json"); code != exitOK || strings.Count(d.out.String(), "\n") != 3 || !strings.Contains(d.out.String(), `"job_id":"13"`) {
		t.Errorf("exit code %d: %s", code, d.out.String())
	}
	d.want(exitUsage, []string{"jobs", "--state", "ODD"}, "PENDING, RUNNING, DONE or FAILED")
	for _, since := range []string{"", "30", "d", "-1d", "999d", "2099-01-01", "1y"} {
		d.want(exitUsage, []string{"jobs", "--since", since}, "30d, 12h, 2w")
	}
}

func TestWatchEndsWithTheJobsOwnCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		job  func(*api.Job)
		want int
	}{
		{func(*api.Job) {}, 0},
		{func(j *api.Job) { j.State, j.SlurmState, j.ExitCode = api.FAILED, "FAILED", ptr(int32(7)) }, 7},
		{func(j *api.Job) { j.State, j.SlurmState, j.ExitSignal = api.FAILED, "FAILED", ptr(int32(11)) }, 139},
		{func(j *api.Job) { j.State, j.SlurmState, j.ExitSignal = api.FAILED, "OUT_OF_MEMORY", ptr(int32(125)) }, 1},
		{func(j *api.Job) { j.State, j.SlurmState = api.FAILED, "TIMEOUT" }, 1},
	} {
		d := newDesk(t)
		s := d.login()
		j := apiJob("11", "c1", api.DONE, "COMPLETED")
		c.job(&j)
		s.jobs = []api.Job{j}
		d.want(c.want, []string{"watch", "11"}, "job 11  "+j.SlurmState)
	}
}

func TestWatchWaitsForTheOutputs(t *testing.T) {
	t.Parallel()
	w := &watcher{app: &app{Now: func() time.Time { return now }}}
	ended := efficiency.Job{State: "DONE"}
	for phase, want := range map[api.UploadPhase]bool{
		api.UploadPhaseWaiting: false, api.UploadPhaseCollecting: false, api.UploadPhaseUploading: false, api.UploadPhaseVerified: true, api.UploadPhaseBlocked: true, "": true,
	} {
		if got := w.done(sight{job: ended, phase: phase}); got != want {
			t.Errorf("done in phase %q: %v", phase, got)
		}
	}
	if w.done(sight{job: ended, tagged: true}) {
		t.Error("the agent got no time to begin with the outputs")
	}
	w.ended = now.Add(-time.Minute)
	if !w.done(sight{job: ended, tagged: true}) || w.done(sight{job: efficiency.Job{State: "RUNNING"}}) {
		t.Error("a job without outputs never ends, or a running one does")
	}
}

func TestReportIsATableOrAPage(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7", "JobName=<script>alert(1)</script>"), sacctRow("JobID=7.batch", "TotalCPU=01:30:00"))
	d.want(exitOK, []string{"report", "--since", "30d"}, "JOB ", "75.0 %", "Together: 1 job, 1 started")
	file := filepath.Join(t.TempDir(), "r.html")
	d.want(exitOK, []string{"report", "--html", file}, "1 jobs are in")
	data, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(data), "<script") || !strings.Contains(string(data), "&lt;script") || !strings.Contains(string(data), "<svg") {
		t.Errorf("no page, no plot, or a script: %v", err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others may read the page: %v, %v", st.Mode(), err)
	}
	d.want(exitFailed, []string{"report", "--html", "/nonexistent/x.html"}, "no such file or directory")
}

func TestExitCodesAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, word := range map[string]string{"0": "done", "1": "failed", "2": "arguments", "3": "logged in", "4": "reached", "5": "exist", "130": "Ctrl-C"} {
		found := false
		for line := range strings.Lines(string(table)) {
			found = found || strings.HasPrefix(line, "| "+code+" |") && strings.Contains(line, word)
		}
		if !found {
			t.Errorf("docs/cli.md has no row for exit code %s (%s)", code, word)
		}
	}
	if exitCode(statusError{errors.New("x"), 42}) != 42 || exitCode(nil) != 0 {
		t.Error("a status is lost")
	}
}
