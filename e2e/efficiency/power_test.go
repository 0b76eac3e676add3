package efficiency

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// peak compares power_peak with the largest reading that Slurm itself wrote into the job's files, to 1 W. How far that may lie
// from the node's true power says Slurm's rapl plugin: it divides the joules since its last look by whole seconds, so that a
// look after 1.9 s counts as one after 1 s. Such a reading is Slurm's, and Ergon shows it as it is.
func (r report) peak(t *testing.T, id string) {
	t.Helper()
	highest, readings := highestReading(t, id)
	t.Logf("the highest of %d readings is %g W", readings, highest)
	if readings < 10 || highest < watts {
		t.Errorf("%d readings, the highest %g W: the node took %d W for 20 s", readings, highest, watts)
	}
	r.between(t, "power_peak", highest-1, highest+1)
}

func highestReading(t *testing.T, id string) (highest float64, readings int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(world.Slurm.ProfileDir(), "*", fmt.Sprintf("%s_*.h5", id)))
	if err != nil || len(files) == 0 {
		t.Fatalf("Slurm wrote no profile for job %s (%v)", id, err)
	}
	for _, name := range files {
		for _, n := range nodesOf(t, name) {
			if n.Energy == nil {
				continue
			}
			for _, w := range n.Energy.Dedup().PowerW {
				if w > 0 {
					highest, readings = math.Max(highest, w), readings+1
				}
			}
		}
	}
	return highest, readings
}

func nodesOf(t *testing.T, name string) (nodes []profile.Node) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Open(f, info.Size(), profile.Options{})
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(name), err)
	}
	for _, s := range p.Steps {
		nodes = append(nodes, s.Nodes...)
	}
	return nodes
}
