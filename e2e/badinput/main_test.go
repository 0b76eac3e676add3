// Package badinput gives the product what it should not get: broken scripts, bad tokens, hostile files, and services that
// are away. Each has a clear message, and nothing is lost.
package badinput

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
)

// quotaBytes is what an account may store; the cap of a single file lies below it.
const (
	quotaBytes = 60 << 20
	capBytes   = 20 << 20
)

// serverMB is the file system of the server's data: for all that these tests store at a time.
const serverMB = 256

const settings = `uploads:
  enabled: true
  settle: 1s
  file_bytes: 20971520
  retry_blocked: 2s
`

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		world, err = site.Start(ctx, h, site.Options{
			AgentYAML: settings, ServerEnv: []string{"ERGON_QUOTA_BYTES=62914560"}, StateMB: 40,
			ServerMB: serverMB, Slurm: harness.SlurmOptions{Nodes: 3},
		})
		if err != nil {
			return err
		}
		if alice, err = world.Join(ctx, "alice"); err != nil {
			return err
		}
		bob, err = world.Join(ctx, "bob")
		return err
	}))
}
