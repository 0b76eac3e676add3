package efficiency

import (
	"cmp"
	"strings"
)

// Cluster is what a site knows about itself, from `scontrol show config`,
// `scontrol show node` and its own file. A zero field means not known.
type Cluster struct {
	Name string `json:"name"`
	// JobAcctGather is JobAcctGatherType: jobacct_gather/linux, jobacct_gather/cgroup.
	JobAcctGather string `json:"job_acct_gather"`
	// TaskInterval is the sampling interval of tasks in seconds (JobAcctGatherFrequency).
	TaskInterval float64 `json:"task_interval"`
	// CgroupVersion is 1 or 2.
	CgroupVersion int `json:"cgroup_version"`
	// MemoryPeakFile says that Slurm reads memory.peak: a true high-water mark.
	MemoryPeakFile bool                 `json:"memory_peak_file"`
	Partitions     map[string]Partition `json:"partitions"`
	// NodeTypes by name; a job's nodes are looked up in Nodes, then DefaultType.
	NodeTypes map[string]NodeType `json:"node_types"`
	// Nodes maps a node's name to a name of NodeTypes.
	Nodes map[string]string `json:"nodes"`
	// DefaultType is the type of nodes that Nodes does not list.
	DefaultType string `json:"default_type"`
	// PUE is the site's power usage effectiveness, used by the power model only.
	PUE float64 `json:"pue"`
	// WattPerMemoryGiB replaces the model's 0.3725 W per GiB.
	WattPerMemoryGiB float64 `json:"watt_per_memory_gib"`
	// Thresholds of the findings on this cluster; nil means DefaultThresholds. In a site's file those left out keep
	// their default.
	Thresholds *Thresholds `json:"thresholds,omitempty"`
}

// Partition is a partition's rules as far as they decide what a job was forced to take.
type Partition struct {
	// LimitSeconds is MaxTime; 0 means not known.
	LimitSeconds float64 `json:"limit_seconds"`
	Unlimited    bool    `json:"unlimited"`
	// DefCPUPerGPU is the number of CPUs that a GPU brings along.
	DefCPUPerGPU int64 `json:"def_cpu_per_gpu"`
	// Exclusive says that jobs get whole nodes (OverSubscribe=EXCLUSIVE).
	Exclusive bool `json:"exclusive"`
}

// NodeType is one kind of node.
type NodeType struct {
	// Cores are physical cores; CPUs = Cores × ThreadsPerCore.
	Cores          int64   `json:"cores"`
	ThreadsPerCore int64   `json:"threads_per_core"`
	MemoryBytes    float64 `json:"memory_bytes"`
	GPUs           int64   `json:"gpus"`
	// WattPerCore is the power of one busy core.
	WattPerCore float64 `json:"watt_per_core"`
	// IdleWatt is the power of the whole node doing nothing.
	IdleWatt float64 `json:"idle_watt"`
	// GPUWatt is the TDP of one GPU.
	GPUWatt float64 `json:"gpu_watt"`
}

// defaultTaskInterval is Slurm's own default of JobAcctGatherFrequency, in seconds.
const defaultTaskInterval = 30

// TypeOf finds the type of a node; c may be nil.
func (c *Cluster) TypeOf(node string) (NodeType, bool) {
	if c == nil {
		return NodeType{}, false
	}
	name, ok := c.Nodes[node]
	if !ok {
		name = c.DefaultType
	}
	t, ok := c.NodeTypes[name]
	return t, ok
}

// Limits are the memory of the smallest of a job's nodes in bytes and the time limit of its partition in seconds, 0 where
// they are not known: nobody may be advised to ask for more.
func (c *Cluster) Limits(j Job) (nodeMemory, seconds float64) {
	p, _ := c.partition(j.Partition)
	for _, name := range NodeNames(j.NodeList) {
		t, ok := c.TypeOf(name)
		if !ok || t.MemoryBytes <= 0 {
			return 0, p.LimitSeconds
		}
		nodeMemory = min(cmp.Or(nodeMemory, t.MemoryBytes), t.MemoryBytes)
	}
	return nodeMemory, p.LimitSeconds
}

func (c *Cluster) partition(name string) (Partition, bool) {
	if c == nil {
		return Partition{}, false
	}
	p, ok := c.Partitions[name]
	return p, ok
}

// taskInterval is the sampling interval in seconds and whether the site told it.
func (c *Cluster) taskInterval() (seconds float64, known bool) {
	if c == nil || c.TaskInterval <= 0 {
		return defaultTaskInterval, false
	}
	return c.TaskInterval, true
}

// gatherer says how memory was measured.
type gatherer uint8

const (
	gatherUnknown gatherer = iota
	// gatherSampled: linux or cgroup v1, resident set at intervals.
	gatherSampled
	// gatherCache: cgroup v2, sampled, with file cache.
	gatherCache
	// gatherCgroup: of a version that is not known (autodetect), sampled, perhaps with file cache.
	gatherCgroup
	// gatherPeak: cgroup v2 memory.peak, a high-water mark with file cache.
	gatherPeak
)

func (c *Cluster) gatherer() gatherer {
	switch {
	case c == nil || c.JobAcctGather == "":
		return gatherUnknown
	case strings.HasSuffix(c.JobAcctGather, "/linux"):
		return gatherSampled
	case !strings.HasSuffix(c.JobAcctGather, "/cgroup"):
		return gatherUnknown
	case c.CgroupVersion == 1:
		return gatherSampled
	case c.MemoryPeakFile:
		return gatherPeak
	case c.CgroupVersion == 2:
		return gatherCache
	default:
		return gatherCgroup
	}
}
