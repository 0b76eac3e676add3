//go:build ergon_crash

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/daemon"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
)

// crashHook kills this process −9 at the boundary that ERGON_CRASH_AT names, at its nth crossing with NAME#n (from 1).
// With the word "list" it prints all boundaries, one a line, and ends.
func crashHook(env func(string) string) journal.Crash {
	point, count, _ := strings.Cut(env("ERGON_CRASH_AT"), "#")
	switch point {
	case "":
		return nil
	case "list":
		fmt.Println(strings.Join(journal.CrashPoints(), "\n"))
		os.Exit(0)
	}
	left, err := strconv.Atoi(count)
	if err != nil || left < 1 {
		left = 1
	}
	return func(at string) {
		if at != point {
			return
		}
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
}

// crashAges reads waits that are days elsewhere: ERGON_CRASH_AGES holds words NAME=DURATION. What cannot be read ends the agent.
func crashAges(env func(string) string) (ages daemon.Ages) {
	names := map[string]*time.Duration{
		"result": &ages.Result, "absent": &ages.Absent, "lost": &ages.Lost, "kept": &ages.Kept, "overlap": &ages.Overlap, "prune": &ages.Prune,
	}
	for word := range strings.FieldsSeq(env("ERGON_CRASH_AGES")) {
		name, text, _ := strings.Cut(word, "=")
		age, err := time.ParseDuration(text)
		if err != nil || age <= 0 || names[name] == nil {
			fmt.Fprintf(os.Stderr, "ergon-agent: ERGON_CRASH_AGES: %q is no age\n", word)
			os.Exit(1)
		}
		*names[name] = age
	}
	return ages
}
