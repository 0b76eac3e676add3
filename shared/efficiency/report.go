package efficiency

import "github.com/ergon-hpc/ergon/shared/workprint"

// Report is everything that Ergon can say about one job (or about one attempt of
// it, or about an aggregate of several). It is the JSON object of `ergon explain
// -o json` and of the API. All its numbers are finite, so it always marshals.
type Report struct {
	// ID is the caller's id of the input (Input.ID), or the Slurm job id when the
	// caller gave none.
	ID string `json:"id"`
	// Job says what was asked and what Slurm says about it.
	Job Job `json:"job"`
	// Attempts holds one report per incarnation of a requeued job, oldest first.
	// It is empty for a job with a single incarnation. Attempts have no attempts.
	Attempts []Report `json:"attempts"`
	// Metrics holds every name of MetricNames, computed or not.
	Metrics map[MetricName]Metric `json:"metrics"`
	// Ledger says where the allocated resources went.
	Ledger Ledger `json:"ledger"`
	// Findings are ordered: the most severe first, then the most wasteful.
	Findings []Finding `json:"findings"`
	// Verdict is one plain sentence: what happened.
	Verdict string `json:"verdict"`
	// Actions are at most three changes that a user can make, best first.
	Actions []Action `json:"actions"`
	// Everyday compares the energy with something people know; empty without energy.
	Everyday string `json:"everyday,omitempty"`
	// Nodes are the numbers per node where something was measured per node.
	Nodes []NodeUse `json:"nodes"`
	// Series is null unless profiles were given.
	Series *SeriesSet `json:"series"`
	// Sources names what was read, best first, in words of the closed list Source.
	Sources []Source `json:"sources"`
}

// Job is the job's own facts. A pointer is null where the accounting has no answer.
type Job struct {
	// JobID is the id as Slurm prints it ("123", "123_4", "123+0"), or the opaque
	// text of the input when it is no Slurm job id.
	JobID string `json:"job_id"`
	// JobIDRaw is Slurm's plain number of the job, empty when absent.
	JobIDRaw string `json:"job_id_raw,omitempty"`
	// ParentID is the base id of an array task or het component, else empty.
	ParentID string `json:"parent_id,omitempty"`
	// ArrayTask is the task's index ("4"), or the expression of pending tasks ("[1-10%5]").
	ArrayTask string `json:"array_task,omitempty"`
	// HetComponent is the component's offset, null when the job is not heterogeneous.
	HetComponent *int   `json:"het_component"`
	Cluster      string `json:"cluster"`
	Name         string `json:"name"`
	User         string `json:"user"`
	Account      string `json:"account"`
	Partition    string `json:"partition"`
	QOS          string `json:"qos,omitempty"`
	// Work names what the job does where its name does not: the rule that a workflow engine writes into the comment, or a
	// digest of the command of sbatch --wrap. Empty when the name is all that is known.
	Work string `json:"work,omitempty"`
	// Script and Arguments are the prints of the batch script and of what stood behind it on the command line; null where they
	// are not known for certain. Accounting tells no script: who has it sets Script.
	Script    *workprint.Text `json:"script,omitempty"`
	Arguments *workprint.Text `json:"arguments,omitempty"`
	// InputBytes is the size of the stored files that were brought to the job (#ERGON inputs=); null where not known. Set as Script.
	InputBytes *float64 `json:"input_bytes,omitempty"`
	// State is the API's word (PENDING, RUNNING, DONE, FAILED, UNKNOWN).
	State string `json:"state"`
	// SlurmState is the accounting's own word, without "by UID" and without "+".
	SlurmState string `json:"slurm_state"`
	// Reason is Slurm's reason of a pending job, as text.
	Reason string `json:"reason,omitempty"`
	// ExitCode and DerivedExitCode are "code:signal" as sacct prints them.
	ExitCode        string `json:"exit_code,omitempty"`
	DerivedExitCode string `json:"derived_exit_code,omitempty"`
	NodeList        string `json:"node_list,omitempty"`
	// Nodes and CPUs are the allocated counts. CPUs may be hardware threads.
	Nodes *int64 `json:"nodes"`
	CPUs  *int64 `json:"cpus"`
	// CPUsRequested is ReqCPUS; less than CPUs where the site rounds up.
	CPUsRequested *int64 `json:"cpus_requested"`
	// ThreadsPerCore is known only from cluster configuration.
	ThreadsPerCore *int64 `json:"threads_per_core"`
	GPUs           *int64 `json:"gpus"`
	// MemoryBytes is the allocated memory (AllocTRES), MemoryRequestedBytes the
	// decoded ReqMem of the whole job.
	MemoryBytes          *float64 `json:"memory_bytes"`
	MemoryRequestedBytes *float64 `json:"memory_requested_bytes"`
	// Submit, Start and End are Unix seconds; null when Slurm says None or Unknown.
	Submit *int64 `json:"submit"`
	Start  *int64 `json:"start"`
	End    *int64 `json:"end"`
	// ElapsedSeconds excludes suspension. For a job with attempts it is their sum.
	ElapsedSeconds   *float64 `json:"elapsed_s"`
	SuspendedSeconds *float64 `json:"suspended_s"`
	// LimitSeconds is the wall time limit; null when unlimited or unknown.
	LimitSeconds *float64 `json:"limit_s"`
	// WaitSeconds is Start minus Submit.
	WaitSeconds *float64 `json:"wait_s"`
	// Restarts is the number of earlier incarnations seen in the rows.
	Restarts int `json:"restarts"`
}

// NodeUse is what one node did for the job. Null means not measured.
type NodeUse struct {
	Node string `json:"node"`
	// CPUSeconds is the CPU time of the job's tasks there.
	CPUSeconds *float64 `json:"cpu_s"`
	// MemoryPeakBytes is the peak of the sum over the node's tasks.
	MemoryPeakBytes *float64 `json:"memory_peak_bytes"`
	// MemoryLimitBytes is the memory that the job had on that node.
	MemoryLimitBytes *float64 `json:"memory_limit_bytes"`
	// EnergyJoules is the node's energy in the measured window, whole node.
	EnergyJoules *float64 `json:"energy_j"`
	// GPUUtilisation is the mean in percent over the tasks that used a GPU there.
	GPUUtilisation *float64 `json:"gpu_utilization"`
	// Seconds is how long the node was measured.
	Seconds float64 `json:"seconds"`
}

// Started tells whether the job ever ran: jobs that never started have no
// efficiency and do not enter averages.
func (r Report) Started() bool {
	m, ok := r.Metrics[CPUEfficiency]
	return ok && !m.Has(NeverStarted)
}

// Value returns the metric's number and whether there is one.
func (r Report) Value(name MetricName) (float64, bool) {
	m := r.Metrics[name]
	if m.Value == nil {
		return 0, false
	}
	return *m.Value, true
}
