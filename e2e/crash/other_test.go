package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

func TestAgentAwayFromSubmissionToEnd(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	job := submit(t, "away", 3000, 0)
	waitSlurm(t, job.slurmID, "COMPLETED")
	restart(t)
	handIn(t) // the wrapper kept what it could not tell; the next submission hands it in
	job.settle(t)
}

// Commits of the start and of the watch over accounting, which belong to no state: nothing of a job is lost with them.
func TestAgentKilledAtItsOwnBookkeeping(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	job := submit(t, "books", 1000, 0)
	for _, point := range both("outbox.offered", "meta.set") {
		crashAt(t, point)
		waitDeath(t, point)
	}
	restart(t)
	job.settle(t)
}

func waitSlurm(t *testing.T, id, want string) {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(id, &n); err != nil {
		t.Fatal(err)
	}
	world.Slurm.WaitState(t, n, want, site.Patience)
}

func TestServerKilled(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	var all []expected
	for i := range 4 {
		all = append(all, submit(t, "server", 20<<20, float64(i)/2))
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond) // when it is killed is the point
		if err := world.KillServer(); err != nil {
			t.Fatal(err)
		}
		all = append(all, submit(t, "no-server", 1000, 0))
		if err := world.StartServer(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, job := range all {
		job.settle(t)
	}
}

func TestObjectStoreKilled(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	var all []expected
	for i := range 3 {
		all = append(all, submit(t, "store", 70<<20, float64(i)/2))
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond) // when it is killed is the point
		var old int
		harness.Eventually(t, site.Patience, func() (bool, string) {
			var err error
			old, err = world.KillStore()
			return err == nil, fmt.Sprint(err)
		})
		harness.Eventually(t, site.Patience, func() (bool, string) {
			pid, err := world.StorePID()
			return err == nil && pid != old, fmt.Sprintf("no new object store: %v", err)
		})
	}
	for _, job := range all {
		job.settle(t)
	}
}

// kills is how often TestRandomKills kills: the full figure is for releases.
func kills() int {
	if os.Getenv("ERGON_TEST_FULL") == "1" {
		return 1000
	}
	return 30
}

func TestRandomKills(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	var open []expected
	began, jobs := time.Now(), 0
	for i := range kills() {
		if i%2 == 0 {
			open = append(open, submit(t, "random", 1000+rand.IntN(200000), rand.Float64()))
			jobs++
		}
		time.Sleep(time.Duration(rand.IntN(1200)) * time.Millisecond) // when it is killed is the point
		restart(t)
		if len(open) > 20 { // Slurm has few nodes: let the oldest end
			open[0].settle(t)
			open = open[1:]
		}
	}
	handIn(t)
	for _, job := range open {
		job.settle(t)
	}
	t.Logf("%d kills, %d jobs, %v", kills(), jobs, time.Since(began).Round(time.Second))
}
