package efficiency

import (
	"math"
	"slices"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// grid is the common time axis of a SeriesSet.
type grid struct {
	from, step float64
	points     int
}

func (g grid) index(at float64) (int, bool) {
	i := int(math.Floor((at - g.from) / g.step))
	return i, i >= 0 && i < g.points
}

// buckets is one quantity on the grid, per node and (key "") in total.
type buckets struct {
	name    string
	unit    Unit
	reduced string
	g       grid
	cells   map[string]*cells
}

// cells are the buckets of one node.
type cells struct {
	values []float64
	seen   []bool
}

func (g grid) empty(name string, unit Unit, reduced string) *buckets {
	return &buckets{name: name, unit: unit, reduced: reduced, g: g, cells: make(map[string]*cells)}
}

// at finds or makes a node's buckets; the total has the empty name.
func (b *buckets) at(node string) *cells {
	c := b.cells[node]
	if c == nil {
		c = &cells{values: make([]float64, b.g.points), seen: make([]bool, b.g.points)}
		b.cells[node] = c
	}
	return c
}

func (c *cells) add(i int, v float64) {
	c.values[i] += v
	c.seen[i] = true
}

func (c *cells) max(i int, v float64) {
	c.values[i] = max(c.values[i], v)
	c.seen[i] = true
}

// rates spreads amounts of intervals (CPU seconds, bytes) over the buckets that the
// interval touches and divides by the bucket's width.
func (g grid) rates(name string, unit Unit, tasks []taskSamples, column func(*taskSamples) profile.Column) *buckets {
	b := g.empty(name, unit, "mean")
	for i := range tasks {
		t := &tasks[i]
		node, total := b.at(t.node), b.at("")
		eachInterval(t.EpochS, column(t), func(from, to, v float64) {
			g.spread(from, to, v/g.step, node, total)
		})
	}
	return b
}

// levels is the time-weighted mean of a gauge over the measured part of each bucket.
// The total is the sum over nodes (power) or the mean over all tasks (percent).
func (g grid) levels(name string, unit Unit, tasks []taskSamples, column func(*taskSamples) profile.Column) *buckets {
	area, width := g.empty(name, unit, "mean"), g.empty(name, unit, "mean")
	for i := range tasks {
		t := &tasks[i]
		limit := profile.MaxStepS(t.EpochS)
		nodeArea, allArea := area.at(t.node), area.at("")
		nodeWidth, allWidth := width.at(t.node), width.at("")
		eachInterval(t.EpochS, column(t), func(from, to, v float64) {
			if to-from <= limit {
				g.spread(from, to, v*(to-from), nodeArea, allArea)
				g.spread(from, to, to-from, nodeWidth, allWidth)
			}
		})
	}
	area.divide(width)
	if unit == Watt {
		area.sumNodes()
	}
	return area
}

func (b *buckets) divide(width *buckets) {
	for node, c := range b.cells {
		for i, w := range width.at(node).values {
			if w > 0 {
				c.values[i] /= w
			}
		}
	}
}

// sumNodes replaces the total by the sum of the nodes.
func (b *buckets) sumNodes() {
	delete(b.cells, "")
	for _, node := range sortedKeys(b.cells) {
		for i, ok := range b.cells[node].seen {
			if ok {
				b.at("").add(i, b.cells[node].values[i])
			}
		}
	}
}

// eachInterval visits the valid rows with the interval that ends at them.
func eachInterval(epoch, values profile.Column, see func(from, to, v float64)) {
	last := math.NaN()
	for i := range values {
		if i >= len(epoch) || math.IsNaN(epoch[i]) || math.IsNaN(values[i]) {
			continue
		}
		if epoch[i] > last {
			see(last, epoch[i], values[i])
		}
		last = epoch[i]
	}
}

// spread divides v over the buckets between from and to, in each of the lines.
func (g grid) spread(from, to, v float64, lines ...*cells) {
	first, last := g.clampIndex(from), g.clampIndex(to)
	for i := first; i <= last; i++ {
		lo := max(from, g.from+float64(i)*g.step)
		hi := min(to, g.from+float64(i+1)*g.step)
		if hi <= lo {
			continue
		}
		part := v * (hi - lo) / (to - from)
		for _, c := range lines {
			c.add(i, part)
		}
	}
}

func (g grid) clampIndex(at float64) int {
	return int(clamp(math.Floor((at-g.from)/g.step), float64(g.points-1)))
}

// peaks is the maximum in each bucket of the sum over living tasks.
func (g grid) peaks(name string, unit Unit, tasks []taskSamples, column func(*taskSamples) profile.Column) *buckets {
	b := g.empty(name, unit, "max")
	sweep(tasks, column, func(at float64, node string, atNode, total float64) {
		if i, ok := g.index(at); ok {
			b.at(node).max(i, atNode)
			b.at("").max(i, total)
		}
	})
	return b
}

// lines makes the wire lines: the total, then the nodes.
func (b *buckets) lines(nodes []string) []Line {
	var out []Line
	for _, node := range append([]string{""}, nodes...) {
		c := b.cells[node]
		if c == nil || !slices.Contains(c.seen, true) {
			continue
		}
		l := Line{Name: b.name, Node: node, Unit: b.unit, Reduced: b.reduced, Values: make([]*float64, b.g.points)}
		for i, ok := range c.seen {
			if ok {
				l.Values[i] = finite(c.values[i])
			}
		}
		out = append(out, l)
	}
	return out
}
