package insight

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// facts is the stored form of the contract's ClusterFacts.
type facts struct {
	Gather    string `json:"job_acct_gather_type"`
	Frequency string `json:"job_acct_gather_frequency"`
	Cgroup    string `json:"cgroup_version"`
	Nodes     []struct {
		Name           string  `json:"name"`
		CPUs           int64   `json:"cpus"`
		Sockets        int64   `json:"sockets"`
		CoresPerSocket int64   `json:"cores_per_socket"`
		ThreadsPerCore int64   `json:"threads_per_core"`
		MemoryBytes    float64 `json:"memory_bytes"`
		Gres           string  `json:"gres"`
	} `json:"nodes"`
	Partitions []struct {
		Name string `json:"name"`
		efficiency.Partition
	} `json:"partitions"`
}

type cachedCluster struct {
	text    string
	cluster *efficiency.Cluster
}

// cluster gives what the site said about itself, nil when it said nothing. Reading the facts of thousands of nodes for
// each job would be most of the work, so the last form of each cluster is kept.
func (s *Service) cluster(m Material) *efficiency.Cluster {
	text := string(m.Facts)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.clusters[m.ClusterID]; ok && c.text == text {
		return c.cluster
	}
	c := parseCluster(m.ClusterName, m.Facts).Overlay(s.cfg.Sites[m.ClusterName])
	s.clusters[m.ClusterID] = cachedCluster{text, c}
	return c
}

func parseCluster(name string, text []byte) *efficiency.Cluster {
	var f facts
	if err := json.Unmarshal(text, &f); err != nil || f.Gather == "" && len(f.Nodes) == 0 && len(f.Partitions) == 0 {
		return nil
	}
	c := &efficiency.Cluster{
		Name: name, JobAcctGather: f.Gather, TaskInterval: taskInterval(f.Frequency),
		NodeTypes: map[string]efficiency.NodeType{}, Nodes: make(map[string]string, len(f.Nodes)),
		Partitions: make(map[string]efficiency.Partition, len(f.Partitions)),
	}
	switch f.Cgroup {
	case "v1":
		c.CgroupVersion = 1
	case "v2":
		c.CgroupVersion = 2
	}
	for _, n := range f.Nodes {
		cores := n.Sockets * n.CoresPerSocket
		t := efficiency.NodeType{
			Cores: cores, ThreadsPerCore: efficiency.UsedThreads(n.CPUs, cores, n.ThreadsPerCore),
			MemoryBytes: n.MemoryBytes, GPUs: efficiency.GresGPUs(n.Gres),
		}
		key := fmt.Sprintf("%dx%d cores, %.0f byte, %d gpus", t.Cores, t.ThreadsPerCore, t.MemoryBytes, t.GPUs)
		c.NodeTypes[key], c.Nodes[n.Name] = t, key
	}
	for _, p := range f.Partitions {
		c.Partitions[p.Name] = p.Partition
	}
	return c
}

// taskInterval reads JobAcctGatherFrequency: "30", or "task=30,energy=10".
func taskInterval(text string) float64 {
	for part := range strings.SplitSeq(text, ",") {
		value, isTask := strings.CutPrefix(strings.TrimSpace(part), "task=")
		if !isTask && strings.Contains(part, "=") {
			continue
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil && n >= 0 && n < 1e6 {
			return n
		}
	}
	return 0
}
