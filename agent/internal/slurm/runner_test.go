package slurm_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func runner(t *testing.T, f *slurmtest.Fake, change func(*slurm.Options)) *slurm.Runner {
	t.Helper()
	opt := slurm.Options{
		BinDir: f.Dir, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler), Now: time.Now, Rand: rand.Reader,
		Env: append(os.Environ(), "SQUEUE_FORMAT=evil", "TZ=America/New_York", "SACCT_FORMAT=x", "SLURM_TIME_FORMAT=relative"),
	}
	if change != nil {
		change(&opt)
	}
	r, err := slurm.NewRunner(opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestQueueReadsRowsWithHostileNames(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Answer("squeue", slurmtest.Squeue(
		slurmtest.Row{"JobID": "7_1", "JobIDRaw": "8", "UID": "1000", "User": "alice", "State": "RUNNING", "Submit": "1700000000", "JobName": "a|b 'c'", "Comment": "ergon1:x|own"},
		slurmtest.Row{"JobID": "9", "JobIDRaw": "9", "UID": "1001", "User": "bob", "State": "PENDING", "Submit": "1700000001", "JobName": "x"},
	))
	table, err := runner(t, f, nil).Queue(t.Context(), "")
	if err != nil || len(table.Rows) != 2 || table.Rows[0].Get("JobName") != "a|b 'c'" || table.Rows[0].Get("Comment") != "ergon1:x|own" {
		t.Fatalf("got %+v, %v", table, err)
	}
}

func TestOnlyTheStartOfAnUnreadableRowIsKept(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Answer("squeue", "slurm: "+strings.Repeat("x", 5000)+" --token=sekret\n"+slurmtest.Squeue(
		slurmtest.Row{"JobID": "9", "JobIDRaw": "9", "UID": "1001", "User": "bob", "State": "PENDING", "Submit": "1700000001", "JobName": "x"},
	))
	table, err := runner(t, f, nil).Queue(t.Context(), "")
	if err != nil || len(table.Rows) != 1 || table.Bad != 1 || len(table.BadText) != 1 {
		t.Fatalf("%d rows, %d bad, %d texts, %v", len(table.Rows), table.Bad, len(table.BadText), err)
	}
	if text := table.BadText[0]; !strings.Contains(text, "slurm: x") || len(text) > 300 || strings.Contains(text, "sekret") {
		t.Errorf("%d bytes are kept: %s", len(text), text)
	}
}

func TestSlurmSeesACleanEnvironment(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	if _, err := runner(t, f, nil).Queue(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	env := f.Env("squeue")
	for _, bad := range []string{"SQUEUE_FORMAT", "SACCT_FORMAT", "America"} {
		if strings.Contains(env, bad) {
			t.Errorf("the environment holds %s", bad)
		}
	}
	if !strings.Contains(env, "SLURM_TIME_FORMAT=%s") || !strings.Contains(env, "TZ=UTC") {
		t.Error("times would be local")
	}
	if call := f.Calls("squeue"); len(call) != 1 || !strings.Contains(call[0], "--user=alice") {
		t.Errorf("called with %q", call)
	}
}

func TestFailuresAreUnknownAndClassified(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		command, stderr string
		want            slurmfmt.Fault
	}{
		"controller down": {"squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", slurmfmt.FaultControllerDown},
		"silent":          {"squeue", "", slurmfmt.FaultOther},
		"timeout":         {"squeue", "Socket timed out on send/recv operation", slurmfmt.FaultTimeout},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := slurmtest.New(t)
			f.Answer(c.command, slurmtest.Squeue(slurmtest.Row{"JobID": "1"}))
			f.Fail(c.command, 1, c.stderr)
			table, err := runner(t, f, nil).Queue(t.Context(), "")
			if slurm.FaultOf(err) != c.want || len(table.Rows) != 0 {
				t.Fatalf("got %v, %d rows", err, len(table.Rows))
			}
		})
	}
}

func TestAMissingCommandAndAHungOneAreErrorsInTime(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Slow("sacct", "30")
	r := runner(t, f, func(o *slurm.Options) { o.Timeout = 200 * time.Millisecond })
	started := time.Now()
	_, err := r.ByID(t.Context(), []string{"1"})
	if slurm.FaultOf(err) != slurmfmt.FaultTimeout || time.Since(started) > 5*time.Second {
		t.Fatalf("got %v after %s", err, time.Since(started))
	}
	if err := os.Remove(f.Dir + "/squeue"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Queue(t.Context(), ""); slurm.FaultOf(err) != slurmfmt.FaultOther {
		t.Fatalf("got %v", err)
	}
}

func TestLimitsOfOneCallAreKept(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	r := runner(t, f, nil)
	if _, err := r.ByID(t.Context(), make([]string, slurm.MaxIDs+1)); err == nil {
		t.Error("101 ids were asked for")
	}
	now := time.Now()
	if _, err := r.Window(t.Context(), now.Add(-2*time.Hour), now, ""); err == nil {
		t.Error("a window of two hours was asked for")
	}
	if n := len(f.Calls("sacct")); n != 0 {
		t.Errorf("sacct was called %d times", n)
	}
}

func TestCeilingHoldsBackTheThirdCallOfAMinute(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	r := runner(t, f, func(o *slurm.Options) { o.PerMinute = map[string]float64{"squeue": 2} })
	for range 2 {
		if _, err := r.Queue(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Queue(ctx, ""); err == nil {
		t.Fatal("the third call was not held back")
	}
	if n := len(f.Calls("squeue")); n != 2 {
		t.Fatalf("squeue was called %d times", n)
	}
}

func TestJobPathsFindTheRightTask(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Answer("scontrol", "JobId=8 ArrayJobId=7 ArrayTaskId=1 JobName=x\n   WorkDir=/home/a b\n   StdErr=/home/a b/e=1\n   StdOut=/home/a b/o\n\n"+
		"JobId=9 ArrayJobId=7 ArrayTaskId=2 JobName=x\n   WorkDir=/w\n   StdErr=/w/e\n   StdOut=/w/o\n")
	id, err := slurmfmt.ParseJobID("7_2")
	if err != nil {
		t.Fatal(err)
	}
	r := runner(t, f, nil)
	got, err := r.JobPaths(t.Context(), id)
	if err != nil || got != (slurm.Paths{WorkDir: "/w", Stdout: "/w/o", Stderr: "/w/e"}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	missing, _ := slurmfmt.ParseJobID("7_3")
	if _, err := r.JobPaths(t.Context(), missing); slurm.FaultOf(err) != slurmfmt.FaultInvalidJob {
		t.Fatalf("got %v", err)
	}
}

func TestAdminLevelIsReadForExactlyThatUser(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Answer("sacctmgr", "ergon2|Administrator\nergon|Operator\n")
	if got, err := runner(t, f, nil).AdminLevel(t.Context(), "ergon"); err != nil || got != "Operator" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestARelativeDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := slurm.NewRunner(slurm.Options{BinDir: "bin"}); err == nil {
		t.Fatal("a relative directory was taken")
	}
}

func TestErrorsSayWhatFailed(t *testing.T) {
	t.Parallel()
	err := error(&slurm.CommandError{Command: "sacct", Fault: slurmfmt.FaultDatabaseDown, Exit: 1, Stderr: " refused\n"})
	if got := err.Error(); got != "sacct failed (database_down, exit 1): refused" {
		t.Fatalf("got %q", got)
	}
	if slurm.FaultOf(errors.New("x")) != slurmfmt.FaultOther || slurm.FaultOf(nil) != slurmfmt.FaultNone {
		t.Fatal("faults of other errors")
	}
}

func TestThrottleRecoversWithTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slurm.CheckThrottle(t)
	})
}
