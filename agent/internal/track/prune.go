package track

import (
	"context"
)

// Prune forgets jobs that have been closed for Timing.KeptFor. It counts from the watermark when that is older than now: rows
// that sacct will still show must find their attempts, or they would begin anew. It gives how many jobs were forgotten.
func (t *Tracker) Prune(ctx context.Context) (int, error) {
	through, err := t.opt.Journal.MetaTime(ctx, metaThrough)
	if err != nil {
		return 0, err
	}
	if through.IsZero() { // nothing was read yet, or each user's accounting is read by itself
		through = t.opt.Now().Add(-t.opt.Timing.Lookback)
	}
	if now := t.opt.Now(); now.Before(through) {
		through = now
	}
	return t.opt.Journal.Prune(ctx, through.Add(-t.opt.Timing.KeptFor))
}
