package efficiency

// Thresholds decide when a finding is worth a user's time. Percent are 0–100.
type Thresholds struct {
	// MinElapsedSeconds: jobs shorter than this get no advice about resources (600 s):
	// start-up dominates them.
	MinElapsedSeconds float64 `json:"min_elapsed_seconds"`
	// IdleGPUPercent: GPUs at or below this mean utilisation are idle (0: 0.04 percent
	// is work).
	IdleGPUPercent float64 `json:"idle_gpu_percent"`
	// LowGPUPercent: above idle and below this the GPUs were hardly used (15).
	LowGPUPercent float64 `json:"low_gpu_percent"`
	// IdleNodePercent: a node whose CPUs did less than this of its share is idle (2).
	IdleNodePercent float64 `json:"idle_node_percent"`
	// SerialCores: a job that used at most this many cores on average (1.2) …
	SerialCores float64 `json:"serial_cores"`
	// SerialMinCPUs: … although it had at least so many CPUs (4).
	SerialMinCPUs int64 `json:"serial_min_cpus"`
	// MemoryOverPercent: less than this of the memory was needed (50) …
	MemoryOverPercent float64 `json:"memory_over_percent"`
	// MemoryOverMinBytes: … and at least so much would be freed (2 GiB).
	MemoryOverMinBytes float64 `json:"memory_over_min_bytes"`
	// MemoryMargin is the factor on the observed peak in advice (1.3).
	MemoryMargin float64 `json:"memory_margin"`
	// MemoryMinIntervals: no advice to cut memory from a sampled peak of a shorter job (20 intervals).
	MemoryMinIntervals float64 `json:"memory_min_intervals"`
	// TimeOverPercent: less than this of the limit was used (25) …
	TimeOverPercent float64 `json:"time_over_percent"`
	// TimeOverMinSeconds: … and at least so much was left (4 h).
	TimeOverMinSeconds float64 `json:"time_over_min_seconds"`
	// TimeMargin is the factor on the elapsed time in advice (1.5).
	TimeMargin float64 `json:"time_margin"`
	// MemoryNearPercent: the peak was above this of the limit (95).
	MemoryNearPercent float64 `json:"memory_near_percent"`
	// PageCachePercent: above this of the limit a completed job on cgroup v2 shows file cache (99).
	PageCachePercent float64 `json:"page_cache_percent"`
	// CoresPerGPUPercent: CPUs of a GPU job used less than this (30) …
	CoresPerGPUPercent float64 `json:"cores_per_gpu_percent"`
	// CoresPerGPUMin: … with more than this many CPUs per GPU (4).
	CoresPerGPUMin float64 `json:"cores_per_gpu_min"`
	// MemoryPerGPUPercent: memory of a GPU job used less than this (30) …
	MemoryPerGPUPercent float64 `json:"memory_per_gpu_percent"`
	// MemoryPerGPUMinBytes: … with more than this per GPU (64 GiB).
	MemoryPerGPUMinBytes float64 `json:"memory_per_gpu_min_bytes"`
	// ImbalanceRatio: busiest over mean of tasks or nodes (1.5).
	ImbalanceRatio float64 `json:"imbalance_ratio"`
	// OversubscriptionPercent: CPU efficiency above this (105).
	OversubscriptionPercent float64 `json:"oversubscription_percent"`
	// LeakBytesPerHour and LeakGrowthPercent: memory rises steadily by at least this
	// much per hour (256 MiB) and by this much of its mean over the job (25).
	LeakBytesPerHour  float64 `json:"leak_bytes_per_hour"`
	LeakGrowthPercent float64 `json:"leak_growth_percent"`
	// TooShortSeconds: jobs shorter than this cost more to schedule than to run (60).
	TooShortSeconds float64 `json:"too_short_seconds"`
	// DisagreementPercent: two sources may differ by this much (10).
	DisagreementPercent float64 `json:"disagreement_percent"`
}

// DefaultThresholds returns the values documented at each field.
func DefaultThresholds() Thresholds {
	return Thresholds{
		MinElapsedSeconds: 600,
		LowGPUPercent:     15, IdleNodePercent: 2,
		SerialCores: 1.2, SerialMinCPUs: 4,
		MemoryOverPercent: 50, MemoryOverMinBytes: 2 << 30, MemoryMargin: 1.3, MemoryMinIntervals: 20,
		TimeOverPercent: 25, TimeOverMinSeconds: 4 * 3600, TimeMargin: 1.5,
		MemoryNearPercent: 95, PageCachePercent: 99,
		CoresPerGPUPercent: 30, CoresPerGPUMin: 4,
		MemoryPerGPUPercent: 30, MemoryPerGPUMinBytes: 64 << 30,
		ImbalanceRatio: 1.5, OversubscriptionPercent: 105,
		LeakBytesPerHour: 256 << 20, LeakGrowthPercent: 25,
		TooShortSeconds: 60, DisagreementPercent: 10,
	}
}
