package harness

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Missing says what this machine lacks for a suite, and how to get it.
type Missing struct {
	What string
	Hint string
}

func (m *Missing) Error() string { return m.What + ": " + m.Hint }

// requireRoot returns a *Missing unless the tests run as root.
func requireRoot(what string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return &Missing{What: what + " needs root", Hint: "run the suite as root"}
}

// requirePrograms returns a *Missing when one of the programs is not on PATH.
func requirePrograms(names ...string) error {
	var absent []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			absent = append(absent, name)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return &Missing{What: "not installed: " + strings.Join(absent, ", "), Hint: "run dev/install.sh test"}
}

// missingVar carries the reason from Main to Need within one test binary.
const missingVar = "ERGON_E2E_MISSING"

// Need skips the test, with the reason, when the suite's set-up could not start the thing
// that it needs, which is then nil. Without a known reason the test fails.
func Need[T any](t testing.TB, thing *T) *T {
	t.Helper()
	if thing != nil {
		return thing
	}
	reason := os.Getenv(missingVar)
	if reason == "" {
		t.Fatal("the suite started without a set-up and without a reason; use harness.Main")
	}
	t.Skip(reason)
	return nil
}
