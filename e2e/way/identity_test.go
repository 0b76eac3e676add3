package way

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// unixLogin switches the login by unix identity.
func unixLogin(t *testing.T, state string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it is switched off when the test has ended, too
	if _, err := world.Admin(ctx, "", "cluster", "unix-login", site.Cluster, state); err != nil {
		t.Error(err)
	}
}

// elsewhere is a person at another home: the same uid, and no session.
func elsewhere(t *testing.T, p *site.Person) *site.Person {
	t.Helper()
	other := *p
	other.Extra = append([]string{"HOME=" + p.Mkdir(t)}, p.Extra...)
	return &other
}

// whoami is the account that a command of this person acts as; empty when nobody is logged in.
func whoami(t *testing.T, p *site.Person, wrapped ...string) string {
	t.Helper()
	return account(p.Run(t, append(wrapped, ergon(t), "whoami")...))
}

func ergon(t *testing.T) string {
	t.Helper()
	program, err := harness.Binary("ergon")
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func account(whoami harness.Result) string {
	fields := strings.Fields(whoami.Stdout)
	switch {
	case whoami.Code == 0 && len(fields) > 1 && fields[0] == "Account":
		return fields[1]
	case whoami.Code == 3:
		return ""
	}
	return fmt.Sprintf("(exit %d: %s%s)", whoami.Code, whoami.Stdout, whoami.Stderr)
}

// listed are Slurm's ids of the jobs that `ergon jobs` has from the server; the local Slurm knows no id of the server's.
func listed(t *testing.T, p *site.Person) (ids []string) {
	t.Helper()
	for line := range strings.Lines(p.Must(t, "ergon", "jobs", "-o", "json")) {
		var job struct {
			ID    string `json:"id"`
			JobID string `json:"job_id"`
		}
		if err := json.Unmarshal([]byte(line), &job); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if job.ID != "" {
			ids = append(ids, job.JobID)
		}
	}
	return ids
}

// becomes waits until a person is logged in as an account; servers and agents remember who somebody was for ten seconds.
func becomes(t *testing.T, p *site.Person, want string) {
	t.Helper()
	harness.EventuallyEach(t, site.Patience, time.Second, func() (bool, string) {
		got := whoami(t, p)
		return got == want, fmt.Sprintf("%s is logged in as %q, want %q", p.Name, got, want)
	})
}

// Carol has a unix account and has never spoken to the server. Where the site says so, the uid on the login node is her login.
func TestAUserWithoutALoginIsLoggedInByUnixIdentity(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	if who := whoami(t, carol); who != "" {
		t.Fatalf("it is off by default, and carol is %s", who)
	}
	const script = "#!/bin/bash\n#SBATCH --mem=20M --output=/dev/null\nsleep 3\n"
	hers, his := carol.Sbatch(t, script), bob.Sbatch(t, script)
	unixLogin(t, "on")
	t.Cleanup(func() { unixLogin(t, "off") })
	if who := whoami(t, carol); who != "carol@"+site.Cluster {
		t.Fatalf("carol is %q", who)
	}
	harness.EventuallyEach(t, site.Patience, time.Second, func() (bool, string) {
		ids := listed(t, carol)
		return len(ids) == 1 && ids[0] == hers, fmt.Sprintf("carol's jobs are %v, want %s alone (%s is bob's)", ids, hers, his)
	})
	t.Run("as nobody else", func(t *testing.T) { nobodyElse(t, hers) })
	t.Run("not in a container", func(t *testing.T) { notContained(t, carol) })
	t.Run("an account of her own takes the jobs over by a link", func(t *testing.T) { joined(t, carol, hers) })
	t.Run("until it is turned off", func(t *testing.T) {
		unixLogin(t, "off")
		becomes(t, elsewhere(t, carol), "")
	})
}

// nobodyElse: bob without a session is bob, and root is nobody.
func nobodyElse(t *testing.T, hers string) {
	stranger := elsewhere(t, bob)
	if who := whoami(t, stranger); who != "bob" {
		t.Errorf("bob is %q", who)
	}
	if ids := listed(t, stranger); slices.Contains(ids, hers) {
		t.Errorf("bob is shown carol's job: %v", ids)
	}
	root := harness.Spec{Dir: world.Dir, Env: []string{"HOME=" + t.TempDir(), "ERGON_AGENT_SOCKET=" + world.Socket()}, Args: []string{ergon(t), "whoami"}}
	result, err := root.Run(t.Context())
	if who := account(result); err != nil || who != "" {
		t.Errorf("root is %q (%v)", who, err)
	}
}

// notContained: whoever starts a container chooses who is in it, so no uid proves anything there. That the same command works
// outside of one was seen above.
func notContained(t *testing.T, carol *site.Person) {
	const refusal = "a unix identity was not vouched for"
	before := strings.Count(world.Agent().Log(), refusal)
	ways := [][]string{{"unshare", "-U", "-r"}, {"unshare", "-U", "-c"}, {"unshare", "-U", "-r", "-p", "-f"}}
	if result := carol.Run(t, "unshare", "-U", "true"); result.Code != 0 {
		t.Logf("users may not make namespaces here: %s", result.Stderr)
		ways = nil
	}
	for _, wrapped := range ways {
		if who := whoami(t, carol, wrapped...); who != "" {
			t.Errorf("%v: logged in as %q", wrapped, who)
		}
	}
	// What a daemon of root's does for those who may start containers.
	if who := account(inContainer(t, carol, "whoami")); who != "" {
		t.Errorf("as carol's uid in a container of root's: logged in as %q", who)
	}
	if n := strings.Count(world.Agent().Log(), refusal) - before; n < len(ways)+1 {
		t.Errorf("the agent has refused %d of %d", n, len(ways)+1)
	}
}

// joined: carol makes an account and links it. Then her uid reads that account's jobs, and nothing else of it.
func joined(t *testing.T, carol *site.Person, hers string) {
	if result := carol.Run(t, "ergon", "link", "--yes"); result.Code == 0 {
		t.Errorf("a unix identity was linked to itself: %s", result.Stdout)
	}
	if err := carol.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	if jobs := carol.Jobs(t, hers); len(jobs) != 1 {
		t.Errorf("her account has jobs %+v, want %s", jobs, hers)
	}
	away := elsewhere(t, carol)
	becomes(t, away, "carol")
	if ids := listed(t, away); !slices.Contains(ids, hers) {
		t.Errorf("by her uid she is shown %v, want %s", ids, hers)
	}
	if result := away.Run(t, "ergon", "files", "ls"); result.Code == 0 {
		t.Errorf("by her uid she is shown files: %s", result.Stdout)
	}
}
