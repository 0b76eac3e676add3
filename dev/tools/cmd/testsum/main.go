// Command testsum runs test suites, prints what a person needs to see of them, and adds
// up their counts.
//
//	testsum suite NAME RECORD -- go test -json …   runs Go tests and counts them
//	testsum step NAME RECORD -- COMMAND…           runs a check that counts as one test
//	testsum total RECORD                           prints all counts; fails when a test did
//
// RECORD is a file of JSON lines, one per suite, to which suites append. ERGON_TEST_SECONDS is how long all took by the clock,
// which total prints.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = "usage: testsum suite|step NAME RECORD -- COMMAND…  |  testsum total RECORD"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run reports whether everything passed; an error means that it cannot say.
func run(ctx context.Context, args []string, out io.Writer) (ok bool, err error) {
	switch {
	case len(args) == 2 && args[0] == "total":
		return total(args[1], os.Getenv("ERGON_TEST_SECONDS"), out)
	case len(args) > 4 && args[3] == "--" && args[0] == "suite":
		return runSuite(ctx, args[1], args[2], args[4:], out)
	case len(args) > 4 && args[3] == "--" && args[0] == "step":
		return runStep(ctx, args[1], args[2], args[4:], out)
	default:
		return false, fmt.Errorf("%s", usage)
	}
}

// runSuite counts the events on the command's standard output. Its standard error goes
// through, because that is where go says what it could not load.
func runSuite(ctx context.Context, name, record string, args []string, out io.Writer) (bool, error) {
	start := time.Now()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return false, fmt.Errorf("starting %s: %w", args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("starting %s: %w", args[0], err)
	}
	tally := newTally(name, out)
	readErr := tally.read(events)
	exit := cmd.Wait()
	if readErr != nil {
		return false, fmt.Errorf("reading the events of %s: %w", name, readErr)
	}
	result := tally.result()
	if exit != nil && result.Failed == 0 {
		result.fail(fmt.Sprintf("%s: %v, and no test says why", args[0], exit))
	}
	result.Seconds = time.Since(start).Seconds()
	return finish(result, record, out)
}

func runStep(ctx context.Context, name, record string, args []string, out io.Writer) (bool, error) {
	start := time.Now()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	output, exit := cmd.CombinedOutput()
	result := suite{Name: name}
	if exit == nil {
		result.Passed = 1
	} else {
		fmt.Fprintf(out, "---- %s\n%s\n", name, output)
		result.fail(fmt.Sprintf("%s: %v\n%s", args[0], exit, lastLines(string(output), 20)))
	}
	result.Seconds = time.Since(start).Seconds()
	return finish(result, record, out)
}

// lastLines are what a reader of the end of a log needs to see of a failed step.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func finish(result suite, record string, out io.Writer) (bool, error) {
	fmt.Fprintln(out, result.line())
	if err := appendRecord(record, result); err != nil {
		return false, fmt.Errorf("recording suite %s: %w", result.Name, err)
	}
	return result.Failed == 0, nil
}
