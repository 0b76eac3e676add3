package jobs

import (
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// Snapshot is what an agent says of one attempt of a job. Times are unix seconds; nil is not known.
// It is stored as JSON, hence the tags.
type Snapshot struct {
	Attempt      int        `json:"attempt"`
	Seq          int64      `json:"seq"`
	StateSeq     int64      `json:"state_seq"`
	SlurmJobID   string     `json:"slurm_job_id"`
	JobIDRaw     string     `json:"job_id_raw"`
	SubmissionID *uuid.UUID `json:"submission_id,omitempty"`
	UID          int64      `json:"uid"`
	UnixUser     string     `json:"unix_user"`
	Name         string     `json:"name,omitempty"`
	Account      string     `json:"account,omitempty"`
	Partition    string     `json:"partition,omitempty"`
	QOS          string     `json:"qos,omitempty"`
	State        string     `json:"state"`
	SlurmState   string     `json:"slurm_state"`
	Reason       string     `json:"reason,omitempty"`
	ExitCode     *int64     `json:"exit_code,omitempty"`
	ExitSignal   *int64     `json:"exit_signal,omitempty"`
	Submit       int64      `json:"submit"`
	Start        *int64     `json:"start,omitempty"`
	End          *int64     `json:"end,omitempty"`
	Nodes        *int64     `json:"nodes,omitempty"`
	CPUs         *int64     `json:"cpus,omitempty"`
	NodeList     string     `json:"node_list,omitempty"`
	UploadPhase  string     `json:"upload_phase,omitempty"`
	// Script and InputBytes are what the wrapper said of the batch script and of what was brought to the job.
	Script     *workprint.Text `json:"script,omitempty"`
	InputBytes int64           `json:"input_bytes,omitempty"`
}

func (s Snapshot) stage() stage {
	state := slurmfmt.ParseState(s.SlurmState)
	if state.Known() {
		return stageOfState(state, s.Start != nil)
	}
	switch slurmfmt.APIState(s.State) {
	case slurmfmt.StateDone, slurmfmt.StateFailed:
		return stageEnded
	case slurmfmt.StateRunning:
		return stageRunning
	}
	return stageWaiting
}

// merge gives what is known of an attempt after two snapshots of it, whichever came first: the later sequence number
// counts, but an end that was once reported stands.
func (s Snapshot) merge(o Snapshot) Snapshot {
	late, early := s, o
	if o.Seq > s.Seq {
		late, early = o, s
	}
	ended := late
	if a, b := early.stage(), late.stage(); a > b || a == b && early.StateSeq > late.StateSeq {
		ended = early
	}
	late.StateSeq, late.State, late.SlurmState, late.Reason = ended.StateSeq, ended.State, ended.SlurmState, ended.Reason
	late.ExitCode, late.ExitSignal, late.Start, late.End = ended.ExitCode, ended.ExitSignal, ended.Start, ended.End
	if late.Script == nil {
		late.Script = early.Script
	}
	late.InputBytes = max(late.InputBytes, early.InputBytes)
	return late
}
