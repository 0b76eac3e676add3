package efficiency

import (
	"cmp"
	"math"
	"slices"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// samples is what the profiles of one attempt say, reduced to what the metrics need.
type samples struct {
	tasks  []taskSamples
	energy map[string]profile.Energy
	power  map[string]profile.EnergySeries
	// traffic are the rates of the network and the file system, by line and node.
	traffic map[string]map[string]profile.Gauge
	// nodes that have task series, in order.
	nodes []string
	// interval is the sampling interval in seconds, from and to the first and last sample.
	interval, from, to float64
	// measured is the time in which some task was looked at.
	measured []stretch
	// gap: some series had a hole, or went back in time. damaged: a file was cut.
	gap, damaged bool

	hasCPU, hasMemory, hasGPU, hasGPUMemory bool
	// cpuSeconds is Σ CPUTime; memoryPeak the peak of the sum over tasks and nodes.
	cpuSeconds, memoryPeak float64
	// gpuArea is Σ over tasks of mean utilisation × seconds, in percent-seconds.
	gpuArea       float64
	gpuTasks      int
	gpuMemoryPeak float64
	perNode       map[string]*nodeSamples
}

// taskSamples is one task's series without repeated rows.
type taskSamples struct {
	step, node string
	// interval is the series' own sampling interval, 0 when it has less than two rows.
	interval float64
	profile.TaskSeries
}

func newTaskSamples(step, node string, t profile.TaskSeries) taskSamples {
	out := taskSamples{step: step, node: node, TaskSeries: t}
	if v := profile.IntervalS(t.EpochS); !math.IsNaN(v) {
		out.interval = v
	}
	return out
}

// nodeSamples are the sums and peaks of one node.
type nodeSamples struct {
	cpu, peak, gpuArea float64
	hasCPU, hasMemory  bool
	gpuTasks           int
	measured           []stretch
}

// node finds or makes a node's entry.
func (s *samples) node(name string) *nodeSamples {
	n := s.perNode[name]
	if n == nil {
		n = &nodeSamples{}
		s.perNode[name] = n
	}
	return n
}

// attemptGrace is how far outside [Start, End] a sample may lie and still belong to
// the attempt: clocks of nodes and controller differ.
const attemptGrace = 60

// newSamples reads the files of one attempt; start and end are Unix seconds, ±Inf
// when not known. Nil when nothing of the attempt is in them.
func newSamples(files []ProfileFile, start, end float64) *samples {
	s := &samples{power: make(map[string]profile.EnergySeries), energy: make(map[string]profile.Energy), from: math.Inf(1), to: math.Inf(-1)}
	w := nodeWide{power: make(map[string][]profile.EnergySeries), traffic: make(map[string]map[string][]profile.Gauge)}
	seen := make(map[string]int)
	for _, f := range files {
		if f.Profile == nil {
			continue
		}
		s.damaged = s.damaged || len(f.Profile.Damage) > 0
		for _, st := range f.Profile.Steps {
			name := cmp.Or(st.Name, f.Step)
			for i := range st.Nodes {
				s.addTasks(name, &st.Nodes[i], seen, start, end)
				w.add(&st.Nodes[i], start, end)
			}
		}
	}
	if len(s.tasks) == 0 && len(w.power) == 0 && len(w.traffic) == 0 {
		return nil
	}
	s.order()
	s.integrate(w.power)
	s.traffic = w.merged()
	s.reduce()
	return s
}

// addTasks takes over the tasks of one node and step, each once even when a file and a
// merged file of the same step were given, or an early and a late copy of one: the
// longest series counts, whatever came first.
func (s *samples) addTasks(step string, n *profile.Node, seen map[string]int, start, end float64) {
	for _, t := range n.Tasks {
		key := step + "\x00" + n.Name + "\x00" + t.ID
		t = t.Dedup()
		if !within(t.EpochS, start, end) {
			continue
		}
		i, twice := seen[key]
		switch {
		case !twice:
			seen[key] = len(s.tasks)
			s.tasks = append(s.tasks, newTaskSamples(step, n.Name, t))
		case longer(&t, &s.tasks[i].TaskSeries):
			s.tasks[i] = newTaskSamples(step, n.Name, t)
		}
	}
}

// longer tells whether a is to be kept of two series of one task. Of equal length any
// rule will do, so long as the order of the files does not matter.
func longer(a, b *profile.TaskSeries) bool {
	return cmp.Or(cmp.Compare(len(a.EpochS), len(b.EpochS)), cmp.Compare(a.RSSBytes.Valid(), b.RSSBytes.Valid()),
		slices.Compare(a.EpochS, b.EpochS), slices.Compare(a.RSSBytes, b.RSSBytes), slices.Compare(a.CPUTimeS, b.CPUTimeS),
		slices.Compare(a.GPUUtilPercent, b.GPUUtilPercent), slices.Compare(a.GPUMemBytes, b.GPUMemBytes)) > 0
}

// within tells whether a series began during the attempt.
func within(epoch profile.Column, start, end float64) bool {
	for _, t := range epoch {
		if !math.IsNaN(t) {
			return t >= start-attemptGrace && t <= end+attemptGrace
		}
	}
	return false
}

// order makes the result independent of the order of the files.
func (s *samples) order() {
	slices.SortStableFunc(s.tasks, func(a, b taskSamples) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.step, b.step), cmp.Compare(a.ID, b.ID))
	})
	for i := range s.tasks {
		if n := s.tasks[i].node; len(s.nodes) == 0 || s.nodes[len(s.nodes)-1] != n {
			s.nodes = append(s.nodes, n)
		}
	}
}

// integrate makes one power series per node and integrates it.
func (s *samples) integrate(power map[string][]profile.EnergySeries) {
	for node, list := range power {
		slices.SortStableFunc(list, func(a, b profile.EnergySeries) int {
			return cmp.Or(-cmp.Compare(a.Len(), b.Len()), cmp.Compare(first(a.EpochS), first(b.EpochS)), slices.Compare(a.PowerW, b.PowerW))
		})
		merged := profile.MergeEnergy(list...)
		e := profile.TrapezoidEnergy(merged, 0)
		s.power[node] = merged
		if e.Measured() {
			s.energy[node] = e
			s.gap = s.gap || len(e.Gaps) > 0
		}
	}
}

func first(c profile.Column) float64 {
	if len(c) == 0 {
		return 0
	}
	return c[0]
}

// reduce computes the sums and peaks.
func (s *samples) reduce() {
	s.perNode = make(map[string]*nodeSamples)
	var intervals []float64
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.interval > 0 {
			intervals = append(intervals, t.interval)
			s.gap = s.gap || len(profile.Gaps(t.EpochS, 3*t.interval)) > 0 || backwards(t.EpochS)
		}
		pieces := stretches(t.EpochS, t.interval)
		n := s.node(t.node)
		s.measured, n.measured = append(s.measured, pieces...), append(n.measured, pieces...)
		if v, ok := t.CPUTimeS.Sum(); ok {
			s.hasCPU, n.hasCPU = true, true
			s.cpuSeconds += v
			n.cpu += v
		}
		s.addGPU(t, n, length(pieces))
	}
	slices.Sort(intervals)
	if len(intervals) > 0 {
		s.interval = intervals[len(intervals)/2]
	}
	s.measured = union(s.measured)
	for _, n := range s.perNode {
		n.measured = union(n.measured)
	}
	s.from, s.to = widen(s.from, s.to, s.tasks)
	s.memoryPeaks()
}

func backwards(epoch profile.Column) bool {
	for i := 1; i < len(epoch); i++ {
		if epoch[i] < epoch[i-1] {
			return true
		}
	}
	return false
}

func (s *samples) addGPU(t *taskSamples, n *nodeSamples, span float64) {
	s.hasGPUMemory = s.hasGPUMemory || t.GPUMemBytes.Valid() > 0
	v, ok := t.GPUUtilPercent.Sum()
	if !ok {
		return
	}
	s.hasGPU = true
	area := v / float64(t.GPUUtilPercent.Valid()) * max(1, span)
	s.gpuArea, n.gpuArea = s.gpuArea+area, n.gpuArea+area
	s.gpuTasks, n.gpuTasks = s.gpuTasks+1, n.gpuTasks+1
}

// memoryPeaks walks all task series along one time axis.
func (s *samples) memoryPeaks() {
	rss := func(t *taskSamples) profile.Column { return t.RSSBytes }
	sweep(s.tasks, rss, func(_ float64, node string, atNode, total float64) {
		n := s.node(node)
		s.hasMemory, n.hasMemory = true, true
		n.peak = max(n.peak, atNode)
		s.memoryPeak = max(s.memoryPeak, total)
	})
	gpu := func(t *taskSamples) profile.Column { return t.GPUMemBytes }
	sweep(s.tasks, gpu, func(_ float64, _ string, _, total float64) {
		s.gpuMemoryPeak = max(s.gpuMemoryPeak, total)
	})
}

// seconds in which some task was looked at; 0 without any.
func (s *samples) seconds() float64 { return length(s.measured) }

// sampledAmount is a number from the task series with its coverage.
func (a *attempt) sampledAmount(v float64, bound Bound) amount {
	s := a.samples
	m := whole(v, bound, SourceProfile)
	m.seconds = s.seconds()
	if a.job.ElapsedSeconds != nil {
		m.seconds = min(m.seconds, a.elapsed())
	}
	m.nodes = int64(len(s.nodes))
	if m.partial(a) {
		m.bound = Lower
		m = m.because(UnmeasuredNodes)
	}
	if s.gap {
		m = m.because(ClockGap)
	}
	if s.damaged {
		m.bound = Lower
		m = m.because(MissingField)
	}
	return m
}
