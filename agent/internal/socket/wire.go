// Package socket is the agent's local interface: HTTP with JSON over a unix socket. Who asks is what the kernel says
// (SO_PEERCRED), never what a message says. docs/agent.md lists the routes.
package socket

import (
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/workprint"
	"github.com/google/uuid"
)

// Peer is the process at the other end, as the kernel knows it. UID 0 has no special rights.
type Peer struct {
	UID, GID uint32
	PID      int32
}

// Intent says that sbatch is about to run. Dirs and Globs are the user's claim and are used with the user's rights only.
type Intent struct {
	SubmissionID uuid.UUID    `json:"submission_id"`
	Dirs         outputs.Dirs `json:"dirs"`
	Globs        []string     `json:"globs,omitempty"`
	// Script is the print of the batch script, nil where it is not known; InputBytes the size of what was brought to the job,
	// 0 before that.
	Script     *workprint.Text `json:"script,omitempty"`
	InputBytes int64           `json:"input_bytes,omitempty"`
}

// Result says what sbatch answered. It repeats the intent, which may not have arrived.
type Result struct {
	Intent
	// BaseID is the job's number as sbatch printed it, "" when it printed none.
	BaseID string `json:"base_id,omitempty"`
	// ExitCode is sbatch's; Signal is the signal that ended it, 0 for none.
	ExitCode int `json:"exit_code"`
	Signal   int `json:"signal,omitempty"`
	// NotStarted says that sbatch could not be run at all: then nothing was submitted.
	NotStarted bool `json:"not_started,omitempty"`
	// Refused says that sbatch or slurmctld said for certain that there is no job. Without it a failure is unknown.
	Refused bool `json:"refused,omitempty"`
}

// Linked is the answer to a link.
type Linked struct {
	Cluster  string `json:"cluster"`
	UID      uint32 `json:"uid"`
	UnixName string `json:"unix_name"`
}

// Token is a login by unix identity. AccessToken is a secret.
type Token struct {
	Server      string    `json:"server"`
	Username    string    `json:"username"`
	UserID      uuid.UUID `json:"user_id"`
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// Objection is how the asking user stands with what the server stores of people without an account.
type Objection struct {
	Server   string `json:"server"`
	Cluster  string `json:"cluster"`
	UID      uint32 `json:"uid"`
	UnixName string `json:"unix_name"`
	// Objected says that an objection stands, Since since when.
	Objected bool       `json:"objected"`
	Since    *time.Time `json:"since,omitempty"`
	// Linked says that an account decides instead.
	Linked bool `json:"linked"`
	// JobsNamed is how many stored jobs of no account name the user; JobsHidden those that this call took the user out of.
	JobsNamed  int64 `json:"jobs_named"`
	JobsHidden int64 `json:"jobs_hidden"`
}

// Status is what an agent tells anybody on the node about itself, and the asking user about his own standing.
type Status struct {
	Version string `json:"version"`
	// Mode is user or system.
	Mode    string `json:"mode"`
	Cluster string `json:"cluster"`
	// Server is "" before enrolment.
	Server   string `json:"server,omitempty"`
	Enrolled bool   `json:"enrolled"`
	// Revoked says that the server refuses the agent's key.
	Revoked bool `json:"revoked,omitempty"`
	// UID and UnixName are the asking user's; Linked says whether the control plane knows an account for them, nil that
	// it has not been asked yet.
	UID      uint32 `json:"uid"`
	UnixName string `json:"unix_name"`
	Linked   *bool  `json:"linked,omitempty"`
	// Uploads says whether this node collects outputs.
	Uploads bool `json:"uploads"`
	// SlurmAnsweredAt is when squeue last answered; Problems is what is wrong now, in words.
	SlurmAnsweredAt *time.Time `json:"slurm_answered_at,omitempty"`
	Problems        []string   `json:"problems,omitempty"`
	// OutboxEvents is how many events wait for the server, OutboxSince since when.
	OutboxEvents int64      `json:"outbox_events"`
	OutboxSince  *time.Time `json:"outbox_since,omitempty"`
	// ClockOffset is how many seconds the server's clock is ahead; nil when it was not measured.
	ClockOffset *float64 `json:"clock_offset_s,omitempty"`
	// Jobs counts the asking user's attempts by state.
	Jobs map[string]int `json:"jobs,omitempty"`
	// Sending is what is on its way to the store now, of the asking user's jobs.
	Sending []Sending `json:"sending,omitempty"`
}

// Sending is how far one job's outputs are. Bytes count what the store has accepted in this round, part by part.
type Sending struct {
	SlurmJobID string `json:"slurm_job_id"`
	Files      int    `json:"files"`
	FilesTotal int    `json:"files_total"`
	Bytes      int64  `json:"bytes"`
	BytesTotal int64  `json:"bytes_total"`
	// Current is the file that was begun last, without control characters.
	Current string `json:"current,omitempty"`
}

// Job is one attempt of the asking user, as the agent sees it.
type Job struct {
	JobID        uuid.UUID `json:"job_id"`
	SubmissionID uuid.UUID `json:"submission_id"`
	Attempt      int32     `json:"attempt"`
	SlurmJobID   string    `json:"slurm_job_id"`
	Name         string    `json:"name"`
	State        string    `json:"state"`
	SlurmState   string    `json:"slurm_state"`
	UploadPhase  string    `json:"upload_phase,omitempty"`
	Message      string    `json:"message,omitempty"`
	SubmitAt     time.Time `json:"submit_at"`
	// StaleSince is set while Slurm does not answer.
	StaleSince *time.Time `json:"stale_since,omitempty"`
}

// Error is an answer that the peer may read.
type Error struct {
	// Status is the HTTP status.
	Status  int    `json:"-"`
	Message string `json:"error"`
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }
