package outputs

import (
	"time"

	"github.com/google/uuid"
)

// JobFiles names one attempt of a job that has ended, and where its files are. It holds nothing secret.
type JobFiles struct {
	// JobID is the platform's own id of the job; Attempt counts requeues from 0.
	JobID   uuid.UUID `json:"job_id"`
	Attempt int32     `json:"attempt"`
	// SubmissionID is uuid.Nil for a job that carries no tag.
	SubmissionID uuid.UUID `json:"submission_id"`
	// SlurmJobID is the id as Slurm prints it (123_4); JobIDRaw is the number that profile file names carry.
	SlurmJobID string `json:"slurm_job_id"`
	JobIDRaw   string `json:"job_id_raw"`
	// UID, GID and User are the job's owner. All file work happens with exactly this identity.
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	User string `json:"user"`
	// ArrayTask is the task's number in text, "" for a job that is no array task. Its outputs lie in OutputDir/ArrayTask.
	ArrayTask string `json:"array_task,omitempty"`

	Dirs Dirs `json:"dirs"`
	// Globs are the declared outputs (#ERGON outputs=…), relative to OutputDir first and to WorkDir otherwise.
	Globs []string `json:"globs,omitempty"`
	// StartedAt is when Slurm started this attempt. What Globs name below WorkDir and has not changed since is of somebody
	// else. Zero is unknown, and then everything that matches is taken.
	StartedAt time.Time `json:"started_at,omitzero"`
	Caps      Caps      `json:"caps"`
}

// Dirs are absolute paths; an empty one is unknown and is not looked at.
type Dirs struct {
	// Work is the job's working directory, Output the directory that the wrapper made for this submission.
	Work   string `json:"work,omitempty"`
	Output string `json:"output,omitempty"`
	// Scratch is cleaned, never collected.
	Scratch string `json:"scratch,omitempty"`
	// Stdout and Stderr are files. They are the same path when the job merges them, and are then collected once.
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	// Profile is the user's own directory below ProfileHDF5Dir.
	Profile string `json:"profile,omitempty"`
}

// Caps bound what one job may upload. Zero means the default.
type Caps struct {
	// FileBytes is the largest single file, JobBytes and JobFiles the sums for one attempt.
	FileBytes int64 `json:"file_bytes,omitempty"`
	JobBytes  int64 `json:"job_bytes,omitempty"`
	JobFiles  int   `json:"job_files,omitempty"`
	// EndBytes is how much of each end of stdout and of stderr is kept.
	EndBytes int64 `json:"end_bytes,omitempty"`
}

// Default caps (design 02, Uploads).
const (
	DefaultFileBytes = 1 << 30
	DefaultJobBytes  = 10 << 30
	DefaultJobFiles  = 10_000
	DefaultEndBytes  = 1 << 20
)

// OrDefault fills what is zero.
func (c Caps) OrDefault() Caps {
	d := Caps{FileBytes: DefaultFileBytes, JobBytes: DefaultJobBytes, JobFiles: DefaultJobFiles, EndBytes: DefaultEndBytes}
	if c.FileBytes > 0 {
		d.FileBytes = c.FileBytes
	}
	if c.JobBytes > 0 {
		d.JobBytes = c.JobBytes
	}
	if c.JobFiles > 0 {
		d.JobFiles = c.JobFiles
	}
	if c.EndBytes > 0 {
		d.EndBytes = c.EndBytes
	}
	return d
}
