package badinput

import (
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// The shortest lives that the server takes.
const (
	accessLife  = time.Second
	refreshLife = time.Minute
)

// Genuine tokens that have run out, not garbage: the first is renewed without a word, the second needs a login.
func TestTokensThatHaveRunOut(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart := func(extra ...string) {
		if err := world.StopServer(); err != nil {
			t.Fatal(err)
		}
		if err := world.StartServer(t.Context(), extra...); err != nil {
			t.Fatal(err)
		}
	}
	restart("ERGON_AUTH_ACCESS_TTL="+accessLife.String(), "ERGON_AUTH_REFRESH_TTL="+refreshLife.String())
	defer restart()
	carol, err := world.Join(t.Context(), "carol")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * accessLife) // the server's clock decides
	if result := carol.Run(t, "ergon", "files", "ls"); result.Code != 0 || result.Stderr != "" {
		t.Errorf("with an access token that has run out: %d %q, want it renewed", result.Code, result.Stderr)
	}
	time.Sleep(refreshLife + accessLife)
	for range 2 {
		if result := carol.Run(t, "ergon", "files", "ls"); result.Code != 3 || !strings.Contains(result.Stderr, "ergon login") {
			t.Errorf("with a session that has run out: %d %q, want 3 and what to run", result.Code, result.Stderr)
		}
	}
	if result := carol.Run(t, "ergon", "sbatch", "--parsable", "--mem=20M", "--output=/dev/null", "--wrap", "true"); result.Code != 0 || result.Stderr != "" {
		t.Errorf("a submission needs no token: %d %s", result.Code, result.Stderr)
	}
}
