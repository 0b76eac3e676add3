package insight

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// Store is the system of record as this package needs it.
type Store interface {
	// Due lists jobs whose analysis is due: those without a report before those with one, and
	// then those waiting longest.
	Due(ctx context.Context, limit int) ([]uuid.UUID, error)
	// Material reads all that is known of a job but its profiles' bytes. apperr not_found.
	Material(ctx context.Context, id uuid.UUID) (Material, error)
	// Stored reads the stored analysis; ok is false when there is none that can be read.
	Stored(ctx context.Context, id uuid.UUID) (a Analysis, ok bool, err error)
	// Save stores analyses and clears what is due of each. Of a job that changed after Seen, or is gone, nothing is stored.
	Save(ctx context.Context, results []Result) error
	Marks
}

// Marks make the analysis of jobs due.
type Marks interface {
	// MarkDue makes a job's analysis due.
	MarkDue(ctx context.Context, id uuid.UUID, now time.Time) error
	// MarkMissed makes those jobs due of which a profile was stored after their analysis.
	MarkMissed(ctx context.Context, now time.Time) (int64, error)
	// MarkStale makes those jobs due whose report is of an older revision.
	MarkStale(ctx context.Context, s Stale, now time.Time) (int64, error)
}

// Stale selects reports of revisions before Revision, so many that at most Limit jobs are due. Without Profiles those with
// profiles are left out, and not counted: nobody here can analyse them.
type Stale struct {
	Revision, Limit int
	Profiles        bool
}

// Archive is the store as questions about many jobs need it.
type Archive interface {
	// Period sums up the jobs of a selection.
	Period(ctx context.Context, s Selection) (Counts, error)
	// EachReport hands over the stored reports of those that have ended, without series, newest first, one by one: there may be very many. An error
	// of fn ends it. fn must not use the store.
	EachReport(ctx context.Context, s Selection, fn func(Known) error) error
	// ReportsOf gives the stored reports of jobs that have ended, without order; jobs without a report are left out.
	ReportsOf(ctx context.Context, ids []uuid.UUID) ([]Known, error)
	// Siblings gives a job and the other tasks of its array.
	Siblings(ctx context.Context, id uuid.UUID) ([]uuid.UUID, error)
	// Outputs gives what the stored report says that a job took, and its stored outputs, without footprints.
	Outputs(ctx context.Context, id uuid.UUID) (Footprint, []Output, error)
}

// ErrGone says that an object is not there: trying again does not help.
var ErrGone = errors.New("it is no longer in the object store")

// ProfileSource reads stored objects. The caller bounds what it reads. A missing object is ErrGone.
type ProfileSource interface {
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// Material is what is known of a job.
type Material struct {
	ID          uuid.UUID
	SlurmJobID  string
	Ended       bool // accounting told the end
	Due         bool
	UpdatedAt   time.Time
	Rows        []Row // of all attempts, the job's own row before its steps
	Samples     []Row // of sstat: the last of each step of the last attempt
	Profiles    []Profile
	ClusterID   string
	ClusterName string
	Facts       []byte // JSON of the contract's ClusterFacts
	// Script and InputBytes are what the wrapper said of the batch script and of what it brought to the job; nil and 0 are not known.
	Script     *workprint.Text
	InputBytes int64
}

// Row is a stored accounting row.
type Row struct {
	Digest string
	Record *slurmfmt.Record
}

// Profile is a stored HDF5 file of the job's own user.
type Profile struct {
	Key, Name, SHA256 string
	SizeBytes         int64
}

// Analysis is a stored result.
type Analysis struct {
	Report     efficiency.Report // without Series
	Series     *efficiency.SeriesSet
	Digest     string // of everything that went in
	Sums       Sums
	ComputedAt time.Time
}

// Sums are the numbers that aggregates are made of; nil is not known.
type Sums struct {
	CPUAllocated, CPUUsed, MemoryAllocated, MemoryUsed *float64
	LimitS, ElapsedS                                   *float64
	GPUAllocated, GPUUsed, EnergyJ                     *float64
	WastedCore, WastedMemory, WastedGPU                *float64
	Cost, CarbonG                                      *float64
	CostUnit                                           string // of Cost: a currency
	EnergyOpen                                         bool   // EnergyJ is that of shared nodes and could not be split
	Ledger                                             efficiency.Ledger
}

// Selection selects jobs by submit time, From inclusive, To exclusive: those of an account, or where UserID is uuid.Nil those
// of a unix user, or where that is empty too those of everybody.
type Selection struct {
	UserID   uuid.UUID
	UnixUser string
	Cluster  string
	From, To time.Time
}

// Counts are numbers of jobs of a selection.
type Counts struct {
	Jobs, Started, Done, Failed int64
	CPUAllocatedCoreS           float64
}

// Known is a job with its stored report.
type Known struct {
	ID     uuid.UUID
	Report efficiency.Report
}

// Result is an analysis on its way to the store; Seen is when the job had last changed.
type Result struct {
	ID       uuid.UUID
	Analysis Analysis
	Seen     time.Time
	Nothing  bool // accounting holds nothing of the job: what is stored of it stays
}
