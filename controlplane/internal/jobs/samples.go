package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// SampleBatch is rows of sstat of running jobs of one cluster, each with the JobIDRaw and Submit of its job.
type SampleBatch struct {
	Cluster Cluster
	Rows    []*slurmfmt.Record
	// At is when they were taken, by the reporter's clock.
	At time.Time
}

// Sample is what sstat said of a step.
type Sample struct {
	Place  Place
	Digest string
	// Fields is a JSON object of the columns that hold something.
	Fields []byte
	At     time.Time
}

// sampleColumns are all that is kept of a row of sstat: numbers, and names of nodes.
var sampleColumns = []string{
	"NTasks", "AveCPU", "MaxRSS", "MaxRSSNode", "AveRSS", "TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot", "ConsumedEnergyRaw",
}

// Samples keeps what sstat said of the steps of running jobs. It changes nothing of the jobs themselves, and it counts for
// nothing once accounting has told the end of the run. It may be repeated, and come in any order: of each step the newest stays.
func (s *Service) Samples(ctx context.Context, who Reporter, batch SampleBatch) (Result, error) {
	now := s.now()
	if batch.At.After(now) {
		batch.At = now
	}
	readings, bad := readSamples(batch.Rows)
	want := Want{ClusterID: batch.Cluster.ID}
	for _, r := range readings {
		want.Raws = append(want.Raws, r.ident.raw)
	}
	slices.Sort(want.Raws)
	want.Raws = slices.Compact(want.Raws)
	var res Result
	err := s.books.Edit(ctx, want, func(b *Book) ([]*Entry, error) {
		res = Result{Bad: slices.Clone(bad)}
		b.open(who, batch.Cluster.Name, now)
		b.intake = s.intake
		return nil, b.sample(readings, want.Raws, batch.At, &res)
	})
	if err != nil {
		return Result{}, err
	}
	slices.SortFunc(res.Bad, func(a, b Bad) int { return a.Row - b.Row })
	return res, nil
}

// reading is a row of sstat that can be used.
type reading struct {
	ident  ident
	submit int64
	start  *int64 // nil where it is not said
	line   int
	record *slurmfmt.Record
}

func readSamples(rows []*slurmfmt.Record) (readings []reading, bad []Bad) {
	for i, r := range rows {
		id, err := identOf(r)
		submit := moment(r, "Submit")
		switch {
		case err != nil:
		case id.step == "":
			err = fault("a row of sstat is about a step, and JobID names none")
		case submit == nil:
			err = fault("Submit holds no time, so the run cannot be told from others of its number")
		}
		if err != nil {
			bad = append(bad, Bad{Row: i, Reason: err.Error()})
			continue
		}
		readings = append(readings, reading{id, *submit, moment(r, "Start"), i, r})
	}
	return readings, bad
}

// sample sorts readings: what is kept of them goes to b.Samples.
func (b *Book) sample(readings []reading, raws []string, at time.Time, res *Result) error {
	if err := b.learn(raws, nil); err != nil {
		return err
	}
	samples, touched := map[Place]Sample{}, map[uuid.UUID]bool{}
	for _, r := range readings {
		e, run := b.sampled(r)
		switch {
		case run == nil:
			res.Bad = append(res.Bad, Bad{Row: r.line, Reason: "a step of job " + r.ident.job + ", of which accounting has told no such run", Orphan: true})
		case !b.who.mayReport(e.Job.UID, b.Links) || !b.who.mayTouch(e.Job):
			res.Refused++
		case b.stranger(e.Job.UID, e.Job.UnixUser):
			res.Strangers++
		case run.Facts.stage == stageEnded:
			res.Unchanged++
		default:
			fields := encode(measurements(r))
			place := Place{*run.Origin, r.ident.step}
			samples[place] = Sample{place, digestOf(fields), fields, at}
			touched[e.Job.ID] = true
			res.Rows++
		}
	}
	for _, s := range samples {
		b.Samples = append(b.Samples, s)
	}
	res.Jobs = len(touched)
	return nil
}

// sampled finds the stored run that a reading is of. What only an agent of a user's own has told of a job is not joined to
// what the site's agent says: its accounting replaces that first (vouch).
func (b *Book) sampled(r reading) (*Entry, *Run) {
	for _, e := range b.byRaw[r.ident.raw] {
		if b.who.Owner == nil && e.Job.SelfAsserted {
			continue
		}
		for _, run := range e.Runs {
			f := run.Facts
			if f.Submit == r.submit && (r.start == nil || f.Start == nil || *f.Start == *r.start) {
				return e, run
			}
		}
	}
	return nil, nil
}

// measurements are the step's name and what was measured of it.
func measurements(r reading) *slurmfmt.Record {
	names, values := []string{"JobID"}, []string{r.record.Get("JobID")}
	for _, name := range sampleColumns {
		names, values = append(names, name), append(values, r.record.Get(name))
	}
	return slurmfmt.NewRecord(slurmfmt.NewColumns(names...), values, nil)
}
