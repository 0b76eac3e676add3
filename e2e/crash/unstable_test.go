package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// growing appends to a file, again and again, until the test ends it.
func growing(t *testing.T, path string) (end func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				done <- f.Close()
				return
			case <-tick.C:
				if _, err := f.WriteString("."); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		close(stop)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	return end
}

func waitFile(t *testing.T, path string) {
	t.Helper()
	harness.Eventually(t, site.Patience, func() (bool, string) {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0, fmt.Sprintf("%s: %v", path, err)
	})
}

// largeEnough takes so long to hash that a write falls into it, and goes in one piece.
const largeEnough = 60 << 20

// A file that never stands still is not stored: it stays where it is, and its owner reads so. The others are stored.
func TestAgentKilledWhileAFileKeepsChanging(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	restart(t)
	job, finish := openEnded(t, "unstable")
	path := filepath.Join(job.dir, "out.dat")
	alice.WaitJob(t, job.slurmID, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	waitFile(t, path)
	if err := os.Truncate(path, largeEnough); err != nil {
		t.Fatal(err)
	}
	still := growing(t, path)
	finish()
	for _, point := range both("file.UNSTABLE") {
		crashAt(t, point)
		waitDeath(t, point)
	}
	restart(t)
	known := alice.WaitJob(t, job.slurmID, "settled", site.Settled)
	still()
	stdout := site.SHA256(t, filepath.Join(job.dir, "stdout.txt"))
	if files := alice.Files(t, known.ID); len(files) != 1 || files[0].SHA256 != stdout {
		t.Errorf("stored are %+v, want stdout.txt", files)
	}
	if sums := onDisk(t, known.ID); len(sums) != 1 || sums[0] != stdout {
		t.Errorf("the store has objects with %q", sums)
	}
	if info, err := os.Stat(path); err != nil || info.Size() <= largeEnough {
		t.Errorf("the file that kept changing: %v, %v", info, err)
	}
	const reason = "unstable out.dat: kept changing while it was read; it stays where it is"
	if said := alice.Must(t, "ergon", "job", job.slurmID, "--events"); strings.Count(said, reason) != 1 {
		t.Errorf("the owner reads:\n%s", said)
	}
}
