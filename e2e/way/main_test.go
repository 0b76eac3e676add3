// Package way walks the whole way of a job: submit, track, upload, analyse, report, with agent and server in different
// network namespaces and TLS between them.
package way

import (
	"context"
	"os"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

var (
	world      *site.Site
	alice, bob *site.Person
	carol      *site.Person // a visitor: a unix user without an account, until a test gives her one
)

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		world, err = site.Start(ctx, h, site.Options{Apart: true, Slurm: harness.SlurmOptions{Nodes: 3, Fake: true}})
		if err != nil {
			return err
		}
		if alice, err = world.Join(ctx, "alice"); err != nil {
			return err
		}
		if bob, err = world.Join(ctx, "bob"); err != nil {
			return err
		}
		carol, err = world.Visit("carol")
		return err
	}))
}
