package slurmfmt

// JobID is a parsed Slurm job or step id: 123, 123_4, 123_[1-10%5], 123+0,
// 123_2+1, each optionally with a step (.batch, .extern, .interactive, .0, .0+1).
// It is comparable, can be a map key, and is made only by ParseJobID.
type JobID struct {
	base    uint64
	task    uint32
	het     uint32
	taskSet string // the text between the brackets, without the %limit
	limit   string // the digits after %
	step    Step
	hasTask bool
	hasHet  bool
}

// Step names one step of a job. The zero value means "no step: the job itself".
type Step struct {
	name   string // "batch", "extern", "interactive", or digits
	het    uint32
	hasHet bool
}

// ParseJobID parses any id that sacct, squeue or scontrol print. An id that the
// grammar does not cover gives an error that quotes it (shortened); callers keep
// such text as opaque.
func ParseJobID(s string) (JobID, error) { return parseJobID(s) }

// Base is the number before any suffix. For an array it is the array's id, which
// is not the JobIDRaw of a task.
func (id JobID) Base() uint64 { return id.base }

// Task gives the array task of 123_4. ok is false for plain ids and for sets.
func (id JobID) Task() (task uint32, ok bool) { return id.task, id.hasTask }

// TaskSet gives the text between the brackets of 123_[1-10%5], without %5.
func (id JobID) TaskSet() (set string, ok bool) { return id.taskSet, id.taskSet != "" }

// Component gives the het component of 123+1.
func (id JobID) Component() (component uint32, ok bool) { return id.het, id.hasHet }

// Step gives the step part; Step().IsZero() means that the id names a job.
func (id JobID) Step() Step { return id.step }

// IsStep says whether the id names a step (123.batch), not a job.
func (id JobID) IsStep() bool { return !id.step.IsZero() }

// IsZero says whether the id was never parsed.
func (id JobID) IsZero() bool { return id == JobID{} }

// Job is the id without its step: what groups the rows of one job.
func (id JobID) Job() JobID { id.step = Step{}; return id }

// IsZero says that there is no step.
func (s Step) IsZero() bool { return s.name == "" }

// IsBatch reports the .batch step.
func (s Step) IsBatch() bool { return s.name == "batch" }

// IsExtern reports the .extern step.
func (s Step) IsExtern() bool { return s.name == "extern" }

// IsInteractive reports the .interactive step (srun --pty inside salloc).
func (s Step) IsInteractive() bool { return s.name == "interactive" }

// IsNumbered reports a step that srun made (.0, .1, …).
func (s Step) IsNumbered() bool { return s.name != "" && s.name[0] >= '0' && s.name[0] <= '9' }

// Component gives the het component of a step .0+1.
func (s Step) Component() (component uint32, ok bool) { return s.het, s.hasHet }
