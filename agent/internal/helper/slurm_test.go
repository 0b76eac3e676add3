package helper

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// question asks a helper in this process.
func question(t *testing.T, q Question) (slurm.Table, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Serve(context.Background(), theirs, func(outputs.JobFiles) error { t.Error("a question needs no job"); return nil })
	}()
	got, err := AskSlurm(t.Context(), ours, q)
	if served := <-done; served != nil {
		t.Errorf("serving: %v", served)
	}
	return got, err
}

// rootsBin is a fake Slurm that counts as root's: only root can make one.
func rootsBin(t *testing.T) *slurmtest.Fake {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("programs that belong to root are needed, so this runs as root only")
	}
	return slurmtest.New(t)
}

func ask1(fake *slurmtest.Fake, kind string) Question {
	return Question{Kind: kind, BinDir: fake.Dir, User: "alice", IDs: []string{"7"}, From: time.Unix(1000, 0), To: time.Unix(1600, 0), Timeout: 10 * time.Second}
}

func TestAHelperAsksSlurmAndGivesTheRowsAsTheyAre(t *testing.T) {
	t.Parallel()
	fake := rootsBin(t)
	row := slurmtest.Row{"JobID": "7", "JobIDRaw": "7", "User": "alice", "State": "RUNNING", "JobName": "näme|x"}
	fake.Answer("squeue", slurmtest.Squeue(row))
	fake.Answer("sacct", slurmtest.Sacct(row))
	for kind, want := range map[string]string{AskQueue: "--user=alice", AskByID: "--jobs=7", AskWindow: "--user=alice"} {
		got, err := question(t, ask1(fake, kind))
		if err != nil || len(got.Rows) != 1 || got.Rows[0].Get("JobName") != "näme|x" || got.Rows[0].Get("State") != "RUNNING" {
			t.Fatalf("%s: %+v, %v", kind, got, err)
		}
		command := "sacct"
		if kind == AskQueue {
			command = "squeue"
		}
		if calls := fake.Calls(command); !strings.Contains(calls[len(calls)-1], want) {
			t.Errorf("%s called with %q", kind, calls)
		}
	}
}

func TestAHelperAsksSstatWhereItIsRoots(t *testing.T) {
	t.Parallel()
	fake := rootsBin(t)
	if _, err := question(t, ask1(fake, AskSstat)); err == nil {
		t.Fatal("a program that is not there was asked")
	}
	fake.Replace("sstat", "#!/bin/sh\necho \"$*\" >> "+fake.Dir+"/sstat.args\necho '7.batch|1|00:00:05|1024|n1|1024|cpu=00:00:05,mem=1024|||fs/disk=1|0'\n")
	q := ask1(fake, AskSstat)
	q.IDs = []string{"7", "8"}
	got, err := question(t, q)
	if err != nil || len(got.Rows) != 1 || got.Rows[0].Get("TRESUsageInTot") != "cpu=00:00:05,mem=1024" {
		t.Fatalf("%+v, %v", got, err)
	}
	if calls := fake.Calls("sstat"); !strings.HasSuffix(calls[0], "--jobs=7,8") {
		t.Errorf("called with %q", calls)
	}
	change(t, os.Chmod(filepath.Join(fake.Dir, "sstat"), 0o777))
	if _, err := question(t, q); err == nil {
		t.Error("a program that all may write was run as a user")
	}
}

func TestWhatSlurmDoesNotAnswerIsTheSameErrorThroughAHelper(t *testing.T) {
	t.Parallel()
	fake := rootsBin(t)
	fake.Answer("squeue", "")
	fake.Fail("squeue", 1, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
	_, err := question(t, ask1(fake, AskQueue))
	var e *slurm.CommandError
	if !errors.As(err, &e) || e.Fault != slurmfmt.FaultControllerDown || e.Exit != 1 || e.Command != "squeue" {
		t.Fatalf("got %#v", err)
	}
}

func TestProgramsThatOthersCanChangeAreNotRunAsAUser(t *testing.T) {
	t.Parallel()
	harm := map[string]func(t *testing.T, dir string, q *Question){
		"a program that all may write":   func(t *testing.T, dir string, _ *Question) { change(t, os.Chmod(filepath.Join(dir, "sacct"), 0o777)) },
		"a directory that all may write": func(t *testing.T, dir string, _ *Question) { change(t, os.Chmod(dir, 0o777)) },
		"another owner": func(t *testing.T, dir string, _ *Question) {
			change(t, os.Chown(filepath.Join(dir, "squeue"), 65534, 0))
		},
		"a relative directory": func(_ *testing.T, _ string, q *Question) { q.BinDir = "bin" },
		"a link to another's program": func(t *testing.T, dir string, _ *Question) {
			theirs := filepath.Join(t.TempDir(), "squeue")
			change(t, os.WriteFile(theirs, []byte("#!/bin/sh\n"), 0o755))
			change(t, os.Chown(theirs, 65534, 0))
			change(t, os.Remove(filepath.Join(dir, "squeue")))
			change(t, os.Symlink(theirs, filepath.Join(dir, "squeue")))
		},
		"a configuration that another owns": func(t *testing.T, _ string, q *Question) {
			q.Conf = filepath.Join(t.TempDir(), "slurm.conf")
			change(t, os.WriteFile(q.Conf, nil, 0o644))
			change(t, os.Chown(q.Conf, 65534, 0))
		},
		"a configuration that is not there": func(t *testing.T, _ string, q *Question) { q.Conf = filepath.Join(t.TempDir(), "none") },
	}
	for name, h := range harm {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := rootsBin(t)
			fake.Answer("squeue", "")
			q := ask1(fake, AskQueue)
			h(t, fake.Dir, &q)
			if _, err := question(t, q); err == nil {
				t.Fatal("it was run")
			}
			if calls := fake.Calls("squeue"); len(calls) != 0 {
				t.Errorf("called with %q", calls)
			}
		})
	}
}

func change(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAHelperKnowsThreeQuestionsOnly(t *testing.T) {
	t.Parallel()
	if _, err := question(t, ask1(rootsBin(t), "scancel")); err == nil || !strings.Contains(err.Error(), "unknown question") {
		t.Fatalf("got %v", err)
	}
}

func TestRowsOfAHostileHelperAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := (table{Columns: []string{"JobID", "User"}, Rows: [][]string{{"7"}}}).domain(); err == nil {
		t.Error("a row with missing columns was taken")
	}
}
