package efficiency

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// ReadCluster learns a cluster from `scontrol show config`, `show node` and `show
// partition`. The cgroup version is known only where the configuration names the
// plugin; watts are known only from a site's file (see Overlay).
func ReadCluster(config slurmfmt.Config, nodes, partitions []slurmfmt.KeyValues) *Cluster {
	c := &Cluster{Partitions: make(map[string]Partition), NodeTypes: make(map[string]NodeType), Nodes: make(map[string]string)}
	c.Name, _ = config.Get("ClusterName")
	c.JobAcctGather, _ = config.Get("JobAcctGatherType")
	c.TaskInterval, _ = config.Sampling().Task.Seconds()
	c.CgroupVersion = CgroupVersion(config)
	for _, n := range nodes {
		c.addNode(n)
	}
	for _, p := range partitions {
		c.addPartition(p)
	}
	return c
}

// CgroupVersion is 1 or 2 where the configuration names the plugin, else 0: what
// "autodetect" finds on a compute node is not known elsewhere.
func CgroupVersion(config slurmfmt.Config) int {
	switch plugin, _ := config.Get("CgroupPlugin"); plugin {
	case "cgroup/v1":
		return 1
	case "cgroup/v2":
		return 2
	default:
		return 0
	}
}

func (c *Cluster) addNode(kv slurmfmt.KeyValues) {
	name, ok := kv.Get("NodeName")
	if !ok {
		return
	}
	t := NodeType{ThreadsPerCore: count(kv, "ThreadsPerCore")}
	t.Cores = count(kv, "CoresPerSocket") * count(kv, "Sockets")
	cpus := count(kv, "CPUTot")
	if t.Cores == 0 {
		t.Cores = cpus / max(1, t.ThreadsPerCore)
	}
	t.ThreadsPerCore = UsedThreads(cpus, t.Cores, t.ThreadsPerCore)
	if n, ok := kv.SizeMB("RealMemory").Value(); ok {
		t.MemoryBytes = float64(n)
	}
	t.GPUs = nodeGPUs(kv)
	shape := fmt.Sprintf("%dx%d-%.0fM-%dgpu", t.Cores, t.ThreadsPerCore, t.MemoryBytes/(1<<20), t.GPUs)
	c.NodeTypes[shape], c.Nodes[name] = t, shape
}

// UsedThreads is how many CPUs of Slurm a core makes. Sites that configure CPUs as cores (CPUTot=64 of 64 cores with
// ThreadsPerCore=2) have one: threads is only what the hardware could do. A zero means not known.
func UsedThreads(cpus, cores, threads int64) int64 {
	if cpus <= 0 || cores <= 0 || cpus%cores != 0 {
		return threads
	}
	used := cpus / cores
	if threads > 0 {
		used = min(used, threads)
	}
	return used
}

// nodeGPUs reads CfgTRES, or, where a site does not track gres/gpu there, Gres.
func nodeGPUs(kv slurmfmt.KeyValues) int64 {
	if n, ok := kv.TRES("CfgTRES").GPUs().Value(); ok {
		return n
	}
	gres, _ := kv.Get("Gres")
	return GresGPUs(gres)
}

// GresGPUs counts the gpu entries of a node's Gres: gpu:4, gpu:a100:2(S:0-1), mixed by commas.
func GresGPUs(gres string) (n int64) {
	for item := range strings.SplitSeq(gres, ",") {
		item, _, _ = strings.Cut(item, "(")
		parts := strings.Split(item, ":")
		if parts[0] != "gpu" {
			continue
		}
		v, ok := slurmfmt.ParseCount(parts[len(parts)-1]).Value()
		if !ok {
			v = 1 // "gpu" or "gpu:a100"
		}
		n += v
	}
	return n
}

func count(kv slurmfmt.KeyValues, key string) int64 {
	n, _ := positive(kv.Count(key))
	return n
}

func (c *Cluster) addPartition(kv slurmfmt.KeyValues) {
	if name, p, ok := ReadPartition(kv); ok {
		c.Partitions[name] = p
	}
}

// ReadPartition reads one entity of `scontrol show partition`.
func ReadPartition(kv slurmfmt.KeyValues) (name string, p Partition, ok bool) {
	name, ok = kv.Get("PartitionName")
	limit := kv.Duration("MaxTime")
	p.Unlimited = limit.Kind == slurmfmt.Unlimited
	p.LimitSeconds, _ = limit.Seconds()
	over, _ := kv.Get("OverSubscribe")
	p.Exclusive = over == "EXCLUSIVE"
	defaults, _ := kv.Get("JobDefaults")
	for part := range strings.SplitSeq(defaults, ",") {
		if key, v, _ := strings.Cut(part, "="); strings.EqualFold(key, "DefCpuPerGPU") {
			p.DefCPUPerGPU, _ = positive(slurmfmt.ParseCount(v))
		}
	}
	return name, p, ok
}

// ParseCluster reads a site's file: a Cluster as JSON. Unknown names are refused, for
// a misspelt one would silently change numbers. Keys of "nodes" may be host lists.
func ParseCluster(text []byte) (*Cluster, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	c := Cluster{Thresholds: ptr(DefaultThresholds())}
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("reading cluster description: %w", err)
	}
	if c.Thresholds != nil && *c.Thresholds == DefaultThresholds() {
		c.Thresholds = nil
	}
	expanded := make(map[string]string)
	for _, list := range sortedKeys(c.Nodes) {
		names, err := slurmfmt.ExpandHosts(list, maxNodes)
		if err != nil {
			return nil, fmt.Errorf("reading nodes %q of cluster description: %w", list, err)
		}
		for _, n := range names {
			expanded[n] = c.Nodes[list]
		}
		if _, ok := c.NodeTypes[c.Nodes[list]]; !ok {
			return nil, fmt.Errorf("nodes %q have the type %q, which node_types does not describe", list, c.Nodes[list])
		}
	}
	c.Nodes = expanded
	return &c, nil
}

// Overlay returns c with what file says on top. File may be nil. A node that both
// describe keeps what Slurm says of its shape where the file leaves it out.
func (c *Cluster) Overlay(file *Cluster) *Cluster {
	if file == nil {
		return c
	}
	if c == nil {
		return file
	}
	out := *c
	out.Name = cmp.Or(file.Name, c.Name)
	out.JobAcctGather = cmp.Or(file.JobAcctGather, c.JobAcctGather)
	out.TaskInterval = cmp.Or(file.TaskInterval, c.TaskInterval)
	out.CgroupVersion = cmp.Or(file.CgroupVersion, c.CgroupVersion)
	out.MemoryPeakFile = file.MemoryPeakFile || c.MemoryPeakFile
	out.PUE, out.WattPerMemoryGiB = cmp.Or(file.PUE, c.PUE), cmp.Or(file.WattPerMemoryGiB, c.WattPerMemoryGiB)
	out.DefaultType = cmp.Or(file.DefaultType, c.DefaultType)
	out.Thresholds = cmp.Or(file.Thresholds, c.Thresholds)
	out.Partitions = maps.Clone(c.Partitions)
	if out.Partitions == nil {
		out.Partitions = make(map[string]Partition)
	}
	for name, p := range file.Partitions {
		out.Partitions[name] = p.over(c.Partitions[name])
	}
	out.overlayNodes(c, file)
	return &out
}

func (c *Cluster) overlayNodes(slurm, file *Cluster) {
	c.NodeTypes, c.Nodes = make(map[string]NodeType), make(map[string]string)
	for _, from := range []*Cluster{slurm, file} {
		for name, t := range from.NodeTypes {
			c.NodeTypes[name] = t
		}
	}
	for node, name := range slurm.Nodes {
		c.Nodes[node] = name
		if _, listed := file.Nodes[node]; !listed && file.DefaultType != "" {
			c.join(node, name, file.DefaultType, slurm, file)
		}
	}
	for node, name := range file.Nodes {
		c.Nodes[node] = name
		if shape, ok := slurm.Nodes[node]; ok {
			c.join(node, shape, name, slurm, file)
		}
	}
}

// join gives a node a type made of its shape in Slurm and its type in the file.
func (c *Cluster) join(node, shape, name string, slurm, file *Cluster) {
	both := shape + "+" + name
	c.NodeTypes[both] = file.NodeTypes[name].over(slurm.NodeTypes[shape])
	c.Nodes[node] = both
}

// over fills what p leaves out. A limit in the file ends Slurm's "unlimited", and the other way round; that a partition
// is exclusive cannot be taken back.
func (p Partition) over(below Partition) Partition {
	if p.LimitSeconds == 0 && !p.Unlimited {
		p.LimitSeconds, p.Unlimited = below.LimitSeconds, below.Unlimited
	}
	p.DefCPUPerGPU = cmp.Or(p.DefCPUPerGPU, below.DefCPUPerGPU)
	p.Exclusive = p.Exclusive || below.Exclusive
	return p
}

// over fills what t leaves out.
func (t NodeType) over(below NodeType) NodeType {
	return NodeType{
		Cores: cmp.Or(t.Cores, below.Cores), ThreadsPerCore: cmp.Or(t.ThreadsPerCore, below.ThreadsPerCore),
		MemoryBytes: cmp.Or(t.MemoryBytes, below.MemoryBytes), GPUs: cmp.Or(t.GPUs, below.GPUs),
		WattPerCore: cmp.Or(t.WattPerCore, below.WattPerCore), IdleWatt: cmp.Or(t.IdleWatt, below.IdleWatt), GPUWatt: cmp.Or(t.GPUWatt, below.GPUWatt),
	}
}
