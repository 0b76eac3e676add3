package site

import "time"

// Job is what tests read of the API's job.
type Job struct {
	ID            string    `json:"id"`
	SlurmJobID    string    `json:"slurm_job_id"`
	JobIDRaw      string    `json:"job_id_raw"`
	SubmissionID  string    `json:"submission_id"`
	UserID        string    `json:"user_id"`
	UnixUser      string    `json:"unix_user"`
	Name          string    `json:"name"`
	State         string    `json:"state"`
	SlurmState    string    `json:"slurm_state"`
	ExitCode      *int32    `json:"exit_code"`
	UploadPhase   string    `json:"upload_phase"`
	OutputsPrefix string    `json:"outputs_prefix"`
	Attempts      []Attempt `json:"attempts"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// Attempt is one incarnation of a job.
type Attempt struct {
	Attempt    int32  `json:"attempt"`
	SlurmState string `json:"slurm_state"`
}

// File is a stored object.
type File struct {
	ID             string `json:"id"`
	Key            string `json:"key"`
	Name           string `json:"name"`
	Class          string `json:"class"`
	Size           int64  `json:"size"`
	SHA256         string `json:"sha256"`
	SHA256Verified bool   `json:"sha256_verified"`
	JobID          string `json:"job_id"`
}

// Event is one step of a job.
type Event struct {
	EventID    string    `json:"event_id"`
	Seq        int64     `json:"seq"`
	Type       string    `json:"type"`
	At         time.Time `json:"at"`
	ReceivedAt time.Time `json:"received_at"`
	State      string    `json:"state"`
	SlurmState string    `json:"slurm_state"`
	Message    string    `json:"message"`
	Manifest   []Entry   `json:"manifest"`
}

// Entry is one file of a manifest.
type Entry struct {
	Path   string `json:"path"`
	Status string `json:"status"`
	Reason string `json:"reason"`
	Size   int64  `json:"size"`
}

// Report is what tests read of a job's report.
type Report struct {
	ID  string `json:"id"`
	Job struct {
		State          string   `json:"state"`
		SlurmState     string   `json:"slurm_state"`
		ExitCode       string   `json:"exit_code"`
		ElapsedSeconds *float64 `json:"elapsed_s"`
		Nodes          *int64   `json:"nodes"`
	} `json:"job"`
	Metrics  map[string]Metric `json:"metrics"`
	Findings []struct {
		Code string `json:"code"`
	} `json:"findings"`
	Verdict string   `json:"verdict"`
	Sources []string `json:"sources"`
}

// Metric is one number with where it comes from.
type Metric struct {
	Value   *float64 `json:"value"`
	Unit    string   `json:"unit"`
	Bound   string   `json:"bound"`
	Source  string   `json:"source"`
	Reasons []string `json:"reasons"`
}
