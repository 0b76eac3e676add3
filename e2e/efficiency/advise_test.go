package efficiency

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// advised is what these tests read of `ergon advise -o json`.
type advised struct {
	Runs  int `json:"runs"`
	Group struct {
		SameScript    int `json:"same_script"`
		SameArguments int `json:"same_arguments"`
	} `json:"group"`
	Source string `json:"source"`
}

func advise(t *testing.T, args ...string) (a advised) {
	t.Helper()
	out := alice.Must(t, slices.Concat([]string{"ergon", "advise", "-o", "json"}, args)...)
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return a
}

// TestTwoScriptsOfOneNameAreAdvisedApart: accounting shows three jobs of one name; the wrapper knows that they are two works.
func TestTwoScriptsOfOneNameAreAdvisedApart(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	const head = "#!/bin/bash\n#SBATCH --job-name=twins --ntasks=1 --mem=50M --time=5 --output=twins-%j.out\n"
	scripts := map[string]string{"one": head + "echo one; sleep 2; expr $1 + 1\n", "two": head + "echo another; sleep 2; expr $1 + 1\n"}
	ids := map[string][]string{}
	for i, which := range []string{"one", "two", "one"} {
		path := alice.Write(t, "twins.sh", scripts[which], 0o755)
		ids[which] = append(ids[which], alice.SbatchFile(t, path, strconv.Itoa(40+i)))
	}
	for _, id := range slices.Concat(ids["one"], ids["two"]) {
		finished(t, id, false)
	}
	for which, want := range map[string]int{"one": 2, "two": 1} {
		script := alice.Write(t, "twins-"+which+".sh", scripts[which], 0o755)
		for name, args := range map[string][]string{"a job": {ids[which][0]}, "a script with its argument": {script, "--", "77"}} {
			a := advise(t, args...)
			if a.Runs != want || a.Group.SameScript != want || a.Group.SameArguments != want || a.Source == "the local sacct" {
				t.Errorf("%s of script %s: %+v, want %d runs, all of its script and argument, from the server", name, which, a, want)
			}
		}
	}
}
