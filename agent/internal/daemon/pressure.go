package daemon

import (
	"context"
	"time"
)

// pressureEvery is how often slurmctld is asked how much waits for slurmdbd.
const pressureEvery = time.Minute

// pressureLoop asks Slurm less often while slurmctld's queue to slurmdbd grows: our questions to accounting compete with
// the records of jobs then (design 02).
func (d *Daemon) pressureLoop(ctx context.Context) error {
	var p pressure
	for sleep(ctx, pressureEvery) {
		n, err := d.slurm.DatabaseQueue(ctx)
		if err != nil {
			d.opt.Log.Debug("how much waits for slurmdbd could not be asked", "error", err)
			continue // nothing is known: the rate stays as it is
		}
		before := p.behind
		d.slurm.Press(p.note(n))
		if p.behind != before {
			d.opt.Log.Info("slurmctld's queue to slurmdbd decides how often Slurm is asked", "waiting", n, "less_often", p.behind)
		}
		d.metrics.waiting.Set(float64(n))
	}
	return nil
}

// pressure compares the queue with what it was before.
type pressure struct {
	known  bool
	last   int64
	behind bool
}

// note tells whether the queue grows. One that stands still above zero is as bad as before; one that shrinks, or is empty,
// is not.
func (p *pressure) note(n int64) bool {
	switch {
	case n == 0 || !p.known || n < p.last:
		p.behind = false
	case n > p.last:
		p.behind = true
	}
	p.known, p.last = true, n
	return p.behind
}
