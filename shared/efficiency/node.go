package efficiency

import (
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// maxNodes bounds the expansion of a node list; the largest machines have about 10^5.
const maxNodes = 1 << 17

// NodeNames expands a NodeList; nil when it is absent, a word, or unreadable.
func NodeNames(list string) []string {
	switch strings.TrimSpace(list) {
	case "", "None assigned", "(null)", "None", "Unknown":
		return nil
	}
	names, err := slurmfmt.ExpandHosts(list, maxNodes)
	if err != nil {
		return nil
	}
	return names
}

// hosts remembers expanded node lists: all steps of a job mostly have the same.
type hosts map[string][]string

func (h hosts) names(list string) []string {
	names, seen := h[list]
	if !seen {
		names = NodeNames(list)
		h[list] = names
	}
	return names
}

// stepNodes are the nodes of a step. The batch script runs on one node, whatever the
// row leaves out.
func stepNodes(r *slurmfmt.Record, kind stepKind, known hosts) ([]string, int64) {
	names := known.names(r.Get("NodeList"))
	if names != nil {
		return names, int64(len(names))
	}
	for _, c := range []slurmfmt.Count{r.Count("NNodes"), r.Count("AllocNodes"), r.TRES("AllocTRES").Nodes()} {
		if n, ok := positive(c); ok {
			return nil, n
		}
	}
	if kind == stepBatch || kind == stepInteractive {
		return nil, 1
	}
	return nil, 0
}

// measuredNodes counts the allocated nodes on which some step was accounted. The
// extern step counts only when something substantial ran in it: it exists on every
// node, also where the job's processes escaped Slurm. known is false when the rows
// do not tell.
func (a *attempt) measuredNodes() (n int64, known bool) {
	if a.measured == nil {
		n, known = a.countMeasured(func(s *step) bool { return s.cpu.ok || s.mem.ok })
		a.measured = &measured{n, known}
	}
	return a.measured.nodes, a.measured.known
}

// measured is the result of measuredNodes, which is asked for several times.
type measured struct {
	nodes int64
	known bool
}

// countMeasured counts the nodes of the steps that have what is asked for.
func (a *attempt) countMeasured(has func(*step) bool) (n int64, known bool) {
	total, ok := value(a.job.Nodes)
	if !ok {
		return 0, false
	}
	names := make(map[string]bool)
	var unnamed int64
	for i := range a.steps {
		s := &a.steps[i]
		if !has(s) || s.kind == stepExtern && !a.substantial(s) {
			continue
		}
		for _, name := range s.nodes {
			names[name] = true
		}
		if s.nodes == nil {
			unnamed = max(unnamed, s.spread(total))
		}
	}
	return min(total, max(int64(len(names)), unnamed)), true
}

// spread guesses on how many of the job's nodes a step without any node column ran:
// on all of them, but never on more than it has tasks.
func (s *step) spread(total int64) int64 {
	switch {
	case s.nodeCount > 0:
		return s.nodeCount
	case s.tasks > 0:
		return min(total, s.tasks)
	default:
		return total
	}
}

// substantial: an extern step that used at least one percent of one core per node.
func (a *attempt) substantial(s *step) bool {
	nodes, _ := value(a.job.Nodes)
	return s.cpu.ok && s.cpu.value >= 0.01*a.elapsed()*float64(nodes) && s.cpu.value > 0
}
