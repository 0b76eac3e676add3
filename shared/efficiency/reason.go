package efficiency

import "encoding/json"

// Reason says why a number is missing, or what has to be known to read it.
type Reason string

// The closed list of design 05, and below it what was added.
const (
	// UnmeasuredNodes: part of the allocated nodes has no accounting at all.
	UnmeasuredNodes Reason = "unmeasured_nodes"
	// KilledStep: a step ended by a signal; Slurm loses the CPU time of its children.
	KilledStep Reason = "killed_step"
	// PageCacheIncluded: cgroup v2 counts file cache as memory.
	PageCacheIncluded Reason = "page_cache_included"
	// NoStepData: there are no steps, or they carry no usage, or a profile lacks a step.
	NoStepData Reason = "no_step_data"
	// MissingField: a column that the formula needs is absent or unreadable.
	MissingField Reason = "missing_field"
	// NeverStarted: the job got no node.
	NeverStarted Reason = "never_started"
	// Running: the job has not ended, the number is what is known so far.
	Running Reason = "running"
	// Suspended: the job was suspended; elapsed time excludes that.
	Suspended Reason = "suspended"
	// SharedNode: other jobs ran on the same node, or may have.
	SharedNode Reason = "shared_node"
	// ModelEstimate: computed from a power model, not measured.
	ModelEstimate Reason = "model_estimate"
	// ShortJob: shorter than the sampling can resolve.
	ShortJob Reason = "short_job"
	// PerTaskMaximum: the peak of one task times the number of tasks.
	PerTaskMaximum Reason = "per_task_maximum"
	// Unlimited: there is no time limit.
	Unlimited Reason = "unlimited"
	// HardwareThreads: the allocated CPUs are hardware threads.
	HardwareThreads Reason = "hardware_threads"
	// ClockGap: the time stamps of a series have gaps, or go backwards.
	ClockGap Reason = "clock_gap"
	// SourceDisagreement: two sources differ by more than the tolerance.
	SourceDisagreement Reason = "source_disagreement"
	// NoEnergyPlugin: Slurm recorded zero energy for a job that ran.
	NoEnergyPlugin Reason = "no_energy_plugin"
	// BadJobID: the id is no Slurm job id and was kept as text.
	BadJobID Reason = "bad_job_id"
	// Sampled: taken at intervals; a spike between two samples is missed.
	Sampled Reason = "sampled"

	// OverLimit: more than was allocated: grace time, or use outside the allocation.
	OverLimit Reason = "over_limit"
	// MissingIntervals: the tariff has no value for part of the job's time.
	MissingIntervals Reason = "missing_intervals"
	// ScriptUnknown: what the job asked for beyond its submit line, in #SBATCH lines, is not known.
	ScriptUnknown Reason = "script_unknown"
	// KilledAtLimit: killed for lack of memory; what the job held then was not sampled.
	KilledAtLimit Reason = "killed_at_limit"
	// NotApplicable: the metric has no meaning for this job (no GPU; all nodes measured).
	NotApplicable Reason = "not_applicable"
)

// Reasons marshals as a list, never as null.
type Reasons []Reason

// MarshalJSON writes an empty list for no reasons.
func (r Reasons) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]Reason(r))
}

// Source says where a number was read.
type Source string

// The sources, best first.
const (
	// SourceProfile is a Slurm HDF5 profile.
	SourceProfile Source = "hdf5_profile"
	// SourceTRES is sacct's TRESUsageInTot of the steps.
	SourceTRES Source = "tres_usage_in_tot"
	// SourceTotalCPU is sacct's TotalCPU of the steps.
	SourceTotalCPU Source = "total_cpu"
	// SourceJobTotalCPU is sacct's TotalCPU of the job row.
	SourceJobTotalCPU Source = "job_total_cpu"
	// SourceMaxRSS is sacct's MaxRSS × NTasks.
	SourceMaxRSS Source = "max_rss"
	// SourceAllocTRES is sacct's AllocTRES.
	SourceAllocTRES Source = "alloc_tres"
	// SourceElapsed is sacct's ElapsedRaw, Elapsed and Timelimit.
	SourceElapsed Source = "elapsed"
	// SourceConsumedEnergy is sacct's ConsumedEnergyRaw.
	SourceConsumedEnergy Source = "consumed_energy"
	// SourceSstat is sstat of a running job.
	SourceSstat Source = "sstat"
	// SourceJobstats is a jobstats summary in AdminComment.
	SourceJobstats Source = "jobstats"
	// SourceModel is the power model of the cluster configuration.
	SourceModel Source = "power_model"
	// SourceLedger means derived from the ledger.
	SourceLedger Source = "ledger"
	// SourceMixed means that parts of an aggregate have different sources.
	SourceMixed Source = "mixed"
)
