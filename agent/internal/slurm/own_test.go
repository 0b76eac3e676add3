package slurm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func TestHistoryIsOneUsersAndBounded(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Answer("sacct", slurmtest.Sacct(slurmtest.Row{"JobID": "7", "State": "COMPLETED"}))
	r := runner(t, f, nil)
	from := time.Unix(1700000000, 0)
	table, err := r.History(t.Context(), from, from.AddDate(0, 0, 30), "1000")
	if err != nil || len(table.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(table.Rows), err)
	}
	calls := f.Calls("sacct")
	if len(calls) != 1 || !strings.Contains(calls[0], "--user=1000") || !strings.Contains(calls[0], "--starttime=2023-11-14T22:13:20") || strings.Contains(calls[0], "--allusers") {
		t.Errorf("called with %q", calls)
	}
	for user, days := range map[string]int{"": 30, "alice,bob": 30, "alice": 500} {
		if _, err := r.History(t.Context(), from, from.AddDate(0, 0, days), user); err == nil {
			t.Errorf("%q, %d days: allowed", user, days)
		}
	}
	if len(f.Calls("sacct")) != 1 {
		t.Error("a refused question reached sacct")
	}
}

func TestSstatTellsARefusalFromNothing(t *testing.T) {
	t.Parallel()
	id, err := slurmfmt.ParseJobID("7_2.batch")
	if err != nil {
		t.Fatal(err)
	}
	f := slurmtest.New(t)
	f.Replace("sstat", "#!/bin/sh\necho \"$@\" > "+f.Dir+"/sstat.args\necho '7_2.batch|1|00:00:05|1024|n1|1024|cpu=00:00:05,mem=1024|||fs/disk=1|0'\n")
	r := runner(t, f, nil)
	table, err := r.Sstat(t.Context(), id)
	if err != nil || len(table.Rows) != 1 || table.Rows[0].Get("TRESUsageInTot") != "cpu=00:00:05,mem=1024" {
		t.Fatalf("%+v, %v", table, err)
	}
	if calls := f.Calls("sstat"); !strings.HasSuffix(calls[0], "--jobs=7_2") {
		t.Errorf("called with %q", calls)
	}
	if _, err := r.SstatAll(t.Context(), []string{"7", "8"}); err != nil || !strings.HasSuffix(f.Calls("sstat")[0], "--jobs=7,8") {
		t.Errorf("called with %q, %v", f.Calls("sstat"), err)
	}
	if _, err := r.SstatAll(t.Context(), make([]string, slurm.MaxIDs+1)); err == nil {
		t.Error("asked for more than it may")
	}
	for stderr, want := range map[string]slurmfmt.Fault{"Invalid user id": slurmfmt.FaultDenied, "sstat: error: no steps running for job 7": slurmfmt.FaultNotRunning} {
		f.Replace("sstat", "#!/bin/sh\necho '"+stderr+"' >&2\n")
		if _, err := r.Sstat(t.Context(), id); slurm.FaultOf(err) != want {
			t.Errorf("%q with exit code 0 is %v, want %s", stderr, err, want)
		}
	}
}

func TestStartEstimateIsKnownOrNot(t *testing.T) {
	t.Parallel()
	id, err := slurmfmt.ParseJobID("7")
	if err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]int64{"1700000000\n": 1700000000, "N/A\n": 0, "": 0, "1700000000\n1700009999\n": 1700000000} {
		f := slurmtest.New(t)
		f.Answer("squeue", out)
		at, known, err := runner(t, f, nil).StartEstimate(t.Context(), id)
		if err != nil || known != (want != 0) || known && at.Unix() != want {
			t.Errorf("%q: %v, known %v, %v", out, at, known, err)
		}
	}
}
