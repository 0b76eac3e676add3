package efficiency

import (
	"cmp"
	"math"
	"slices"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// The lines of what a whole node moved. Every step's file of a node has them.
const (
	lineNetworkIn  = "network_in"
	lineNetworkOut = "network_out"
	lineFileRead   = "filesystem_read"
	lineFileWrite  = "filesystem_write"
)

// nodeWide collects the series that are about a whole node, also when several steps
// recorded them at the same time.
type nodeWide struct {
	power map[string][]profile.EnergySeries
	// traffic is by line and node.
	traffic map[string]map[string][]profile.Gauge
}

func (w *nodeWide) add(n *profile.Node, start, end float64) {
	if n.Energy != nil && within(n.Energy.EpochS, start, end) {
		w.power[n.Name] = append(w.power[n.Name], *n.Energy)
	}
	if n.Network != nil && within(n.Network.EpochS, start, end) {
		in, out := n.Network.Rates()
		w.addTraffic(lineNetworkIn, n.Name, in)
		w.addTraffic(lineNetworkOut, n.Name, out)
	}
	if n.Filesystem != nil && within(n.Filesystem.EpochS, start, end) {
		read, write := n.Filesystem.Rates()
		w.addTraffic(lineFileRead, n.Name, read)
		w.addTraffic(lineFileWrite, n.Name, write)
	}
}

func (w *nodeWide) addTraffic(line, node string, g profile.Gauge) {
	if g.Value.Valid() == 0 {
		return
	}
	if w.traffic[line] == nil {
		w.traffic[line] = make(map[string][]profile.Gauge)
	}
	w.traffic[line][node] = append(w.traffic[line][node], g)
}

// merged makes one series per line and node, the same for any order of the files.
func (w *nodeWide) merged() map[string]map[string]profile.Gauge {
	out := make(map[string]map[string]profile.Gauge)
	for line, nodes := range w.traffic {
		out[line] = make(map[string]profile.Gauge)
		for node, list := range nodes {
			slices.SortStableFunc(list, func(a, b profile.Gauge) int {
				return cmp.Or(cmp.Compare(first(a.EpochS), first(b.EpochS)), -cmp.Compare(len(a.EpochS), len(b.EpochS)), slices.Compare(a.Value, b.Value))
			})
			out[line][node] = profile.MergeGauges(list...)
		}
	}
	return out
}

// trafficTasks dresses the gauges of a line as task series, so that one grid serves
// all.
func (s *samples) trafficTasks(line string) []taskSamples {
	var out []taskSamples
	for _, node := range sortedKeys(s.traffic[line]) {
		g := s.traffic[line][node]
		out = append(out, newTaskSamples("", node, profile.TaskSeries{Clock: profile.Clock{EpochS: g.EpochS}, RSSBytes: g.Value}))
	}
	return out
}

func (s *samples) trafficBuckets(g grid) []*buckets {
	var out []*buckets
	for _, line := range []string{lineNetworkIn, lineNetworkOut, lineFileRead, lineFileWrite} {
		if tasks := s.trafficTasks(line); len(tasks) > 0 {
			b := g.levels(line, Byte, tasks, func(t *taskSamples) profile.Column { return t.RSSBytes })
			b.sumNodes()
			out = append(out, b)
		}
	}
	return out
}

// nodeWideTasks are all series about whole nodes, for the time that they cover.
func (s *samples) nodeWideTasks() []taskSamples {
	out := s.powerTasks()
	for _, line := range sortedKeys(s.traffic) {
		out = append(out, s.trafficTasks(line)...)
	}
	return out
}

// widen extends a range of time by those of the series.
func widen(from, to float64, tasks []taskSamples) (float64, float64) {
	for i := range tasks {
		for _, t := range tasks[i].EpochS {
			if !math.IsNaN(t) {
				from, to = min(from, t), max(to, t)
			}
		}
	}
	return from, to
}
