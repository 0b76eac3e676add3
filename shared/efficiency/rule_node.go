package efficiency

import (
	"fmt"
	"math"
	"strings"
)

func unmeasuredRule(v view) *Finding {
	m := v.r.Metrics[CPUUsed]
	nodes, _ := value(m.Coverage.Nodes)
	all, ok := value(m.Coverage.NodesAllocated)
	if !m.Has(UnmeasuredNodes) || !ok || m.Value == nil {
		return nil
	}
	return &Finding{
		Rule: RuleUnmeasured, Severity: Warning,
		Text:     fmt.Sprintf("Slurm saw nothing run on %d of %d nodes: either they were idle, or the program was started there without srun.", all-nodes, all),
		Change:   "Start the program with srun (or an mpirun that uses Slurm), or ask for fewer nodes.",
		Evidence: evidence{}.num("nodes_unmeasured", float64(all-nodes)).num("nodes", float64(all)),
	}
}

// idleNodeRule needs a source that tells the nodes apart.
func idleNodeRule(v view) *Finding {
	if v.nodes() < 2 || !v.long() {
		return nil
	}
	share := v.a.elapsed() * v.a.cpus() / v.nodes()
	var idle []string
	used := v.a.cpuOfNodes()
	for _, node := range sortedKeys(used) {
		if share > 0 && 100*used[node]/share < v.t.IdleNodePercent {
			idle = append(idle, node)
		}
	}
	if len(idle) == 0 || len(idle) == len(used) {
		return nil
	}
	return &Finding{
		Rule: RuleIdleNode, Severity: Warning,
		Text:      fmt.Sprintf("%d of %.0f nodes did almost nothing: %s.", len(idle), v.nodes(), shorten(idle)),
		Change:    "Ask for fewer nodes, or check that all tasks start (srun, host file of mpirun).",
		Evidence:  evidence{}.text("nodes", shorten(idle)).num("idle_nodes", float64(len(idle))),
		Wasted:    Wasted{CoreS: min(share*float64(len(idle)), v.idle(coreS))},
		Directive: fmt.Sprintf("--nodes=%.0f", v.nodes()-float64(len(idle))),
		Risk:      "Memory of the remaining nodes must suffice.",
	}
}

// cpuOfNodes is the CPU time of each node: of series of all tasks, else of a jobstats
// summary. A profile that lacks a file would call a node idle that was not looked at.
func (a *attempt) cpuOfNodes() map[string]float64 {
	out := make(map[string]float64)
	switch {
	case a.wholeProfile(measuresCPU, usedCPU):
		for node, n := range a.samples.perNode {
			if n.hasCPU {
				out[node] = n.cpu
			}
		}
	case a.jobstats != nil:
		for node, n := range a.jobstats.Nodes {
			if v, ok := value(n.TotalTime); ok && v >= 0 && v < 1e18 {
				out[node] = v
			}
		}
	}
	return out
}

func shorten(names []string) string {
	const shown = 8
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
}

// fragmentationRule needs to know how large the nodes are.
func fragmentationRule(v view) *Finding {
	if v.a.rec == nil || v.nodes() < 2 || v.a.sharing == sharingExclusive {
		return nil
	}
	t, ok := v.a.anyNodeType()
	perNode := float64(t.Cores * max(1, t.ThreadsPerCore))
	if !ok || perNode <= 0 || v.a.cpus() == 0 {
		return nil
	}
	need := math.Ceil(v.a.cpus() / perNode)
	if limit, _, ok := v.a.memory(); ok && t.MemoryBytes > 0 {
		need = max(need, math.Ceil(limit/t.MemoryBytes))
	}
	if v.gpus() > 0 && t.GPUs > 0 {
		need = max(need, math.Ceil(v.gpus()/float64(t.GPUs)))
	}
	if need >= v.nodes() {
		return nil
	}
	return &Finding{
		Rule: RuleFragmentation, Severity: Info,
		Text:      fmt.Sprintf("The job was spread over %.0f nodes and would have fitted on %.0f: its tasks talk over the network instead of memory.", v.nodes(), need),
		Change:    fmt.Sprintf("Say how many nodes you want (--nodes=%.0f): without it Slurm takes whatever is free, a few CPUs here and a few there.", need),
		Evidence:  evidence{}.num("nodes", v.nodes()).num("nodes_needed", need),
		Directive: fmt.Sprintf("--nodes=%.0f", need),
		Risk:      "The job may wait longer until so much is free on each node.",
	}
}
