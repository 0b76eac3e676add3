package daemon

import (
	"context"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/api"
)

// maxUnixName is how long a user's name may be in the contract (useradd(8) allows 32).
const maxUnixName = 64

// tellCoordinators reports Slurm's coordinators. A cluster without slurmdbd has none to tell.
func (d *Daemon) tellCoordinators(ctx context.Context, c *cloud.Client) error {
	list, err := d.slurm.Coordinators(ctx)
	if err != nil {
		d.opt.Log.Debug("Slurm's coordinators could not be read", "error", err)
		return nil // accounting is optional in Slurm; what was told before stands
	}
	return c.PutCoordinators(ctx, wireCoordinators(list))
}

func wireCoordinators(list []slurm.Coordinator) []api.Coordinator {
	out := make([]api.Coordinator, 0, len(list))
	for _, l := range list {
		if len(l.User) <= maxUnixName {
			out = append(out, api.Coordinator{Account: l.Account, UnixName: l.User})
		}
	}
	return out
}
