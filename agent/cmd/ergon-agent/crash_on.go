//go:build ergon_crash

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

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
