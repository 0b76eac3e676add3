package submit

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What nohup made the wrapper ignore, sbatch ignores as well.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\nkill -HUP $$\necho alive\n")
	cmd := exec.Command("sh", "-c", `trap '' HUP; exec "$@"`, "sh", os.Args[0], b.script("#!/bin/sh\n"))
	cmd.Env, cmd.Dir = b.env, b.home
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "alive" {
		t.Fatalf("got %q, %v", out, err)
	}
}
