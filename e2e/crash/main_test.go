// Package crash kills every part of the product −9, at each boundary of the agent's journal and at random moments, and
// counts afterwards: one Slurm job for each submission, each output once in the store, verified, nothing lost.
package crash

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

var (
	world *site.Site
	alice *site.Person
	carol *site.Person // has no account until her kept job shall be uploaded
	// programs is where the agent's programs with their crash points are.
	programs string
)

// jobObjects is how many outputs of one job are taken; one test has more.
const jobObjects = 3

const settings = "uploads:\n  enabled: true\n  settle: 1s\n  retry_blocked: 2s\n"

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		if programs, err = harness.NewScratch("crashbin"); err != nil {
			return err
		}
		h.Defer(func() error { return os.RemoveAll(programs) })
		if err := build(ctx, programs); err != nil {
			return err
		}
		world, err = site.Start(ctx, h, site.Options{
			Programs: programs, Slurm: harness.SlurmOptions{Nodes: 2}, AgentYAML: settings,
			ServerEnv: []string{fmt.Sprintf("ERGON_QUOTA_JOB_OBJECTS=%d", jobObjects)},
		})
		if err != nil {
			return err
		}
		if alice, err = world.Join(ctx, "alice"); err != nil {
			return err
		}
		carol, err = world.Visit("carol")
		return err
	}))
}

// build makes the agent's programs with their crash points.
func build(ctx context.Context, dir string) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "ergon_crash", "-o", dir+"/", "./cmd/...")
	cmd.Dir = filepath.Join(root, "agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the agent with crash points: %w: %s", err, out)
	}
	return nil
}
