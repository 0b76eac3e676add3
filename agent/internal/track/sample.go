package track

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Meter asks sstat. user "" asks as the agent; Slurm answers the jobs' owner and root only.
type Meter interface {
	Samples(ctx context.Context, user string, ids []string) (slurm.Table, error)
}

// SampleSink takes rows of sstat that were taken at a time, each with the columns JobIDRaw, Submit and Start of its job.
type SampleSink interface {
	Samples(ctx context.Context, at time.Time, columns []string, rows [][]string) error
}

// SamplerOptions of a Sampler.
type SamplerOptions struct {
	Meter   Meter
	Journal *journal.Journal
	Sink    SampleSink
	// Tell is that of Options: what is told of nobody is not asked for either.
	Tell func(uid uint32) bool
	// As says as whom a job is asked for: "" as the agent.
	As  func(user string) string
	Now func() time.Time
	// Every is the time between two calls. A younger job waits.
	Every time.Duration
}

// Sampler asks what running jobs have used so far. It reads the journal and writes nothing there: whatever comes of a call,
// no state follows from it. Calls of Sample may not overlap.
type Sampler struct {
	opt  SamplerOptions
	last map[journal.JobKey]time.Time // when an attempt was asked for last, with or without an answer
}

// NewSampler makes a sampler.
func NewSampler(opt SamplerOptions) *Sampler {
	return &Sampler{opt: opt, last: map[journal.JobKey]time.Time{}}
}

// Sample asks once, for the attempts whose last sample is the oldest, and hands the answer on. An error changes nothing.
func (s *Sampler) Sample(ctx context.Context) error {
	jobs, user, err := s.choose(ctx)
	if err != nil || len(jobs) == 0 {
		return err
	}
	at := s.opt.Now()
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i], s.last[job.key] = job.raw, at
	}
	table, err := s.opt.Meter.Samples(ctx, user, ids)
	switch slurm.FaultOf(err) {
	case slurmfmt.FaultNone:
	case slurmfmt.FaultNotRunning, slurmfmt.FaultInvalidJob: // they ended meanwhile
		return nil
	default:
		return fmt.Errorf("asking sstat for %d running jobs: %w", len(ids), err)
	}
	columns, rows := samplesOf(table, jobs)
	if len(rows) == 0 {
		return nil
	}
	if err := s.opt.Sink.Samples(ctx, at, columns, rows); err != nil {
		return fmt.Errorf("handing on what running jobs have used: %w", err)
	}
	return nil
}

// running is what has to be known of an attempt that may be asked for: there may be a hundred thousand.
type running struct {
	key           journal.JobKey
	raw, id, user string
	submit, start time.Time
}

// choose gives the attempts of one call: as many as it may ask for as one user, the longest unasked first.
func (s *Sampler) choose(ctx context.Context) (jobs []running, user string, err error) {
	due := s.opt.Now().Add(-s.opt.Every)
	last := map[journal.JobKey]time.Time{}
	for job, err := range s.opt.Journal.ActiveJobs(ctx) {
		if err != nil {
			return nil, "", err
		}
		if d := job.Detail; d.Foreign || d.StartAt.IsZero() || d.StartAt.After(due) {
			continue
		}
		if job.State != journal.JobRunning || !plainNumber(job.JobIDRaw) || !s.opt.Tell(job.UID) {
			continue
		}
		if at, asked := s.last[job.JobKey]; asked {
			last[job.JobKey] = at
		}
		jobs = append(jobs, running{job.JobKey, job.JobIDRaw, job.SlurmJobID, job.User, job.SubmitAt, job.Detail.StartAt})
	}
	s.last = last // what no longer runs is forgotten
	if len(jobs) == 0 {
		return nil, "", nil
	}
	slices.SortStableFunc(jobs, func(a, b running) int {
		return cmp.Or(last[a.key].Compare(last[b.key]), a.start.Compare(b.start))
	})
	user = s.opt.As(jobs[0].user)
	jobs = slices.DeleteFunc(jobs, func(job running) bool { return s.opt.As(job.user) != user })
	return jobs[:min(len(jobs), slurm.MaxIDs)], user, nil
}

// plainNumber is how Slurm names each task and component by itself; it goes into a list of ids.
func plainNumber(raw string) bool {
	_, err := strconv.ParseUint(raw, 10, 32)
	return err == nil
}

// samplesOf adds to each row which run it is of. Rows of jobs that were not asked for are left out.
func samplesOf(table slurm.Table, jobs []running) (columns []string, rows [][]string) {
	byID := map[string]running{}
	for _, job := range jobs {
		byID[job.raw] = job
	}
	for _, job := range jobs { // Slurm may name a task by its array, a component by its job
		if _, taken := byID[job.id]; !taken {
			byID[job.id] = job
		}
	}
	for _, rec := range table.Rows {
		id, err := rec.ID()
		if err != nil || !id.IsStep() {
			continue
		}
		job, asked := byID[id.Job().String()]
		if !asked {
			continue
		}
		rows = append(rows, append(slurm.Fields(rec), job.raw, unix(job.submit), unix(job.start)))
	}
	return append(slices.Clone(table.Columns), "JobIDRaw", "Submit", "Start"), rows
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
