package crash

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// A state that somebody adds to the journal has to be killed at here.
func TestEveryBoundaryOfTheJournalIsKilledAt(t *testing.T) {
	harness.Need(t, world)
	asking := *alice
	asking.Extra = []string{"ERGON_CRASH_AT=list"}
	result := asking.Run(t, "ergon-agent", "run")
	if result.Code != 0 {
		t.Fatalf("asking for the boundaries ended with %d: %s", result.Code, result.Stderr)
	}
	states := map[string]bool{}
	for _, point := range strings.Fields(result.Stdout) {
		state := strings.TrimSuffix(strings.TrimSuffix(point, ".before"), ".after")
		states[state] = true
	}
	if len(states) < 20 {
		t.Fatalf("the agent names %d states: %s", len(states), result.Stdout)
	}
	here := killedAt(t)
	for state := range states {
		if !here[state] {
			t.Errorf("nothing here kills at %s", state)
		}
	}
	for state := range here {
		if !states[state] {
			t.Errorf("the tests kill at %s, which the journal does not have", state)
		}
	}
}

// killedAt reads the states out of this package's own tests: they stand there in quotes for both(), and for nothing else.
func killedAt(t *testing.T) map[string]bool {
	t.Helper()
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	state := regexp.MustCompile(`"((?:submission|job|file|outbox|meta|prune)\.[A-Za-z_]+)"`)
	found := map[string]bool{}
	for _, name := range names {
		if name.Name() == "list_test.go" {
			continue
		}
		text, err := os.ReadFile(name.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range state.FindAllStringSubmatch(string(text), -1) {
			found[match[1]] = true
		}
	}
	return found
}
