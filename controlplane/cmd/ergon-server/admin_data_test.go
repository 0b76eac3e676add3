package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// adminRun runs one command on a data directory and gives back its two outputs.
func adminRun(t *testing.T, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot(process{
		args: append([]string{"admin"}, args...), environ: []string{"HOME=/", "ERGON_LOG_LEVEL=error"}, stdin: strings.NewReader(stdin),
		stdout: &out, stderr: &errs, executable: os.Executable,
	})
	if err := root.ExecuteContext(context.Background()); err != nil {
		t.Fatalf("admin %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String()
}

const history = "JobID|JobName|User|UID|Account|Submit|Start|End|ExitCode|AllocCPUS|NNodes|NodeList|State\n" +
	"1|a|alice|1|phys|2024-03-31T00:00:00|2024-03-31T00:30:00|2024-03-31T04:30:00|0:0|10|2|n[1-2]|COMPLETED\n" +
	"1.batch|batch|||phys|2024-03-31T00:30:00|2024-03-31T00:30:00|2024-03-31T04:30:00|0:0|5|1|n1|COMPLETED\n" +
	"nonsense|a|alice|1|phys|2024-03-31T00:00:00|2024-03-31T00:30:00|2024-03-31T04:30:00|0:0|10|2|n1|COMPLETED\n" +
	"2_1|b|bob|2|chem|2024-04-01T00:00:00|2024-04-01T00:00:00|2024-04-01T00:30:00|1:0|4|1|n3|FAILED\n" +
	"2_2|b|bob|2|chem|2024-04-01T00:00:00|Unknown|2024-04-01T00:30:00|0:0|0|1|None assigned|CANCELLED by 2\n"

func TestImportThenUsageOnTheDataDirectoryAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var first, second imported
	out, stderr := adminRun(t, history, "import", "sacct", "--data-dir", dir, "--cluster", "old", "--timezone", "Europe/Berlin", "-o", "json", "-")
	if err := json.Unmarshal([]byte(out), &first); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if first.Rows != 5 || first.Stored != 4 || first.Rejected != 1 || first.Analysed != 2 || fmt.Sprint(first.Clusters) != "[old]" {
		t.Errorf("first import: %+v", first)
	}
	if !strings.Contains(stderr, ":4: ") {
		t.Errorf("the bad line is not named: %q", stderr)
	}
	kept, err := os.ReadFile(first.RejectFile)
	if err != nil || !strings.Contains(string(kept), ":4\t") || !strings.Contains(string(kept), "nonsense|a|alice") {
		t.Errorf("reject file: %q %v", kept, err)
	}
	out, _ = adminRun(t, history, "import", "sacct", "--data-dir", dir, "--cluster", "old", "--timezone", "Europe/Berlin", "-o", "json", "-")
	if err := json.Unmarshal([]byte(out), &second); err != nil || second.Stored != 0 || second.Unchanged != 4 || second.Analysed != 0 {
		t.Errorf("second import: %+v %v", second, err)
	}
	adminRun(t, strings.ReplaceAll(history, "nonsense", "rubbish"), "import", "sacct", "--data-dir", dir, "--cluster", "old", "--timezone", "Europe/Berlin", "-")
	kept, err = os.ReadFile(first.RejectFile)
	if err != nil || !strings.Contains(string(kept), "nonsense|a|alice") || !strings.Contains(string(kept), "rubbish|a|alice") {
		t.Errorf("a later import erased the rejects of an earlier one: %q %v", kept, err)
	}

	out, _ = adminRun(t, "", "usage", "--data-dir", dir, "--by", "user", "--metrics", "job_count,cpu_hours,node_hours,wall_hours,wait_hours", "-o", "json")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// 00:30 to 04:30 on the day when summer time began is three hours
	want := `[map[cpu_hours:30 job_count:1 node_hours:6 user:alice wait_hours:0.5 wall_hours:3] map[cpu_hours:2 job_count:1 node_hours:0.5 user:bob wait_hours:0 wall_hours:0.5]]`
	if fmt.Sprint(rows) != want {
		t.Errorf("got  %v\nwant %s", rows, want)
	}

	out, _ = adminRun(t, "", "usage", "--data-dir", dir, "--by", "month", "--timezone", "Europe/Berlin", "--metrics", "job_count,never_started_count", "-o", "csv")
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || fmt.Sprint(table) != "[[month job_count never_started_count] [2024-03 1 0] [2024-04 1 1]]" {
		t.Errorf("%v %v", table, err)
	}
	out, _ = adminRun(t, "", "usage", "--data-dir", dir, "--by", "year", "--from", "2024-03-31T12:00:00", "--to", "2024-05-01", "--timezone", "UTC")
	if !strings.Contains(out, "2024") || !strings.Contains(out, "2.00") {
		t.Errorf("table:\n%s", out)
	}
	out, _ = adminRun(t, "", "reanalyse", "--data-dir", dir)
	if !strings.Contains(out, "4 jobs") && !strings.Contains(out, "3 jobs are due") {
		t.Errorf("reanalyse: %s", out)
	}
}

func TestADumpWithoutAHeaderAndCompressedIsImportedByCommand(t *testing.T) {
	dir := t.TempDir()
	header, rows, _ := strings.Cut(history, "\n")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(rows))
	if err := errors.Join(err, w.Close(), os.WriteFile(filepath.Join(dir, "dump.gz"), packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, _ := adminRun(t, "", "import", "sacct", "--data-dir", filepath.Join(dir, "data"), "--cluster", "old", "--timezone", "UTC",
		"--columns", strings.ReplaceAll(header, "|", ","), "-o", "json", filepath.Join(dir, "dump.gz"))
	var got imported
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Rows != 5 || got.Stored != 4 || got.Rejected != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if out, _ = adminRun(t, "", "usage", "--data-dir", filepath.Join(dir, "data"), "--by", "account", "--metrics", "job_count", "-o", "csv"); out != "account,job_count\nchem,1\nphys,1\n" {
		t.Errorf("by account: %q", out)
	}
}

func TestWrongOptionsSayWhatIsRight(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"one of cluster":      {"usage", "--by", "colour"},
		"one of job_count":    {"usage", "--metrics", "smell"},
		"table, csv or json":  {"usage", "-o", "xml"},
		"Europe/Berlin":       {"usage", "--timezone", "Mars/Base"},
		"neither a date":      {"usage", "--from", "yesterday"},
		"there is no cluster": {"usage", "--cluster", "nowhere"},
		"no such file":        {"import", "sacct", "/nonexistent"},
		"no cluster":          {"reanalyse", "--cluster", "nowhere"},
	} {
		root := newRoot(process{
			args: append(append([]string{"admin"}, args...), "--data-dir", dir), environ: []string{"ERGON_LOG_LEVEL=error"},
			stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, executable: os.Executable,
		})
		err := root.ExecuteContext(context.Background())
		if err == nil || !strings.Contains(describe(err), want) {
			t.Errorf("%v: %v, should mention %q", args, err, want)
		}
	}
}

// sacct -X gives no steps and, of what was lost, no CPU time: that it was lost is known all the same.
func TestWhatANodeFailureCostIsCountedFromADumpWithoutSteps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const rows = "JobID|User|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|TotalCPU|State\n" +
		"1|alice|2024-03-01T00:00:00|2024-03-01T00:00:00|2024-03-01T10:00:00|36000|1000|10|n[1-10]|00:00:00|NODE_FAIL\n" +
		"2|alice|2024-03-01T00:00:00|2024-03-01T00:00:00|2024-03-01T01:00:00|3600|1|1|n1|00:00:00|COMPLETED\n" +
		"3|alice|2024-03-01T00:00:00|Unknown|2024-03-01T01:00:00|0|0|1|None assigned|00:00:00|CANCELLED\n"
	adminRun(t, rows, "import", "sacct", "--data-dir", dir, "--cluster", "old", "--timezone", "UTC", "-")
	out, _ := adminRun(t, "", "usage", "--data-dir", dir, "--by", "user", "--metrics", "cpu_lost_node_failure_hours", "-o", "json")
	var got []map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil || fmt.Sprint(got) != "[map[cpu_lost_node_failure_hours:10000 user:alice]]" {
		t.Errorf("%v %v", got, err)
	}
}
