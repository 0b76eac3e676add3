package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// suite is the result of one suite: counts of tests, who failed or was skipped, and why, and what was measured.
type suite struct {
	Name     string
	Passed   int
	Failed   int
	Skipped  int
	Seconds  float64
	Failures []string
	Skips    []string
	Measured []string `json:",omitempty"`
}

func (s *suite) fail(what string) {
	s.Failed++
	s.Failures = append(s.Failures, what)
}

func (s *suite) line() string {
	return fmt.Sprintf("==== %s: %d passed, %d failed, %d skipped in %.0f s", s.Name, s.Passed, s.Failed, s.Skipped, s.Seconds)
}

func appendRecord(path string, s suite) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	// One write, so that suites that end at the same time do not mix their lines.
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}

func readRecord(path string) ([]suite, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var suites []suite
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var s suite
		if err := json.Unmarshal(scanner.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", len(suites)+1, path, err)
		}
		suites = append(suites, s)
	}
	return suites, scanner.Err()
}

// total prints a table of the suites, the seconds of the clock that all took where they are known (suites run side by side), the
// skips and failures, and the counts as the last line.
func total(path, wall string, out io.Writer) (bool, error) {
	suites, err := readRecord(path)
	if err != nil {
		return false, fmt.Errorf("adding up: %w", err)
	}
	var sum suite
	fmt.Fprintf(out, "\n%-14s %8s %8s %8s %8s\n", "suite", "passed", "failed", "skipped", "seconds")
	for _, s := range suites {
		fmt.Fprintf(out, "%-14s %8d %8d %8d %8.0f\n", s.Name, s.Passed, s.Failed, s.Skipped, s.Seconds)
		sum.Passed += s.Passed
		sum.Failed += s.Failed
		sum.Skipped += s.Skipped
	}
	if wall != "" {
		fmt.Fprintf(out, "%-14s %35s\n", "wall time", wall)
	}
	list(out, "measured", suites, func(s suite) []string { return s.Measured })
	list(out, "skipped", suites, func(s suite) []string { return s.Skips })
	list(out, "FAILED", suites, func(s suite) []string { return s.Failures })
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", sum.Passed, sum.Failed, sum.Skipped)
	if sum.Passed == 0 {
		return false, errors.New("no test has passed: that is no success")
	}
	return sum.Failed == 0, nil
}

func list(out io.Writer, title string, suites []suite, of func(suite) []string) {
	for _, s := range suites {
		for _, line := range of(s) {
			fmt.Fprintf(out, "%s [%s] %s\n", title, s.Name, line)
		}
	}
}
