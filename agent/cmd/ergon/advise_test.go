package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// worked gives a user whose three clean jobs fit_1 to fit_3 took 3 of 32 GiB, one of 8 CPUs and an hour of a day.
func worked(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	var rows []map[string]string
	add := func(id int, name string, more ...string) {
		job := []string{
			fmt.Sprintf("JobID=%d", id), fmt.Sprintf("JobIDRaw=%d", id), "JobName=" + name, "AllocCPUS=8", "ReqCPUS=8", "TimelimitRaw=1440",
			"AllocTRES=billing=8,cpu=8,mem=32G,node=1",
		}
		step := []string{fmt.Sprintf("JobID=%d.batch", id), fmt.Sprintf("JobIDRaw=%d.batch", id), "NTasks=1", "TotalCPU=00:54:00", "TRESUsageInTot=cpu=00:54:00,mem=3G"}
		rows = append(rows, sacctRow(append(job, more...)...), sacctRow(append(step, more...)...))
	}
	add(1, "fit_1")
	add(2, "fit_2")
	add(3, "fit_3")
	add(4, "fit_4", "State=FAILED", "ExitCode=1:0")
	add(5, "other")
	d.slurm(rows...)
	return d
}

const batch = "#!/bin/sh\n#SBATCH --job-name=fit_9\n#SBATCH -c 8 --mem=32G\n#SBATCH --time=1-00:00:00\nsrun ./fit\n"

func writeScript(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.sh")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAdviseShowsADiffAndWritesItOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	d := worked(t)
	path := writeScript(t, batch, 0o750)
	d.want(exitOK, []string{"advise", path}, "4 earlier runs", "-#SBATCH -c 8 --mem=32G", "+#SBATCH --cpus-per-task=2 --mem=4608M", "+#SBATCH --time=1:40:00", "1 not completed", "risk:")
	if got, _ := os.ReadFile(path); string(got) != batch {
		t.Fatal("the script was changed without --write")
	}
	d.want(exitOK, []string{"advise", path, "--write"}, "written:")
	got, err := os.ReadFile(path)
	want := "#!/bin/sh\n#SBATCH --job-name=fit_9\n#SBATCH --cpus-per-task=2 --mem=4608M\n#SBATCH --time=1:40:00\nsrun ./fit\n"
	if err != nil || string(got) != want {
		t.Errorf("%q", got)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAdviseAboutAJob(t *testing.T) {
	t.Parallel()
	d := worked(t)
	d.want(exitOK, []string{"advise", "2"}, "#SBATCH --mem=4608M", "saves 27.5 GiB hours of memory a run", "no advice (shape_unknown)")
	d.want(exitOK, []string{"advise", "5"}, "no advice (too_few_runs)")
	d.want(exitNotFound, []string{"advise", "77"}, "sacct knows no job 77")
	d.want(exitUsage, []string{"advise", "nothing.sh"}, "neither a job id nor a file")
	d.want(exitUsage, []string{"advise", "2", "--write"}, "needs the script")
	d.want(exitUsage, []string{"advise", "2", "-o", "xml"}, "only text and json")
	d.want(exitUsage, []string{"advise", "2", "--since", "long"}, "--since")
	if code := d.run("advise", "2", "-o", "json"); code != exitOK {
		t.Fatal(d.err.String())
	}
	var out advised
	if err := json.Unmarshal(d.out.Bytes(), &out); err != nil || len(out.Items) != 3 || out.Items[0].Directive != "--mem=4608M" {
		t.Errorf("%v %s", err, d.out.String())
	}
}

func TestAScriptThatChangedMeanwhileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	path := writeScript(t, batch, 0o600)
	s, err := openScript(path)
	if err != nil {
		t.Fatal(err)
	}
	s.changed = "lost"
	if err := os.WriteFile(path, []byte(batch+"# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.write(); err == nil || !strings.Contains(err.Error(), "nothing was written") {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); string(got) != batch+"# mine\n" {
		t.Errorf("%q", got)
	}
}

func TestScriptsThatAreNotWritten(t *testing.T) {
	t.Parallel()
	d := worked(t)
	het := writeScript(t, "#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2\n", 0o600)
	d.want(exitFailed, []string{"advise", het}, "heterogeneous")
	d.want(exitFailed, []string{"advise", t.TempDir()}, "no regular file")
	path := writeScript(t, batch, 0o600)
	if err := os.Link(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	d.want(exitFailed, []string{"advise", path, "--write"}, "hard links")
	link := filepath.Join(t.TempDir(), "link.sh")
	target := writeScript(t, batch, 0o600)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	d.want(exitOK, []string{"advise", link, "--write"}, "written:")
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Error("the symbolic link was replaced")
	}
	if got, _ := os.ReadFile(target); !strings.Contains(string(got), "--mem=4608M") {
		t.Errorf("%q", got)
	}
}

func TestFindingsAddUpOverAWindow(t *testing.T) {
	t.Parallel()
	d := worked(t)
	d.want(exitOK, []string{"findings"}, "5 jobs since 30d, 5 of them started", "memory_over_requested in 4 jobs", "serial_on_many_cores", "core hours", "worst:")
	if code := d.run("findings", "--since", "7d", "-o", "json"); code != exitOK {
		t.Fatal(d.err.String())
	}
	var out windowFindings
	if err := json.Unmarshal(d.out.Bytes(), &out); err != nil || out.Jobs != 5 || len(out.Findings) == 0 || len(out.Findings[0].Worst) == 0 {
		t.Errorf("%v %s", err, d.out.String())
	}
	d.want(exitUsage, []string{"findings", "--since", "ever"}, "--since")
	d.want(exitUsage, []string{"findings", "-o", "csv"}, "only text and json")
	newDesk(t).want(exitFailed, []string{"findings"}, "no sacct was found")
}

func TestAdviseForTheArgumentsThatAScriptIsGoingToGet(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var rows []map[string]string
	for i, size := range []int{10, 20, 30, 40, 60, 80} {
		id := fmt.Sprint(i + 1)
		rows = append(rows, sacctRow("JobID="+id, "JobIDRaw="+id, "JobName=fit_"+id, "AllocCPUS=8", "ReqCPUS=8", "TimelimitRaw=1440",
			"AllocTRES=billing=8,cpu=8,mem=32G,node=1", fmt.Sprintf("SubmitLine=sbatch fit.sh --size %d", size)))
		rows = append(rows, sacctRow("JobID="+id+".batch", "JobIDRaw="+id+".batch", "NTasks=1", "TotalCPU=00:54:00",
			fmt.Sprintf("TRESUsageInTot=cpu=00:54:00,mem=%dM", 100*size)))
	}
	d.slurm(rows...)
	path := writeScript(t, batch, 0o750)
	d.want(exitOK, []string{"advise", path, "--", "--size", "50"}, "6 earlier runs", "script not known; same arguments", "follows number 1 of the arguments (50)", "--mem=6656M")
	d.want(exitOK, []string{"advise", path}, "script not known; arguments not known", "no advice (spread)")
	d.want(exitOK, []string{"advise", path, "--", "--size", "200"}, "no advice (outside)")
	d.want(exitOK, []string{"advise", path, "--", "--other", "50"}, "0 earlier runs")
	d.want(exitUsage, []string{"advise", "2", "--", "5"}, "arguments belong to a script")
}
