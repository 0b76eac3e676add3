package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// built is the command as users get it: static, from source.
func built(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "ergon")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return bin
}

// jsonLines reads what -o json printed.
func jsonLines(t *testing.T, out []byte) (all []efficiency.Report) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var r efficiency.Report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("not one object a line: %v: %s", err, lines.Bytes())
		}
		all = append(all, r)
	}
	return all
}

func TestTheBuiltCommandGivesTheTruthOfEveryTrap(t *testing.T) {
	cmd := exec.Command(built(t), "explain", "testdata/traps.jsonl", "-o", "json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	byID, order := map[string][]efficiency.Report{}, []string{}
	for _, r := range jsonLines(t, out) {
		if len(byID[r.ID]) == 0 {
			order = append(order, r.ID)
		}
		byID[r.ID] = append(byID[r.ID], r)
	}
	checks := []struct {
		id    string
		name  efficiency.MetricName
		want  float64
		digit float64
		bound efficiency.Bound
	}{
		{"reportseff-41-mpi-step", efficiency.CPUEfficiency, 98.5, 0.05, efficiency.Exact},
		{"reportseff-41-mpi-step", efficiency.MemoryEfficiency, 95.1, 0.05, efficiency.Upper},
		{"reportseff-41-mpi-step", efficiency.MemoryPeak, 15952084992, 0.5, efficiency.Upper},
		{"reportseff-41-mpi-step", efficiency.TimeEfficiency, 88.3, 0.05, efficiency.Exact},
		{"reportseff-66-energy", efficiency.Energy, 101630, 0.5, efficiency.Upper},
		{"reportseff-66-energy", efficiency.PowerAverage, 833, 0.05, efficiency.Upper},
		{"reportseff-66-energy", efficiency.TimeEfficiency, 3.4, 0.05, efficiency.Exact},
		{"reportseff-73-maxrss-steps", efficiency.MemoryEfficiency, 5.8, 0.05, efficiency.Upper},
		{"imbalanced-ranks", efficiency.MemoryEfficiency, 32.5, 0.05, efficiency.Upper},
		{"totalcpu-empty-25.05", efficiency.CPUEfficiency, 90, 0.05, efficiency.Exact},
		{"zero-is-not-missing", efficiency.CPUEfficiency, 0, 0, efficiency.Exact},
		{"mem-zero", efficiency.MemoryEfficiency, 39.8, 0.05, efficiency.Upper},
	}
	for _, c := range checks {
		if len(byID[c.id]) != 1 {
			t.Errorf("%s: %d reports", c.id, len(byID[c.id]))
			continue
		}
		m := byID[c.id][0].Metrics[c.name]
		if m.Value == nil || math.Abs(*m.Value-c.want) > c.digit || m.Bound != c.bound {
			t.Errorf("%s: %s = %+v, want %v, %s", c.id, c.name, m, c.want, c.bound)
		}
	}
	if got := *byID["reqmem-flag-leak"][0].Job.MemoryRequestedBytes; got != 24000<<20 {
		t.Errorf("ReqMem with a leaked flag is %v bytes", got)
	}
	if source := byID["totalcpu-empty-25.05"][0].Metrics[efficiency.CPUEfficiency].Source; source != efficiency.SourceTRES {
		t.Errorf("the CPU time is from %s", source)
	}
	gpuTraps(t, byID["gpu-typed-only"])
	if n := len(byID["jobid-grammar"]); n != 7 {
		t.Errorf("%d jobs of the ten ids, want 7", n)
	}
	inputOrder(t, order)
}

func gpuTraps(t *testing.T, got []efficiency.Report) {
	t.Helper()
	want := []float64{2, 4, 4}
	if len(got) != len(want) {
		t.Fatalf("%d reports of rows without ids, want %d", len(got), len(want))
	}
	for i, r := range got {
		if v, known := r.Value(efficiency.GPUCount); !known || v != want[i] {
			t.Errorf("row %d has %v GPUs, want %v", i, v, want[i])
		}
	}
}

// inputOrder: every case of the file is answered, in its order.
func inputOrder(t *testing.T, got []string) {
	t.Helper()
	data, err := os.ReadFile("testdata/traps.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(data)) {
		var c struct{ ID string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		want = append(want, c.ID)
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("answers for %q\nwant %q", got, want)
	}
}

const twoJobs = "JobID|State|ElapsedRaw|AllocCPUS|TotalCPU\n7|COMPLETED|100|2|00:03:20\nxx|yy|zz\n8|FAILED|10|1|00:00:05\n"

func TestExplainKeepsGoingAndExplainsItself(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.in = twoJobs
	d.want(exitOK, []string{"explain", "-"}, "Job 7", "Job 8", "line 3 is left out")
	d.want(exitOK, []string{"explain", "-", "-o", "csv"}, "id,job_id,")
	d.want(exitOK, []string{"explain", "-", "-o", "yaml"}, "---\nid: \"7\"")
	if code := d.run("explain", "-", "--json"); code != exitOK || len(jsonLines(t, d.out.Bytes())) != 2 {
		t.Errorf("exit code %d:\n%s", code, d.out.String())
	}
	d.want(exitUsage, []string{"explain"}, "give a file")
	d.want(exitUsage, []string{"explain", "-", "-o", "xml"}, "table, json, csv or yaml")
	d.want(exitUsage, []string{"explain", "-", "--timezone", "Mars/Olympus"}, "Europe/Berlin")
	d.want(exitFailed, []string{"explain", "/nonexistent"}, "does not exist")
	d.want(exitFailed, []string{"explain", "-", "/nonexistent"}, "does not exist", "Job 8")
	d.in = ""
	d.want(exitFailed, []string{"explain", "-"}, "standard input is empty")
}

func TestManyJobsAreLinesAndManyWarningsAreCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var b strings.Builder
	b.WriteString("JobID|State|ElapsedRaw\n")
	for i := range 30 {
		b.WriteString(strings.Repeat("1", i+1) + "|COMPLETED|10\nbad\n")
	}
	d.in = b.String()
	d.want(exitOK, []string{"explain", "-"}, "JOB  ", "and 10 more")
	if n := strings.Count(d.out.String(), "\n"); n != 31 {
		t.Errorf("%d lines for 30 jobs", n)
	}
}
