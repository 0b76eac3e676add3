// Package efficiency runs jobs of known behaviour on a real Slurm and compares every number that Ergon gives with what
// the jobs did. The tolerances are those of docs/efficiency.md.
package efficiency

import (
	"context"
	"os"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

var (
	world *site.Site
	alice *site.Person
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		world, err = site.Start(ctx, h, site.Options{Slurm: harness.SlurmOptions{Nodes: 4, Fake: true}, SstatPerMinute: 30})
		if err != nil {
			return err
		}
		alice, err = world.Join(ctx, "alice")
		return err
	}))
}
