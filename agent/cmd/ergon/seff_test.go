package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSeffReportsWhatIsKnownAndNamesWhatIsNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7", "JobName=solve\x1b[31m"), sacctRow("JobID=7.batch", "JobIDRaw=7.batch", "TotalCPU=01:30:00", "TRESUsageInTot=cpu=01:30:00,mem=3G"))
	d.want(exitOK, []string{"seff", "7"}, "Job 7 (solve", "75.0 %", "at most 3 GiB")
	d.want(exitOK, []string{"seff", "7.0"}, "Job 7")
	d.want(exitNotFound, []string{"seff", "8"}, "sacct knows no job 8", "check the id")
	d.want(exitNotFound, []string{"seff", "7", "8", "9_1"}, "Job 7", "no jobs 8, 9_1")
	d.want(exitUsage, []string{"seff", "seven"}, `"seven" is no Slurm job id`, "123_4")
	d.want(exitUsage, []string{"seff"}, "give a job id")
	if code := d.run("seff", "7", "-o", "json"); code != exitOK || len(jsonLines(t, d.out.Bytes())) != 1 || !strings.HasPrefix(d.out.String(), `{"id":"7"`) {
		t.Errorf("exit code %d:\n%s", code, d.out.String())
	}
}

func TestSeffOfAnArrayIsOnePage(t *testing.T) {
	d := newDesk(t)
	var rows []map[string]string
	for i := range 5000 {
		state, exit := "State=COMPLETED", "ExitCode=0:0"
		switch {
		case i%1000 == 7:
			state, exit = "State=FAILED", "ExitCode=3:0"
		case i == 4242:
			state, exit = "State=OUT_OF_MEMORY", "ExitCode=0:125"
		}
		id := fmt.Sprintf("9_%d", i)
		rows = append(rows, sacctRow("JobID="+id, fmt.Sprintf("JobIDRaw=%d", 100+i), state, exit),
			sacctRow("JobID="+id+".batch", fmt.Sprintf("JobIDRaw=%d.batch", 100+i), "TotalCPU=01:00:00", "TRESUsageInTot=cpu=01:00:00,mem=1G"))
	}
	d.slurm(rows...)
	start := cpuTime(t)
	d.want(exitOK, []string{"seff", "9"}, "Array 9, 5000 tasks", "4994 COMPLETED", "5 tasks: exit code 3", "--array=7,1007,2007,3007,4007 ", "out of memory", "--array=4242 ", "Worst tasks")
	t.Logf("5000 tasks took %s of CPU (wanted: under 2 s without the race detector)", cpuTime(t)-start)
	if lines := strings.Count(d.out.String(), "\n"); lines > 40 {
		t.Errorf("%d lines are no page", lines)
	}
	if code := d.run("seff", "9", "--json"); code != exitOK || len(jsonLines(t, d.out.Bytes())) != 5000 {
		t.Errorf("exit code %d", code)
	}
}

func TestAHetJobIsReportedByComponentAndTogether(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.slurm(sacctRow("JobID=5+0", "JobIDRaw=5"), sacctRow("JobID=5+0.batch", "TotalCPU=01:00:00"), sacctRow("JobID=5+1", "JobIDRaw=6"), sacctRow("JobID=5+1.0", "TotalCPU=02:00:00"))
	d.want(exitOK, []string{"seff", "5"}, "Job 5+0", "50.0 %", "Job 5+1", "100.0 %", "Together: 2 jobs", "75.0 %", "COMPLETED, 2 components: used 75 % of its CPUs")
	if d.run("seff", "5", "-o", "json"); true {
		objects := jsonLines(t, d.out.Bytes())
		if len(objects) != 3 || objects[2].ID != "5" || len(objects[2].Attempts) != 2 {
			t.Errorf("the whole is the last object:\n%s", d.out.String())
		}
	}
	if d.run("seff", "5", "-o", "csv"); strings.Count(d.out.String(), "\n") != 3 {
		t.Errorf("a row for each component, so that columns add up:\n%s", d.out.String())
	}
	d.want(exitOK, []string{"seff", "5+1"}, "Job 5+1")
}

func TestAnOutageOfSlurmIsToldInPlainWords(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string]string{
		"sacct: error: Problem talking to the database: Connection refused": "accounting database (slurmdbd) does not answer",
		"sacct: error: Unable to contact slurm controller":                  "slurmctld) does not answer",
		"sacct: error: Socket timed out on send/recv operation":             "too busy",
	} {
		d := newDesk(t)
		d.slurm()
		d.command("sacct", "echo '"+stderr+"' >&2; exit 1\n")
		d.want(exitUnreachable, []string{"seff", "7"}, want)
		d.want(exitUnreachable, []string{}, want)
	}
	d := newDesk(t)
	d.want(exitFailed, []string{"seff", "7"}, "no sacct was found", "ergon explain FILE")
}

func TestErgonAloneIsAnOverviewOrTheFirstSteps(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(exitOK, nil, "ergon seff JOBID", "ergon login", "no sacct on PATH")
	d.slurm()
	d.want(exitOK, nil, "No jobs in the last 30 days", "ergon sbatch job.sh")
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7", "JobName=a"), sacctRow("JobID=7.batch", "TotalCPU=00:30:00"), sacctRow("JobID=8", "JobIDRaw=8", "JobName=b", "State=FAILED", "ExitCode=1:0"), sacctRow("JobID=8.batch", "TotalCPU=02:00:00"))
	d.want(exitOK, nil, "Your last 30 days: 2 jobs, 1 failed", "from the local sacct", "ergon seff ")
}

func TestSlurmSeesNothingOfOursInItsEnvironment(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.slurm(sacctRow("JobID=7", "JobIDRaw=7"))
	d.env["ERGON_TOKEN"], d.env["SLURM_CONF"] = "sekret", "/etc/x"
	d.command("sacct", "env >&2; exit 1\n")
	d.run("seff", "7")
	if text := d.err.String(); strings.Contains(text, "sekret") || !strings.Contains(text, "SLURM_CONF=/etc/x") || !strings.Contains(text, "TZ=UTC") {
		t.Errorf("the environment is %s", text)
	}
}

// cpuTime is what this process has used so far: wall time would measure who else uses the machine.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
