package efficiency

import (
	"container/heap"
	"math"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// visit sees the sums after all samples of one moment: at one node and over all.
type visit func(at float64, node string, atNode, total float64)

// sweep walks the gauge of many tasks along their real time stamps and reports the
// sum over the tasks that are alive. A task's value holds until its next sample, at
// most three of its own intervals, and ends with its last sample: what came later was not seen.
func sweep(tasks []taskSamples, gauge func(*taskSamples) profile.Column, see visit) {
	h := cursors{}
	w := sums{perNode: make(map[string]*float64)}
	for i := range tasks {
		c := &cursor{task: &tasks[i], values: gauge(&tasks[i]), at: math.Inf(-1), node: w.node(tasks[i].node)}
		if c.advance() {
			h = append(h, c)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		now := h[0].at
		touched := w.step(&h, now)
		for _, node := range touched {
			see(now, node, *w.perNode[node], w.total)
		}
		w.expire()
	}
}

// sums keeps the running sums of a sweep.
type sums struct {
	perNode map[string]*float64
	total   float64
	// leaving are tasks whose last value ends after the present moment.
	leaving []*cursor
}

func (w *sums) node(name string) *float64 {
	if w.perNode[name] == nil {
		w.perNode[name] = new(float64)
	}
	return w.perNode[name]
}

// step applies all samples of one moment and returns the nodes that changed.
func (w *sums) step(h *cursors, now float64) []string {
	var touched []string
	for len(*h) > 0 && (*h)[0].at <= now {
		c := (*h)[0]
		w.set(c, c.next)
		if n := c.task.node; len(touched) == 0 || touched[len(touched)-1] != n {
			touched = append(touched, n)
		}
		if c.advance() {
			heap.Fix(h, 0)
			continue
		}
		heap.Pop(h)
		w.leaving = append(w.leaving, c)
	}
	return touched
}

func (w *sums) set(c *cursor, v float64) {
	*c.node += v - c.held
	w.total += v - c.held
	c.held = v
}

func (w *sums) expire() {
	for _, c := range w.leaving {
		w.set(c, 0)
	}
	w.leaving = w.leaving[:0]
}

// cursor is the position in one task's series.
type cursor struct {
	task   *taskSamples
	values profile.Column
	// node is the sum of the task's node.
	node *float64
	row  int
	// at and next are the coming moment and value; held is what counts now.
	at, next, held float64
	// hole: the present value ends before the next sample (a hole).
	hole bool
}

// advance moves to the next sample that has a time and a value. A hole of more than
// three of the task's intervals ends the value first.
func (c *cursor) advance() bool {
	limit := 3 * c.task.interval
	for ; c.row < len(c.values) && c.row < len(c.task.EpochS); c.row++ {
		t, v := c.task.EpochS[c.row], c.values[c.row]
		if math.IsNaN(t) || math.IsNaN(v) || t < c.at {
			continue
		}
		if !c.hole && limit > 0 && c.held > 0 && t-c.at > limit {
			c.at, c.next, c.hole = c.at+limit, 0, true
			return true
		}
		c.hole = false
		c.at, c.next = t, v
		c.row++
		return true
	}
	return false
}

// cursors is a heap ordered by time.
type cursors []*cursor

func (h cursors) Len() int           { return len(h) }
func (h cursors) Less(i, j int) bool { return h[i].at < h[j].at }
func (h cursors) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *cursors) Push(x any) { *h = append(*h, x.(*cursor)) }

// Pop implements heap.Interface.
func (h *cursors) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
