package efficiency

import (
	"fmt"
	"math"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
	"pgregory.net/rapid"
)

// Slow and obvious versions of the clever parts, to compare with.

// bruteOverlap looks at every start.
func bruteOverlap(spans []span) float64 {
	var peak float64
	for _, s := range spans {
		sum := s.amount
		for _, o := range spans {
			if o.to > o.from && o.from <= s.from && s.from < o.to {
				sum += o.amount
			}
		}
		if s.to > s.from {
			sum -= s.amount
		}
		peak = max(peak, sum)
	}
	return peak
}

func TestPeakOverlapIsWhatLookingAtEveryStartGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []span
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			from := rapid.IntRange(0, 20).Draw(t, "from")
			spans = append(spans, span{float64(from), float64(from + rapid.IntRange(0, 8).Draw(t, "length")), float64(rapid.IntRange(0, 100).Draw(t, "amount"))})
		}
		if got, slow := peakOverlap(spans), bruteOverlap(spans); got != slow {
			t.Fatalf("%v, want %v for %v", got, slow, spans)
		}
	})
}

// anyTasks are tasks on two nodes, sampled without holes.
func anyTasks(t *rapid.T) []taskSamples {
	var out []taskSamples
	for i := range rapid.IntRange(1, 6).Draw(t, "tasks") {
		at := float64(1000 + rapid.IntRange(0, 15).Draw(t, "start"))
		var clock, rss profile.Column
		for range rapid.IntRange(1, 10).Draw(t, "rows") {
			clock, rss = append(clock, at), append(rss, float64(rapid.IntRange(0, 1000).Draw(t, "rss")))
			at += float64(rapid.IntRange(1, 3).Draw(t, "gap"))
		}
		out = append(out, taskSamples{node: fmt.Sprintf("n%d", i%2), TaskSeries: profile.TaskSeries{ID: fmt.Sprint(i), Clock: profile.Clock{EpochS: clock}, RSSBytes: rss}})
	}
	return out
}

// valueAt is a task's value at a second: its last sample, while it lives.
func valueAt(t *taskSamples, at float64) float64 {
	n := len(t.EpochS)
	if at > t.EpochS[n-1] {
		return 0
	}
	var v float64
	for i := range t.EpochS {
		if t.EpochS[i] <= at {
			v = t.RSSBytes[i]
		}
	}
	return v
}

func TestSweepIsWhatLookingAtEverySecondGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks := anyTasks(t)
		rss := func(t *taskSamples) profile.Column { return t.RSSBytes }
		var peak float64
		nodePeak := map[string]float64{}
		sweep(tasks, rss, func(at float64, node string, atNode, total float64) {
			peak = max(peak, total)
			nodePeak[node] = max(nodePeak[node], atNode)
		})
		var slow float64
		slowNode := map[string]float64{}
		for at := 1000.0; at < 1060; at++ {
			sum := map[string]float64{}
			for i := range tasks {
				sum[tasks[i].node] += valueAt(&tasks[i], at)
			}
			slow = max(slow, sum["n0"]+sum["n1"])
			slowNode["n0"], slowNode["n1"] = max(slowNode["n0"], sum["n0"]), max(slowNode["n1"], sum["n1"])
		}
		if peak != slow || nodePeak["n0"] != slowNode["n0"] || nodePeak["n1"] != slowNode["n1"] {
			t.Fatalf("peak %v, nodes %v; every second gives %v, %v", peak, nodePeak, slow, slowNode)
		}
	})
}

func TestDownsamplingKeepsTheIntegral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks := anyTasks(t)
		g := grid{from: 1000, step: float64(rapid.IntRange(1, 20).Draw(t, "step")), points: 64}
		rss := func(t *taskSamples) profile.Column { return t.RSSBytes }
		b := g.rates("x", Count, tasks, rss)
		var sum, amounts float64
		for _, v := range b.at("").values {
			sum += v * g.step
		}
		for i := range tasks {
			for _, v := range tasks[i].RSSBytes[1:] {
				amounts += v
			}
		}
		if math.Abs(sum-amounts) > 1e-6*(1+amounts) {
			t.Fatalf("the buckets hold %v, the rows %v", sum, amounts)
		}
	})
}

// bruteBill multiplies second by second.
func bruteBill(t *Tariff, b Burn) (amount, unpriced float64) {
	perSecond := b.Joules / (b.To - b.From)
	for at := b.From; at < b.To; at++ {
		priced := false
		for _, iv := range t.Intervals {
			if float64(iv.From) <= at && at < float64(iv.To) {
				amount += perSecond * iv.Value
				priced = true
			}
		}
		if !priced {
			unpriced += perSecond
		}
	}
	return amount, unpriced
}

func TestTariffsAreExactToTheSecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tariff := &Tariff{}
		var at int64
		for range rapid.IntRange(0, 6).Draw(t, "intervals") {
			from := at + int64(rapid.IntRange(0, 5).Draw(t, "hole"))
			at = from + int64(rapid.IntRange(1, 9).Draw(t, "length"))
			tariff.Intervals = append(tariff.Intervals, Interval{from, at, float64(rapid.IntRange(-100, 100).Draw(t, "price"))})
		}
		from := rapid.IntRange(0, 40).Draw(t, "from")
		burn := Burn{From: float64(from), To: float64(from + rapid.IntRange(1, 40).Draw(t, "seconds")), Joules: 1000}
		got := tariff.Apply([]Burn{burn}, 1)
		amount, unpriced := bruteBill(tariff, burn)
		if math.Abs(got.Amount-amount) > 1e-6 || math.Abs(got.Unpriced-unpriced) > 1e-6 || math.Abs(got.Priced+got.Unpriced-1000) > 1e-6 {
			t.Fatalf("%+v; second by second %v, unpriced %v", got, amount, unpriced)
		}
		var missing int64
		for _, iv := range got.Missing {
			missing += iv.To - iv.From
		}
		if want := unpriced / 1000 * (burn.To - burn.From); math.Abs(float64(missing)-want) > 1e-6 {
			t.Fatalf("missing %v s named, want %v: %v", missing, want, got.Missing)
		}
	})
}

func TestQuartilesAreBetweenTheirNeighbours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reports []Report
		n := rapid.IntRange(1, 30).Draw(t, "n")
		for i := range n {
			v := rapid.Float64Range(0, 100).Draw(t, "v")
			reports = append(reports, Report{Job: Job{JobID: fmt.Sprint(i)}, Metrics: map[MetricName]Metric{CPUEfficiency: {Value: &v}}})
		}
		d := distribution(CPUEfficiency, reports)
		if d.N != n || *d.Min > *d.Q1 || *d.Q1 > *d.Median || *d.Median > *d.Q3 || *d.Q3 > *d.Max {
			t.Fatalf("%+v", d)
		}
		if len(d.Worst) != min(n, maxWorst) || d.Worst[0].Value != *d.Min {
			t.Fatalf("worst %+v", d.Worst)
		}
	})
}
