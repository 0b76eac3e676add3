package track

import (
	"context"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
)

// offersPerCycle bounds how many foreign jobs are offered in one cycle.
const offersPerCycle = 1000

// offerForeign tells the control plane now and then of jobs that another agent of the cluster reports. It says no for as
// long as that agent is alive, and yes once it is gone: then the job is ours.
func (t *Tracker) offerForeign(ctx context.Context) error {
	now := t.opt.Now()
	if now.Sub(t.offers) < min(t.opt.Timing.OfferEvery, t.opt.Timing.WindowEvery) {
		return nil
	}
	t.offers = now
	foreign, err := t.opt.Journal.ForeignJobs(ctx, now.Add(-t.opt.Timing.OfferEvery), offersPerCycle)
	if err != nil {
		return err
	}
	for _, job := range foreign {
		if !t.opt.Tell(job.UID) {
			continue
		}
		_, err := t.opt.Journal.PutJob(ctx, journal.Change{
			Key: job.JobKey, MustExist: true, Event: &journal.EventDraft{Type: "state", Offer: true},
			Apply: func(j *journal.Job) { j.Detail.OfferedAt = now },
		})
		if err != nil {
			return err
		}
	}
	return nil
}
