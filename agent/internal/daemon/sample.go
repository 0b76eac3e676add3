package daemon

import (
	"context"
	"time"
)

// sampleEvery is the time between two calls of sstat, 0 where it is off.
func (d *Daemon) sampleEvery() time.Duration {
	if d.opt.Config.Slurm.SstatPerMinute <= 0 {
		return 0
	}
	return time.Duration(float64(time.Minute) / d.opt.Config.Slurm.SstatPerMinute)
}

// sampleAs: Slurm tells root and the owner. Who serves all users of a node without being root asks by their helpers.
func (d *Daemon) sampleAs(user string) string {
	if !d.opt.System || d.opt.Self.UID == 0 || d.opt.Helpers == nil {
		return ""
	}
	return user
}

// sampleLoop asks what running jobs have used so far, where the site turned that on. Without a server nobody wants to know.
func (d *Daemon) sampleLoop(ctx context.Context) error {
	every := d.sampleEvery()
	if every == 0 {
		return nil
	}
	for sleep(ctx, every) {
		if d.client.Load() == nil {
			continue
		}
		if err := d.sampler.Sample(ctx); err != nil && ctx.Err() == nil {
			d.opt.Log.Warn("running jobs have no new sample", "error", err)
		}
	}
	return nil
}
