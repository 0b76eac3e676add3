package efficiency

import (
	"slices"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// attempt is one incarnation of a job, decoded, with everything that was measured.
type attempt struct {
	in    *Input
	rec   *slurmfmt.Record   // nil when only steps or profiles are known
	rows  []*slurmfmt.Record // the step rows
	state slurmfmt.State
	job   Job
	// reqMemHeld is what ReqMem gave the job: with an amount per CPU more than was asked where the site added CPUs.
	reqMemHeld *float64
	steps      []step
	// running, never and suspended decide which reasons go on every metric.
	running   bool
	never     bool
	suspended bool
	badID     bool
	// guessed: a fact of the allocation had to come from a step.
	guessed  bool
	samples  *samples // nil without profiles
	jobstats *jobstats
	sharing  sharing
	limits   Thresholds
	hosts    hosts
	measured *measured
}

// value reads an optional field.
func value[T any](p *T) (v T, ok bool) {
	if p == nil {
		return v, false
	}
	return *p, true
}

// elapsed in seconds, 0 when not known (every division checks for it).
func (a *attempt) elapsed() float64 {
	v, _ := value(a.job.ElapsedSeconds)
	return v
}

func (a *attempt) cpus() float64 {
	v, _ := value(a.job.CPUs)
	return float64(v)
}

// memory in bytes: allocated, else what ReqMem gave.
func (a *attempt) memory() (bytes float64, requested, ok bool) {
	if v, ok := value(a.job.MemoryBytes); ok && v > 0 {
		return v, false, true
	}
	v, ok := value(a.reqMemHeld)
	return v, true, ok && v > 0
}

func newAttempt(in *Input, rows attemptRows, sstat map[string]*slurmfmt.Record, files *samples) *attempt {
	a := &attempt{in: in, rec: rows.job, rows: rows.steps, samples: files, limits: thresholds(in), hosts: make(hosts)}
	a.readSteps(sstat)
	sortSteps(a.steps)
	if a.rec != nil {
		a.readJob()
		// An unreadable summary is as good as none: the field is free text.
		a.jobstats, _ = parseJobstats(a.rec.Get("AdminComment"))
	}
	a.fillFromSteps(rows)
	a.fillFromSamples(rows)
	a.setFlags()
	a.sharing = a.sharingOf()
	return a
}

// readSteps decodes the step rows and adds steps that only sstat knows. Of a running
// job a step row without a state runs too.
func (a *attempt) readSteps(sstat map[string]*slurmfmt.Record) {
	used := make(map[string]bool)
	running := a.rec != nil && a.rec.State().API == slurmfmt.StateRunning
	for _, r := range a.rows {
		name := rowID(r).step
		used[name] = true
		a.steps = append(a.steps, newStep(r, sstat[name], running, a.hosts))
	}
	for _, name := range sortedKeys(sstat) {
		if !used[name] {
			s := newStep(sstat[name], sstat[name], running || a.rec == nil, a.hosts)
			s.killed = !s.running // it ended in a way that kept it out of the accounting
			a.steps = append(a.steps, s)
		}
	}
}

// nodeNames are the job's nodes, nil when not known.
func (a *attempt) nodeNames() []string {
	if a.rec == nil {
		return nil
	}
	return a.hosts.names(a.rec.Get("NodeList"))
}

func thresholds(in *Input) Thresholds {
	if in.Thresholds != nil {
		return *in.Thresholds
	}
	if in.Cluster != nil && in.Cluster.Thresholds != nil {
		return *in.Cluster.Thresholds
	}
	return DefaultThresholds()
}

func (a *attempt) setFlags() {
	a.running = a.state.API == slurmfmt.StateRunning
	if s, ok := value(a.job.SuspendedSeconds); a.state.Word == "SUSPENDED" || ok && s > 0 {
		a.suspended = true
	}
	if a.rec == nil {
		return
	}
	a.never = a.state.API == slurmfmt.StatePending || !a.running && a.rec.NeverStarted()
	if a.state.Word == "REQUEUED" {
		// The API counts a requeued job as pending, but this incarnation has run.
		a.never = a.rec.NeverStarted()
	}
}

// fillFromSteps recovers facts of the allocation when the job row is absent: the
// extern and batch steps span the job.
func (a *attempt) fillFromSteps(rows attemptRows) {
	if a.rec != nil || len(rows.steps) == 0 {
		return
	}
	a.guessed = true
	first := rowID(rows.steps[0])
	a.job.JobID, a.badID = first.job, first.bad
	a.setParent(first.parsed)
	for _, kind := range []stepKind{stepExtern, stepBatch, stepInteractive, stepNumbered} {
		for i, s := range a.steps {
			if s.kind == kind && s.elapsed > 0 {
				a.adopt(&a.steps[i], rows)
				return
			}
		}
	}
}

func (a *attempt) adopt(s *step, rows attemptRows) {
	a.job.ElapsedSeconds = ptr(s.elapsed)
	a.running = s.running
	if s.kind != stepExtern {
		return
	}
	a.job.CPUs = opt(s.cpus, s.cpus > 0)
	a.job.Nodes = opt(s.nodeCount, s.nodeCount > 0)
	i := slices.IndexFunc(rows.steps, func(r *slurmfmt.Record) bool { return rowID(r).step == s.name })
	if i < 0 {
		return
	}
	alloc := rows.steps[i].TRES("AllocTRES")
	a.setAlloc(alloc)
}

// fillFromSamples serves a profile without any accounting: the time that it covers and
// the nodes that it names stand for the job's.
func (a *attempt) fillFromSamples(rows attemptRows) {
	if a.rec != nil || len(rows.steps) > 0 || a.samples == nil {
		return
	}
	a.guessed = true
	a.job.JobID = a.in.ID
	a.job.State = "UNKNOWN"
	a.job.Nodes = ptr(int64(len(a.samples.allNodes())))
	from, to, _ := a.samples.bounds()
	if to >= from {
		a.job.Start, a.job.End = ptr(int64(from)), ptr(int64(to))
		a.job.ElapsedSeconds = ptr(to - from)
	}
}
