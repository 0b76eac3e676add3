package local

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

const dump = "JobID|State|ElapsedRaw|AllocCPUS|TotalCPU|JobName\n" +
	"7|COMPLETED|100|2|00:03:20|first\n7.batch|COMPLETED|100|2|00:03:20|batch\n8|FAILED|10|1|00:00:05|second\n8.batch|FAILED|10|1|00:00:05|batch\n"

const line = `{"id":"a","rows":[{"JobID":"7","State":"COMPLETED","AllocCPUS":2,"ElapsedRaw":100},{"JobID":"7.0","TRESUsageInTot":"cpu=00:01:40"}]}` + "\n"

// explained runs Explain on files and standard input.
type explained struct {
	reports  []efficiency.Report
	warnings []string
	err      error
}

func run(t *testing.T, stdin string, opt Options, names ...string) (out explained) {
	t.Helper()
	opt.Stdin = strings.NewReader(stdin)
	opt.Warn = func(text string) { out.warnings = append(out.warnings, text) }
	out.err = Explain(t.Context(), names, opt, func(r efficiency.Report) error {
		out.reports = append(out.reports, r)
		return nil
	})
	return out
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func cpu(t *testing.T, r efficiency.Report, want float64) {
	t.Helper()
	got, known := r.Value(efficiency.CPUEfficiency)
	if !known || math.Abs(got-want) > 1e-9 {
		t.Errorf("job %s: CPU %v (known %v), want %v", r.Job.JobID, got, known, want)
	}
}

func TestDumpsAndJSONLinesAreToldApart(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{"plain": dump, "gzip": packed(t, dump), "parsable": strings.ReplaceAll(dump, "\n", "|\n")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, in, Options{}, "-")
			if got.err != nil || len(got.reports) != 2 {
				t.Fatalf("%d reports, %v", len(got.reports), got.err)
			}
			cpu(t, got.reports[0], 100)
			cpu(t, got.reports[1], 50)
		})
	}
	for name, in := range map[string]string{"lines": line, "gzip lines": packed(t, line), "byte order mark": "\ufeff" + line} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, in, Options{}, "-")
			if got.err != nil || len(got.reports) != 1 || got.reports[0].ID != "a" {
				t.Fatalf("%+v", got)
			}
			cpu(t, got.reports[0], 50)
		})
	}
}

func TestColumnsNameADumpWithoutHeader(t *testing.T) {
	t.Parallel()
	_, body, _ := strings.Cut(dump, "\n")
	got := run(t, body, Options{Columns: []string{"JobID", "State", "ElapsedRaw", "AllocCPUS", "TotalCPU", "JobName"}}, "-")
	if got.err != nil || len(got.reports) != 2 {
		t.Fatalf("%d reports, %v", len(got.reports), got.err)
	}
	cpu(t, got.reports[1], 50)
}

func TestTimesAreReadInTheGivenZone(t *testing.T) {
	t.Parallel()
	in := "JobID|Start\n7|2026-11-23T10:00:00\n"
	east := time.FixedZone("east", 3600)
	utc, there := run(t, in, Options{}, "-"), run(t, in, Options{Location: east}, "-")
	if utc.err != nil || there.err != nil || *utc.reports[0].Job.Start-*there.reports[0].Job.Start != 3600 {
		t.Fatalf("%+v %+v", utc, there)
	}
}

func TestABadLineIsNamedAndTheOthersAreExplained(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{"json": "{broken\n" + line + "[1]\n" + line, "dump": "JobID|State|ElapsedRaw\n7|COMPLETED|100\n9|FAILED|x|y\n8|FAILED|10\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, in, Options{}, "-")
			if got.err != nil || len(got.reports) != 2 || len(got.warnings) == 0 || !strings.Contains(got.warnings[0], "line ") {
				t.Fatalf("%d reports, warnings %q, %v", len(got.reports), got.warnings, got.err)
			}
		})
	}
}

func TestWhatIsNoInputSaysWhatIsAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cases := map[string]struct {
		stdin string
		name  string
		want  []string
	}{
		"empty":             {"", "-", []string{"standard input is empty"}},
		"prose":             {"hello world\nthis is prose\n", "-", []string{"accepted are"}},
		"one word":          {"hello\nworld\n", "-", []string{"not understood", "accepted are"}},
		"another table":     {"a|b\n1|2\n", "-", []string{"not understood", "accepted are"}},
		"sacct --json":      {"{\n  \"jobs\": [\n  ]\n}\n", "-", []string{"no line could be read", "--parsable2"}},
		"binary":            {"\x00\x01\x02ELF\x00\x00\x00\x00", "-", []string{"binary data", "accepted are"}},
		"damaged gzip":      {"\x1f\x8b\x08garbage", "-", []string{"gzip"}},
		"header only":       {"JobID|State\n", "-", []string{"no row could be read"}},
		"missing file":      {"", filepath.Join(dir, "nothing"), []string{"does not exist"}},
		"directory":         {"", dir, []string{"is a directory", "*.h5"}},
		"damaged profile":   {"", write(t, "9_0_n1.h5", append([]byte("\x89HDF\r\n\x1a\n"), make([]byte, 100)...)), []string{"damaged or foreign HDF5"}},
		"no profile at all": {"", write(t, "9_0_n1.h5", make([]byte, 100)), []string{"no HDF5 file"}},
		"truncated gzip":    {packed(t, strings.Repeat(dump, 50))[:60], "-", []string{"unexpected EOF"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, c.stdin, Options{}, c.name)
			if got.err == nil {
				t.Fatalf("no error, %d reports", len(got.reports))
			}
			for _, want := range c.want {
				if !strings.Contains(got.err.Error(), want) {
					t.Errorf("%q lacks %q", got.err, want)
				}
			}
		})
	}
}

func TestOneFaultyFileDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	got := run(t, "", Options{}, filepath.Join(t.TempDir(), "absent"), write(t, "a.jsonl", []byte(line)), write(t, "b.txt", []byte(dump)))
	if got.err == nil || len(got.reports) != 3 {
		t.Fatalf("%d reports, %v", len(got.reports), got.err)
	}
}

func TestAnErrorOfTheConsumerEndsEverything(t *testing.T) {
	t.Parallel()
	stop, calls := errors.New("the pipe is closed"), 0
	err := Explain(t.Context(), []string{write(t, "b.txt", []byte(dump)), write(t, "a.jsonl", []byte(line))}, Options{Warn: func(string) {}}, func(efficiency.Report) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Explain(ctx, []string{write(t, "b.txt", []byte(dump))}, Options{Warn: func(string) {}}, func(efficiency.Report) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled, but %v", err)
	}
}

func TestProfilesOfOneJobMakeOneReport(t *testing.T) {
	t.Parallel()
	parts := []string{"testdata/23_0_n1.h5", "testdata/23_0_n2.h5", "testdata/23_1_n1.h5", "testdata/23_batch_n1.h5"}
	split := run(t, "", Options{}, append(parts, "testdata/20_batch_n1.h5")...)
	merged := run(t, "", Options{}, "testdata/job_23.h5")
	if split.err != nil || merged.err != nil || len(split.reports) != 2 || len(merged.reports) != 1 {
		t.Fatalf("%d and %d reports, %v, %v", len(split.reports), len(merged.reports), split.err, merged.err)
	}
	if split.reports[0].ID != "23" || split.reports[1].ID != "20" {
		t.Errorf("ids %s, %s", split.reports[0].ID, split.reports[1].ID)
	}
	for _, name := range []efficiency.MetricName{efficiency.CPUUsed, efficiency.MemoryPeak, efficiency.Energy} {
		a, known := split.reports[0].Value(name)
		b, _ := merged.reports[0].Value(name)
		if !known || math.Abs(a-b) > 1e-6*a {
			t.Errorf("%s: %v from the parts, %v from the merged file", name, a, b)
		}
	}
}

func TestProfilesRefineTheAccountingThatIsGivenToo(t *testing.T) {
	t.Parallel()
	sacct := "JobID|JobIDRaw|State|ElapsedRaw|AllocCPUS|NNodes|AllocTRES\n23|23|COMPLETED|30|2|2|cpu=2,mem=1G,node=2\n"
	got := run(t, sacct, Options{}, "testdata/23_0_n1.h5", "-", "testdata/23_0_n2.h5")
	if got.err != nil || len(got.reports) != 1 {
		t.Fatalf("%d reports, %v", len(got.reports), got.err)
	}
	if m := got.reports[0].Metrics[efficiency.MemoryPeak]; m.Source != efficiency.SourceProfile || got.reports[0].Job.SlurmState != "COMPLETED" {
		t.Errorf("memory from %s, state %s", m.Source, got.reports[0].Job.SlurmState)
	}
}

func TestAProfileMayComeThroughAPipe(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/job_23.h5")
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"plain": string(data), "gzip": packed(t, string(data))} {
		if got := run(t, in, Options{}, "-"); got.err != nil || len(got.reports) != 1 || got.reports[0].Metrics[efficiency.Energy].Value == nil {
			t.Errorf("%s: %d reports, %v", name, len(got.reports), got.err)
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add([]byte(dump))
	f.Add([]byte(line))
	f.Add([]byte("\x89HDF\r\n\x1a\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("JobID|JobName\n1_[1-9%2]|a|b\n\n|"))
	f.Fuzz(func(t *testing.T, data []byte) {
		count := 0
		err := Explain(t.Context(), []string{"-"}, Options{Stdin: bytes.NewReader(data), Warn: func(string) {}}, func(efficiency.Report) error {
			count++
			return nil
		})
		if err == nil && count == 0 && !bytes.Contains(data, []byte(`"rows"`)) {
			t.Error("nothing was explained, and nothing said why")
		}
	})
}
