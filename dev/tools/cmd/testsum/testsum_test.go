package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const mixed = `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestTable"}
{"Action":"run","Package":"p","Test":"TestTable/one"}
{"Action":"output","Package":"p","Test":"TestTable/one","Output":"    x_test.go:9: it broke\n"}
{"Action":"fail","Package":"p","Test":"TestTable/one"}
{"Action":"run","Package":"p","Test":"TestTable/two"}
{"Action":"pass","Package":"p","Test":"TestTable/two"}
{"Action":"fail","Package":"p","Test":"TestTable"}
{"Action":"run","Package":"p","Test":"TestSkip"}
{"Action":"output","Package":"p","Test":"TestSkip","Output":"    x_test.go:3: no cgroup here\n"}
{"Action":"skip","Package":"p","Test":"TestSkip"}
{"Action":"fail","Package":"p","Elapsed":0.5}
`

func count(t *testing.T, events string) (suite, string) {
	t.Helper()
	var out bytes.Buffer
	tally := newTally("unit", &out)
	if err := tally.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	return tally.result(), out.String()
}

func TestLeavesAreCountedAndFailuresShown(t *testing.T) {
	got, out := count(t, mixed)
	if got.Passed != 1 || got.Failed != 1 || got.Skipped != 1 {
		t.Errorf("got %+v, want one of each", got)
	}
	if !strings.Contains(out, "it broke") {
		t.Errorf("output %q lacks the failure's text", out)
	}
	if want := "p TestSkip: no cgroup here"; len(got.Skips) != 1 || got.Skips[0] != want {
		t.Errorf("skips %q, want %q", got.Skips, want)
	}
}

func TestFailuresOutsideOfLeavesCount(t *testing.T) {
	tests := map[string]struct {
		events string
		failed int
		shown  string
	}{
		"a package that does not build": {
			`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`, 1, "undefined: y",
		},
		"a parent that fails after its sub-tests passed": {
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"run","Package":"p","Test":"A/b"}
{"Action":"pass","Package":"p","Test":"A/b"}
{"Action":"output","Package":"p","Test":"A","Output":"leaked\n"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`, 1, "leaked",
		},
		"a package that runs out of time": {
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"stuck here\n"}
{"Action":"output","Package":"p","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p"}`, 1, "stuck here",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, out := count(t, test.events)
			if got.Failed != test.failed || !strings.Contains(out, test.shown) {
				t.Errorf("failed %d, output %q; want %d and %q", got.Failed, out, test.failed, test.shown)
			}
		})
	}
}

func TestTotalEndsWithTheCounts(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	for _, s := range []suite{{Name: "unit", Passed: 3, Skipped: 1, Skips: []string{"why"}}, {Name: "lint", Failed: 1, Failures: []string{"bad"}}} {
		if err := appendRecord(record, s); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	t.Setenv("ERGON_TEST_SECONDS", "2100")
	ok, err := run(t.Context(), strings.Fields("total "+record), &out)
	if err != nil || ok {
		t.Errorf("total = %v, %v; want a failure", ok, err)
	}
	if !regexp.MustCompile(`\nwall time +2100\n`).MatchString(out.String()) {
		t.Errorf("the time of all is not told: %q", out.String())
	}
	if !strings.HasSuffix(out.String(), "\n3 passed, 1 failed, 1 skipped\n") {
		t.Errorf("output ends wrongly: %q", out.String())
	}
}

// Go writes such an event for t.Attr.
func TestTheTotalShowsWhatTestsMeasured(t *testing.T) {
	got, _ := count(t, `{"Action":"run","Package":"p","Test":"TestBig"}
{"Action":"attr","Package":"p","Test":"TestBig","Key":"memory","Value":"ergon: 31.0 MB"}
{"Action":"pass","Package":"p","Test":"TestBig"}`)
	record := filepath.Join(t.TempDir(), "record")
	if err := appendRecord(record, got); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if ok, err := total(record, "", &out); !ok || err != nil || !strings.Contains(out.String(), "measured [unit] p TestBig: memory: ergon: 31.0 MB\n") {
		t.Errorf("%v, %v: %s", ok, err, out.String())
	}
}

func TestNothingPassedIsNoSuccess(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(record, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ok, err := total(record, "", &bytes.Buffer{}); ok || err == nil {
		t.Errorf("total of nothing = %v, %v", ok, err)
	}
}

func TestACommandThatFailsWithoutATestIsAFailure(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	for _, mode := range []string{"suite", "step"} {
		ok, err := run(t.Context(), []string{mode, "x", record, "--", "false"}, &bytes.Buffer{})
		if ok || err != nil {
			t.Errorf("%s of false = %v, %v; want a counted failure", mode, ok, err)
		}
	}
	suites, err := readRecord(record)
	if err != nil || len(suites) != 2 || suites[0].Failed != 1 || suites[1].Failed != 1 {
		t.Errorf("record %+v, %v", suites, err)
	}
}

// The total comes after hours of other output: what a failed step said is told again there.
func TestTheTotalTellsTheEndOfAFailedStep(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	if _, err := run(t.Context(), []string{"step", "lint", record, "--", "sh", "-c", "seq 1 100; exit 3"}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := total(record, "", &out); err == nil {
		t.Error("a total in which nothing passed is a success")
	}
	if text := out.String(); !strings.Contains(text, "exit status 3\n81\n82\n") || !strings.Contains(text, "\n100\n") {
		t.Errorf("the end of the step's output is missing: %q", text)
	}
}
