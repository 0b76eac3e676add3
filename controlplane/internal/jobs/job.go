package jobs

import (
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Job is one job as the platform shows it. nil means not known.
type Job struct {
	ID           uuid.UUID
	ClusterID    string
	Cluster      string // its name; set when read
	UserID       *uuid.UUID
	SelfAsserted bool // only an agent of the user's own has reported it
	SlurmJobID   string
	JobIDRaw     string
	ArrayJobID   string
	SubmissionID *uuid.UUID
	UID          *int64
	UnixUser     string
	Account      string
	Partition    string
	QOS          string
	Name         string
	State        slurmfmt.APIState
	SlurmState   string
	Reason       string
	ExitCode     *int64
	ExitSignal   *int64
	SubmitAt     time.Time // of the first attempt
	EligibleAt   *time.Time
	StartAt      *time.Time
	EndAt        *time.Time
	ElapsedS     *int64
	SuspendedS   *int64
	LimitS       *int64
	Nodes        *int64
	CPUs         *int64
	GPUs         *int64
	MemoryBytes  *int64
	NodeList     string
	Attempt      int // the number of the last attempt
	EventSeq     int64
	UploadPhase  string
	Outputs      string
	AccountingAt *time.Time // when accounting first said that it was over
	AnalysedAt   *time.Time
	AnalysisDue  bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Attempt is one incarnation of a job.
type Attempt struct {
	Number      int
	Account     string // of this run: a requeued one may have been moved
	Partition   string
	QOS         string
	SlurmState  string
	SubmitAt    time.Time
	EligibleAt  *time.Time
	StartAt     *time.Time // nil: never got a node
	EndAt       *time.Time
	ElapsedS    *int64
	SuspendedS  *int64
	WallS       *int64
	WaitS       *int64
	Nodes       *int64
	CPUs        *int64
	GPUs        *int64
	MemoryBytes *int64
	ExitCode    *int64
	ExitSignal  *int64
}

// Event is something that an agent said happened to a job.
type Event struct {
	ID         uuid.UUID
	JobID      uuid.UUID
	AgentID    string
	Seq        int64
	Type       string
	State      slurmfmt.APIState
	SlurmState string
	Message    string
	Manifest   []byte // a JSON list of manifest entries
	At         time.Time
	ReceivedAt time.Time
}
