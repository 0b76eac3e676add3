package crash

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// notHere are the states that no end-to-end test reaches, with the test that has them.
var notHere = map[string]string{
	"job.LOST": "slurmctld sends a job again whose row in accounting is deleted: track.TestAJobWithoutATraceForAWeekIsLost, journal's crash tests",
}

// A state that somebody adds to the journal is either killed at here, or stands above with its reason.
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
		_, excused := notHere[state]
		if here[state] == excused {
			t.Errorf("%s: killed at here: %v, excused: %v; want one of both", state, here[state], excused)
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
