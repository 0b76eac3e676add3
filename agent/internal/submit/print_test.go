package submit

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/workprint"
)

func TestTheAgentIsToldThePrintOfTheScriptAndNeverItsText(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"short": "#!/bin/sh\n#SBATCH -n 1\n./fit --size 10\n",
		"long":  "#!/bin/sh\n./fit --size 10\n" + strings.Repeat("echo a line of a long script\n", 4000),
	} {
		b := newBench(t)
		a := b.agent()
		b.run(nil, b.script(text), "--case", "7")
		if len(a.intents) != 1 || len(a.results) != 1 {
			t.Fatalf("%s: told %+v", name, a.intents)
		}
		want := workprint.Script(text)
		if got := a.intents[0].Script; !reflect.DeepEqual(got, want) || got.Numbers[0] != 10 {
			t.Errorf("%s: told %+v, want %+v", name, got, want)
		}
	}
}

func TestAScriptThatIsTooLongHasNoPrint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.run(nil, b.script("#!/bin/sh\n"+strings.Repeat("echo a line\n", workprint.MaxScript/10)))
	if len(a.intents) != 1 || a.intents[0].Script != nil {
		t.Errorf("told %+v", a.intents)
	}
}

func TestTheSizeOfStagedInputsIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := plan{inputs: []string{"a", "b"}, inputDir: dir}
	c := Call{Stage: func(_ context.Context, dir string, _ []string) error {
		if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 1000), 0o600); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "b"), make([]byte, 234), 0o600)
	}}
	caught := make(chan chan os.Signal, 1)
	caught <- make(chan os.Signal, 1)
	if ended := c.stage(&p, caught); ended != 0 || p.intent.InputBytes != 1234 {
		t.Errorf("%d bytes, ended by %d", p.intent.InputBytes, ended)
	}
}
