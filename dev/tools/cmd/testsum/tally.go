package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// event is one line of `go test -json` (go doc test2json; build events: go help buildjson).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build events
	Test       string
	Output     string
	Key, Value string  // of attr (testing.T.Attr): what a test measured
	Elapsed    float64 // seconds
}

// tally counts the events of one suite. A test with sub-tests is not counted besides them,
// unless it fails by itself. A package that fails without a failed test (it does not
// build, it panics, it runs out of time) counts as one failure.
type tally struct {
	name     string
	out      io.Writer
	output   map[string][]string // of each unfinished test, "package\x00test"; of builds, by import path
	parents  map[string]bool     // tests that have sub-tests
	failed   map[string]int      // failures in each package and below each test
	packages map[string]int      // tests that were counted, per package
	sum      suite
}

func newTally(name string, out io.Writer) *tally {
	return &tally{
		name: name, out: out, sum: suite{Name: name},
		output: map[string][]string{}, parents: map[string]bool{}, failed: map[string]int{}, packages: map[string]int{},
	}
}

func (t *tally) result() suite { return t.sum }

// read takes events until the end. A line that is no event is shown as it is.
func (t *tally) read(r io.Reader) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			fmt.Fprintln(t.out, scanner.Text())
			continue
		}
		t.take(e)
	}
	return scanner.Err()
}

func (t *tally) take(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "run":
		t.adopt(e)
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "attr":
		t.sum.Measured = append(t.sum.Measured, fmt.Sprintf("%s %s: %s: %s", e.Package, e.Test, e.Key, e.Value))
	case "build-output":
		t.output[e.ImportPath] = append(t.output[e.ImportPath], e.Output)
	case "build-fail":
		t.show("build of "+e.ImportPath, t.output[e.ImportPath])
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e, key)
		}
		delete(t.output, key)
	}
}

// adopt remembers that the test above a sub-test is not a leaf.
func (t *tally) adopt(e event) {
	if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
		t.parents[e.Package+"\x00"+e.Test[:i]] = true
	}
}

func (t *tally) endTest(e event, key string) {
	if t.parents[key] && (e.Action != "fail" || t.failed[key] > 0) {
		if e.Action == "fail" { // its own output may explain its sub-tests
			t.show(e.Package+" "+e.Test, t.output[key])
			t.blame(e)
		}
		return
	}
	t.packages[e.Package]++
	switch e.Action {
	case "pass":
		t.sum.Passed++
	case "skip":
		t.sum.Skipped++
		t.sum.Skips = append(t.sum.Skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, skipReason(t.output[key])))
	case "fail":
		t.show(e.Package+" "+e.Test, t.output[key])
		t.sum.fail(e.Package + " " + e.Test)
		t.blame(e)
	}
}

// blame counts a failure for the package and for the test above.
func (t *tally) blame(e event) {
	t.failed[e.Package]++
	if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
		t.failed[e.Package+"\x00"+e.Test[:i]]++
	}
}

func (t *tally) endPackage(e event) {
	if e.Action == "fail" && t.failed[e.Package] == 0 {
		t.showUnfinished(e.Package)
		t.sum.fail(e.Package + ": the package failed outside of a test")
	}
	if e.Action == "skip" && t.packages[e.Package] == 0 {
		return // no test files
	}
	fmt.Fprintf(t.out, "%-4s %s %s (%d tests, %.1f s)\n", e.Action, t.name, e.Package, t.packages[e.Package], e.Elapsed)
}

// showUnfinished prints what the package and its interrupted tests had written.
func (t *tally) showUnfinished(pkg string) {
	for key, lines := range t.output {
		if strings.HasPrefix(key, pkg+"\x00") {
			t.show(strings.ReplaceAll(key, "\x00", " "), lines)
		}
	}
}

func (t *tally) show(title string, lines []string) {
	fmt.Fprintf(t.out, "---- %s: %s\n%s", t.name, title, strings.Join(lines, ""))
}

var logLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)

func skipReason(lines []string) string {
	reason := "no reason given"
	for _, line := range lines {
		if match := logLine.FindStringSubmatch(line); match != nil {
			reason = match[1]
		}
	}
	return reason
}
