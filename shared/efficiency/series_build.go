package efficiency

import (
	"math"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// maxSeriesNodes bounds the lines per node of a report; totals always cover all nodes.
const maxSeriesNodes = 32

// series reduces the samples to lines of at most maxPoints buckets.
func (s *samples) series(maxPoints int) *SeriesSet {
	if maxPoints <= 0 {
		maxPoints = DefaultMaxPoints
	}
	from, to, interval := s.bounds()
	if to < from {
		return nil
	}
	step := max(interval, 1, math.Ceil((to-from)/float64(maxPoints)))
	set := &SeriesSet{Start: int64(from), Step: step, Points: min(maxPoints, int((to-from)/step)+1), Sampling: interval}
	set.Note = "averages are means over each bucket, memory is the maximum in each bucket"
	g := grid{from: float64(set.Start), step: step, points: set.Points}
	shown := s.allNodes()
	if len(shown) > maxSeriesNodes {
		shown = shown[:maxSeriesNodes]
		set.Note += "; lines per node are limited to the first " + itoa(maxSeriesNodes) + " of " + itoa(int64(len(s.allNodes()))) + " nodes, totals cover all"
	}
	for _, b := range s.buckets(g) {
		set.Lines = append(set.Lines, b.lines(shown)...)
	}
	return set
}

// bounds is the time that any series covers.
func (s *samples) bounds() (from, to, interval float64) {
	interval = s.interval
	tasks := s.nodeWideTasks()
	from, to = widen(s.from, s.to, tasks)
	if interval == 0 {
		interval = powerInterval(tasks)
	}
	// Hostile time stamps must not make an endless axis.
	if from < 0 || to > 1<<40 {
		return 1, 0, interval
	}
	return from, to, interval
}

// buckets fills one bucket set per quantity.
func (s *samples) buckets(g grid) []*buckets {
	power := s.powerTasks()
	rss := func(t *taskSamples) profile.Column { return t.RSSBytes }
	out := []*buckets{
		g.rates("cpu_cores", Count, s.tasks, func(t *taskSamples) profile.Column { return t.CPUTimeS }),
		g.peaks("memory", Byte, s.tasks, rss),
		g.levels("power", Watt, power, rss),
		g.rates("read", Byte, s.tasks, func(t *taskSamples) profile.Column { return t.ReadBytes }),
		g.rates("write", Byte, s.tasks, func(t *taskSamples) profile.Column { return t.WriteBytes }),
	}
	if s.hasGPU {
		out = append(out, g.levels("gpu_utilization", Percent, s.tasks, func(t *taskSamples) profile.Column { return t.GPUUtilPercent }))
	}
	if s.hasGPUMemory {
		out = append(out, g.peaks("gpu_memory", Byte, s.tasks, func(t *taskSamples) profile.Column { return t.GPUMemBytes }))
	}
	return append(out, s.trafficBuckets(g)...)
}
