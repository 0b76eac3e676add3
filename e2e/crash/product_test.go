package crash

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// What these tests turn on with the environment, to be killed and to wait for less long, is in no program that is installed.
func TestTheProductCannotBeToldToCrash(t *testing.T) {
	harness.Need(t, world)
	for _, name := range []string{"ergon", "ergon-agent", "ergon-sbatch"} {
		path, err := harness.Binary(name)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]bool{path: false, filepath.Join(programs, name): true} {
			program, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{"ERGON_CRASH_AT", "ERGON_CRASH_AGES"} {
				if word == "ERGON_CRASH_AGES" && name != "ergon-agent" {
					continue
				}
				if got := bytes.Contains(program, []byte(word)); got != want {
					t.Errorf("%s knows %s: %v, want %v", path, word, got, want)
				}
			}
		}
	}
}
