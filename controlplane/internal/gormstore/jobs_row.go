package gormstore

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

type jobRow struct {
	ID            string
	ClusterID     string
	ClusterName   string `gorm:"->"`
	UserID        *string
	SlurmJobID    string
	JobIDRaw      string `gorm:"column:job_id_raw"`
	ArrayJobID    string
	SubmissionID  *string
	SelfAsserted  bool
	UID           *int64 `gorm:"column:uid"`
	UnixUser      string
	Account       string
	PartitionName string
	QOS           string `gorm:"column:qos"`
	Name          string
	State         string
	SlurmState    string
	Reason        string
	ExitCode      *int64
	ExitSignal    *int64
	SubmitAt      Time
	EligibleAt    *Time
	StartAt       *Time
	EndAt         *Time
	ElapsedS      *int64
	SuspendedS    *int64
	LimitS        *int64
	Attempt       int
	Nodes         *int64
	Cpus          *int64
	Gpus          *int64
	MemoryBytes   *int64
	NodeList      string
	EventSeq      int64
	UploadPhase   string
	OutputsPrefix string
	AccountingAt  *Time
	AnalysedAt    *Time
	AnalysisDue   bool
	CreatedAt     Time
	UpdatedAt     Time
}

func (jobRow) TableName() string { return "jobs" }

// jobsColumns are what ingest writes. Of the columns of others (inputs_key, outputs_prefix, analysed_at) it keeps off.
var jobsColumns = []string{
	"id", "cluster_id", "user_id", "slurm_job_id", "job_id_raw", "array_job_id", "submission_id", "self_asserted", "uid", "unix_user",
	"account", "partition_name", "qos", "name", "state", "slurm_state", "reason", "exit_code", "exit_signal", "submit_at", "eligible_at",
	"start_at", "end_at", "elapsed_s", "suspended_s", "limit_s", "attempt", "nodes", "cpus", "gpus", "memory_bytes", "node_list", "event_seq",
	"upload_phase", "accounting_at", "analysis_due", "created_at", "updated_at",
}

// jobsBulk never takes back that an analysis is due: a profile may have been stored since the book was read.
var jobsBulk = bulk{table: "jobs", columns: jobsColumns, conflict: strings.Replace(updateAll("id", jobsColumns),
	"analysis_due = excluded.analysis_due", "analysis_due = (jobs.analysis_due OR excluded.analysis_due)", 1)}

func jobArgs(d Dialect, j jobs.Job) []any {
	phase := j.UploadPhase
	if phase == "" {
		phase = "none"
	}
	return []any{
		j.ID.String(), j.ClusterID, textID(j.UserID), j.SlurmJobID, j.JobIDRaw, j.ArrayJobID, textID(j.SubmissionID), j.SelfAsserted, bindInt(j.UID), j.UnixUser,
		j.Account, j.Partition, j.QOS, j.Name, string(j.State), j.SlurmState, j.Reason, bindInt(j.ExitCode), bindInt(j.ExitSignal), bind(d, &j.SubmitAt), bind(d, j.EligibleAt),
		bind(d, j.StartAt), bind(d, j.EndAt), bindInt(j.ElapsedS), bindInt(j.SuspendedS), bindInt(j.LimitS), j.Attempt, bindInt(j.Nodes), bindInt(j.CPUs), bindInt(j.GPUs), bindInt(j.MemoryBytes), j.NodeList, j.EventSeq,
		phase, bind(d, j.AccountingAt), j.AnalysisDue, bind(d, &j.CreatedAt), bind(d, &j.UpdatedAt),
	}
}

func textID(id *uuid.UUID) any {
	if id == nil {
		return nil
	}
	return id.String()
}

func (r jobRow) domain() (jobs.Job, error) {
	id, err := uuid.Parse(r.ID)
	if err != nil {
		return jobs.Job{}, fmt.Errorf("reading job %q: %w", r.ID, err)
	}
	user, err := idOf(r.UserID)
	if err != nil {
		return jobs.Job{}, err
	}
	submission, err := idOf(r.SubmissionID)
	if err != nil {
		return jobs.Job{}, err
	}
	return jobs.Job{
		ID: id, ClusterID: r.ClusterID, Cluster: r.ClusterName, UserID: user, SelfAsserted: r.SelfAsserted, SlurmJobID: r.SlurmJobID, JobIDRaw: r.JobIDRaw,
		ArrayJobID: r.ArrayJobID, SubmissionID: submission, UID: r.UID, UnixUser: r.UnixUser, Account: r.Account, Partition: r.PartitionName,
		QOS: r.QOS, Name: r.Name, State: slurmfmt.APIState(r.State), SlurmState: r.SlurmState, Reason: r.Reason, ExitCode: r.ExitCode, ExitSignal: r.ExitSignal,
		SubmitAt: r.SubmitAt.Time(), EligibleAt: r.EligibleAt.Ptr(), StartAt: r.StartAt.Ptr(), EndAt: r.EndAt.Ptr(), ElapsedS: r.ElapsedS, SuspendedS: r.SuspendedS,
		LimitS: r.LimitS, Nodes: r.Nodes, CPUs: r.Cpus, GPUs: r.Gpus, MemoryBytes: r.MemoryBytes, NodeList: r.NodeList, Attempt: r.Attempt, EventSeq: r.EventSeq,
		UploadPhase: r.UploadPhase, Outputs: r.OutputsPrefix, AccountingAt: r.AccountingAt.Ptr(), AnalysedAt: r.AnalysedAt.Ptr(), AnalysisDue: r.AnalysisDue,
		CreatedAt: r.CreatedAt.Time(), UpdatedAt: r.UpdatedAt.Time(),
	}, nil
}

func idOf(text *string) (*uuid.UUID, error) {
	if text == nil || *text == "" {
		return nil, nil
	}
	id, err := uuid.Parse(*text)
	if err != nil {
		return nil, fmt.Errorf("reading an id: %w", err)
	}
	return &id, nil
}

type attemptRow struct {
	JobID         string
	Attempt       int
	Account       string
	PartitionName string
	QOS           string `gorm:"column:qos"`
	SlurmState    string
	SubmitAt      Time
	EligibleAt    *Time
	StartAt       *Time
	EndAt         *Time
	ElapsedS      *int64
	SuspendedS    *int64
	WallS         *int64
	WaitS         *int64
	Nodes         *int64
	Cpus          *int64
	Gpus          *int64
	MemoryBytes   *int64
	ExitCode      *int64
	ExitSignal    *int64
}

func (attemptRow) TableName() string { return "attempts" }

var attemptColumns = []string{
	"job_id", "attempt", "account", "partition_name", "qos", "slurm_state", "submit_at", "eligible_at", "start_at", "end_at", "elapsed_s", "suspended_s", "wall_s", "wait_s",
	"nodes", "cpus", "gpus", "memory_bytes", "exit_code", "exit_signal",
}

var attemptBulk = bulk{table: "attempts", columns: attemptColumns, conflict: updateAll("job_id, attempt", attemptColumns)}

func attemptArgs(d Dialect, job string, a jobs.Attempt) []any {
	return []any{
		job, a.Number, a.Account, a.Partition, a.QOS, a.SlurmState, bind(d, &a.SubmitAt), bind(d, a.EligibleAt), bind(d, a.StartAt), bind(d, a.EndAt), bindInt(a.ElapsedS), bindInt(a.SuspendedS),
		bindInt(a.WallS), bindInt(a.WaitS), bindInt(a.Nodes), bindInt(a.CPUs), bindInt(a.GPUs), bindInt(a.MemoryBytes), bindInt(a.ExitCode), bindInt(a.ExitSignal),
	}
}

func (r attemptRow) domain() jobs.Attempt {
	return jobs.Attempt{
		Number: r.Attempt, Account: r.Account, Partition: r.PartitionName, QOS: r.QOS, SlurmState: r.SlurmState, SubmitAt: r.SubmitAt.Time(), EligibleAt: r.EligibleAt.Ptr(), StartAt: r.StartAt.Ptr(), EndAt: r.EndAt.Ptr(),
		ElapsedS: r.ElapsedS, SuspendedS: r.SuspendedS, WallS: r.WallS, WaitS: r.WaitS, Nodes: r.Nodes, CPUs: r.Cpus, GPUs: r.Gpus,
		MemoryBytes: r.MemoryBytes, ExitCode: r.ExitCode, ExitSignal: r.ExitSignal,
	}
}
