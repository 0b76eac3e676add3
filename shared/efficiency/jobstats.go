package efficiency

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds on a jobstats summary: real ones have about 100 bytes per node.
const (
	maxJobstatsText = 1 << 20
	maxJobstatsJSON = 16 << 20
)

// jobstats is the summary that PrincetonUniversity/jobstats leaves in AdminComment:
// "JS1:" and the base64 of gzipped JSON.
type jobstats struct {
	// TotalTime is the job's run time in seconds.
	TotalTime *float64                `json:"total_time"`
	GPUs      *int64                  `json:"gpus"`
	Nodes     map[string]jobstatsNode `json:"nodes"`
}

type jobstatsNode struct {
	CPUs *float64 `json:"cpus"`
	// TotalTime is CPU seconds here.
	TotalTime   *float64           `json:"total_time"`
	TotalMemory *float64           `json:"total_memory"`
	UsedMemory  *float64           `json:"used_memory"`
	GPUMemory   map[string]float64 `json:"gpu_used_memory"`
	GPUUtil     map[string]float64 `json:"gpu_utilization"`
}

var errNoJobstats = errors.New("no jobstats summary")

// parseJobstats finds and decodes a summary. Jobstats writes "JS1:Short" and
// "JS1:None" for jobs that it did not measure.
func parseJobstats(adminComment string) (*jobstats, error) {
	const mark = "JS1:"
	i := strings.Index(adminComment, mark)
	if i < 0 {
		return nil, errNoJobstats
	}
	text := adminComment[i+len(mark):]
	if end := strings.IndexAny(text, " ;,|\n\t"); end >= 0 {
		text = text[:end]
	}
	if text == "Short" || text == "None" || text == "" || len(text) > maxJobstatsText {
		return nil, errNoJobstats
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decoding jobstats summary: %w", err)
	}
	return unpackJobstats(packed)
}

func unpackJobstats(packed []byte) (*jobstats, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking jobstats summary: %w", err)
	}
	var js jobstats
	if err := json.NewDecoder(io.LimitReader(z, maxJobstatsJSON)).Decode(&js); err != nil {
		return nil, fmt.Errorf("reading jobstats summary: %w", err)
	}
	return &js, nil
}

// sumNodes adds a field over the nodes that have it.
func (j *jobstats) sumNodes(field func(jobstatsNode) *float64) (sum float64, nodes int64, ok bool) {
	for _, n := range j.sorted() {
		if v := field(n); v != nil && *v >= 0 && *v < 1e18 {
			sum += *v
			nodes++
		}
	}
	return sum, nodes, nodes > 0
}

// sorted gives the nodes in a fixed order, so that sums do not vary.
func (j *jobstats) sorted() []jobstatsNode {
	out := make([]jobstatsNode, 0, len(j.Nodes))
	for _, name := range sortedKeys(j.Nodes) {
		out = append(out, j.Nodes[name])
	}
	return out
}

func (j *jobstats) cpuSeconds() (float64, int64, bool) {
	return j.sumNodes(func(n jobstatsNode) *float64 { return n.TotalTime })
}

func (j *jobstats) memory() (float64, int64, bool) {
	return j.sumNodes(func(n jobstatsNode) *float64 { return n.UsedMemory })
}

func (n jobstatsNode) gpuUtil() map[string]float64   { return n.GPUUtil }
func (n jobstatsNode) gpuMemory() map[string]float64 { return n.GPUMemory }

// gpus lists a field of every GPU, and counts the nodes that have some.
func (j *jobstats) gpus(field func(jobstatsNode) map[string]float64) (all []float64, nodes int64) {
	for _, n := range j.sorted() {
		before := len(all)
		values := field(n)
		for _, gpu := range sortedKeys(values) {
			if v := values[gpu]; v >= 0 && v < 1e18 {
				all = append(all, v)
			}
		}
		if len(all) > before {
			nodes++
		}
	}
	return all, nodes
}
