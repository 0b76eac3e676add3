package efficiency

// SeriesSet holds the time series of a job for plots, aligned on one time axis.
type SeriesSet struct {
	// Start is the Unix second of the first bucket, Step the bucket's width in seconds.
	Start int64   `json:"start"`
	Step  float64 `json:"step_s"`
	// Points is the number of buckets of every line.
	Points int `json:"points"`
	// Sampling is the interval of the source in seconds.
	Sampling float64 `json:"sampling_s"`
	// Note says how the points were made from the samples.
	Note  string `json:"note"`
	Lines []Line `json:"lines"`
}

// Line is one quantity over time. A null is a bucket without data.
type Line struct {
	// Name is one of cpu_cores (mean), memory (max, byte), power (mean, watt),
	// gpu_utilization (mean, percent), gpu_memory (max, byte), read, write (of the tasks),
	// network_in, network_out, filesystem_read, filesystem_write (of the whole node; mean,
	// byte per second).
	Name string `json:"name"`
	// Node is empty for the total over nodes.
	Node string `json:"node"`
	Unit Unit   `json:"unit"`
	// Reduced is "mean" or "max": how samples of one bucket were combined.
	Reduced string     `json:"reduced"`
	Values  []*float64 `json:"values"`
}
