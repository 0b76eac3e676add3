package way

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// jobsOf counts what the server knows of jobs that have ended, by who ran them.
func jobsOf(t *testing.T) map[string]int {
	t.Helper()
	out, err := world.Admin(t.Context(), "", "usage", "--by", "user", "--metrics", "job_count", "-o", "csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%v in %q", err, out)
	}
	counts := map[string]int{}
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		name := row[0]
		if name != "alice" && name != "bob" && name != "carol" {
			name = "nobody"
		}
		counts[name] += n
	}
	return counts
}

// waitCount waits until the server counts that many ended jobs of somebody.
func waitCount(t *testing.T, name string, n int) {
	t.Helper()
	harness.EventuallyEach(t, site.Patience, time.Second, func() (bool, string) {
		counts := jobsOf(t)
		return counts[name] == n, fmt.Sprintf("want %d jobs of %s, the server counts %v", n, name, counts)
	})
}

// Carol has no account, or leaves it. She objects on the login node, where the agent vouches for her; who has one is told to use it.
func TestWhoHasNoAccountObjectsOnTheLoginNode(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	_ = carol.Run(t, "ergon", "unlink", "--yes") // refused where no test before this one has linked her
	before := jobsOf(t)                          // what came to her account stays the account's
	const script = "#!/bin/sh\n#SBATCH --job-name=carolsown --mem=20M --output=/dev/null\nsleep 1\n"
	carol.Sbatch(t, script)
	waitCount(t, "carol", before["carol"]+1)
	// slurmdbd may tell the name a second before the uid, by which a job is found.
	harness.EventuallyEach(t, site.Patience, time.Second, func() (bool, string) {
		out := carol.Must(t, "ergon", "optout", "--status")
		return strings.Contains(out, "does not object") && strings.Contains(out, "in 1 job."), "before: " + out
	})
	if result := inContainer(t, carol, "optout", "--yes"); result.Code == 0 || !strings.Contains(result.Stderr, "in a container") {
		t.Errorf("from a container: %d %s%s", result.Code, result.Stdout, result.Stderr)
	}
	out := carol.Must(t, "ergon", "optout", "--yes")
	if !strings.Contains(out, "carol (uid "+strconv.Itoa(int(carol.UID()))+")") || !strings.Contains(out, "Taken out of 1 job.") {
		t.Errorf("objecting: %s", out)
	}
	if now := jobsOf(t); now["carol"] != before["carol"] || now["nobody"] != before["nobody"]+1 {
		t.Errorf("the server counts %v, before her job %v", now, before)
	}
	carol.Sbatch(t, script)
	waitCount(t, "nobody", before["nobody"]+2)
	if n := jobsOf(t)["carol"]; n != before["carol"] {
		t.Errorf("%d later jobs name carol", n-before["carol"])
	}
	if out := carol.Must(t, "ergon", "optout", "--status"); !strings.Contains(out, "objects since") || strings.Contains(out, "Still to be taken out") {
		t.Errorf("status: %s", out)
	}
	if list, err := world.Admin(t.Context(), "", "optout", "list"); err != nil || !strings.Contains(list, strconv.Itoa(int(carol.UID()))) {
		t.Errorf("an operator sees %q, %v", list, err)
	}
	if out := carol.Must(t, "ergon", "optout", "--undo", "--yes"); !strings.Contains(out, "does not object") {
		t.Errorf("undo: %s", out)
	}
	if r := alice.Run(t, "ergon", "optout", "--yes"); r.Code == 0 || !strings.Contains(r.Stderr, "ergon account export") {
		t.Errorf("alice, who has an account: %d %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// inContainer runs ergon under a person's uid in a container of root's: whoever may start those chooses the uid.
func inContainer(t *testing.T, p *site.Person, args ...string) harness.Result {
	t.Helper()
	id := strconv.Itoa(int(p.UID()))
	spec := harness.Spec{Dir: world.Dir, Env: []string{"HOME=" + p.Mkdir(t), "ERGON_AGENT_SOCKET=" + world.Socket()}, Args: append([]string{
		"unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--reuid", id, "--regid", id, "--clear-groups", ergon(t),
	}, args...)}
	result, err := spec.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}
