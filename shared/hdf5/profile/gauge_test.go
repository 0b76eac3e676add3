package profile

import (
	"math"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

func TestRatesOfTheNetworkAreBytesPerSecond(t *testing.T) {
	s := NetworkSeries{
		Clock:     Clock{EpochS: Column{10, 12, 12, 16}},
		PacketsIn: Column{0, 2, 1, 4}, PacketsOut: Column{0, 1, 1, 2},
		InBytes: Column{0, 3000, 1000, 8000}, OutBytes: Column{0, 100, 100, 400},
	}
	in, out := s.Rates()
	// Two rows of second 12 are two intervals of that second: their amounts add up.
	if !sameColumn(in.Value, Column{Missing(), 2000, 2000}) || !sameColumn(out.Value, Column{Missing(), 100, 100}) {
		t.Errorf("in %v, out %v at %v", in.Value, out.Value, in.EpochS)
	}
	swapped := NetworkSeries{
		Clock: s.Clock, PacketsIn: s.InBytes, PacketsOut: s.OutBytes,
		InBytes: s.PacketsIn.scaled(mib / packetFactor), OutBytes: s.PacketsOut.scaled(mib / packetFactor), SuspectSwapped: true,
	}
	if again, _ := swapped.Rates(); !sameColumn(again.Value, in.Value) {
		t.Errorf("swapped fields give %v, want %v", again.Value, in.Value)
	}
}

func TestRatesOfARealNodeAreItsTraffic(t *testing.T) {
	node := openFile(t, "../testdata/23_batch_n1.h5").Steps[0].Nodes[0]
	read, write := node.Filesystem.Rates()
	// dev/slurm feeds 10 × 524288 bytes read and 10 × 262144 written each second: facts/slurm.md §3.
	for name, c := range map[string]struct {
		gauge Gauge
		want  float64
	}{"read": {read, 5242880}, "written": {write, 2621440}} {
		var sum, seconds float64
		eachStep(c.gauge.EpochS, func(_, to int, stepS float64) {
			if v := c.gauge.Value[to]; !math.IsNaN(v) {
				sum, seconds = sum+v*stepS, seconds+stepS
			}
		})
		if mean := sum / seconds; seconds < 20 || math.Abs(mean-c.want) > 0.1*c.want {
			t.Errorf("%s: %v bytes/s over %v s, want about %v", name, mean, seconds, c.want)
		}
	}
	in, _ := node.Network.Rates()
	if v, ok := in.Value.Max(); !ok || v <= 0 || v > 1e9 {
		t.Errorf("network in: %v %v", v, ok)
	}
}

func TestRatesOfAbsentMembersAreEmpty(t *testing.T) {
	in, out := NetworkSeries{Clock: Clock{EpochS: Column{1, 2}}}.Rates()
	if in.Value != nil || out.Value != nil {
		t.Errorf("%v %v", in, out)
	}
}

func TestACounterThatStartsAgainIsStillACounter(t *testing.T) {
	var counter, amount Column
	for i := range 40 {
		counter = append(counter, float64(1000+10*(i%25)))
		amount = append(amount, float64(5+3*(i%2)))
	}
	s := FilesystemSeries{Clock: Clock{EpochS: make(Column, 40)}, ReadBytes: counter}
	for i := range s.EpochS {
		s.EpochS[i] = float64(100 + i)
	}
	if s.SuspectCumulative = s.suspectCumulative(); !s.SuspectCumulative {
		t.Fatal("one fall among 38 rises is a remount, not an amount")
	}
	read, _ := s.Rates()
	for i, v := range read.Value {
		if missing := i == 0 || i == 25; missing != math.IsNaN(v) || !missing && v != 10 {
			t.Errorf("row %d: %v", i, v)
		}
	}
	if (&FilesystemSeries{ReadBytes: amount}).suspectCumulative() {
		t.Error("an amount that goes up and down is no counter")
	}
}

// bruteMerge takes the series in order of their length and keeps what lies outside
// of all that were taken before.
func bruteMerge(series []Gauge) map[float64]float64 {
	out := make(map[float64]float64)
	var taken []Gap
	for _, g := range series {
		span := Gap{FromS: math.Inf(1), ToS: math.Inf(-1)}
		for i, t := range g.EpochS {
			inside := false
			for _, c := range taken {
				inside = inside || t >= c.FromS && t <= c.ToS
			}
			if inside {
				continue
			}
			out[t] = g.Value[i]
			span.FromS, span.ToS = min(span.FromS, t), max(span.ToS, t)
		}
		taken = append(taken, span)
	}
	return out
}

func TestMergedGaugesCountEachMomentOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var series []Gauge
		// Of different lengths, the longest first, so that the order is that of the merge.
		for i := range rapid.IntRange(0, 8).Draw(t, "series") {
			from := rapid.IntRange(0, 60).Draw(t, "from")
			g := Gauge{}
			for k := range 20 - 2*i {
				g.EpochS = append(g.EpochS, float64(from+k))
				g.Value = append(g.Value, float64(100*i+k))
			}
			series = append(series, g)
		}
		want := bruteMerge(series)
		got := MergeGauges(series...)
		if len(got.EpochS) != len(want) {
			t.Fatalf("%d moments, want %d", len(got.EpochS), len(want))
		}
		for i, at := range got.EpochS {
			if want[at] != got.Value[i] || i > 0 && at <= got.EpochS[i-1] {
				t.Fatalf("at %v: %v, want %v", at, got.Value[i], want[at])
			}
		}
	})
}

// A job of ten thousand steps has ten thousand files of one node: the work may grow
// a little faster than their number, not with its square. Memory is what a test can
// count without a clock.
func TestMergingManySeriesTakesMemoryOfTheirSize(t *testing.T) {
	allocated := func(n int) uint64 {
		series := make([]EnergySeries, n)
		for i := range series {
			at := float64(100 * i)
			series[i] = EnergySeries{Clock: Clock{EpochS: Column{at, at + 1, at + 2}}, PowerW: Column{0, 5, 5}}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		merged := MergeEnergy(series...)
		runtime.ReadMemStats(&after)
		if len(merged.PowerW) != 2*n {
			t.Fatalf("%d rows of %d series", len(merged.PowerW), n)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := allocated(1000), allocated(10_000)
	if many > 20*few {
		t.Errorf("1000 series took %d bytes, 10 000 took %d", few, many)
	}
}

func TestAHoleInTheLongestSeriesIsFilledFromAnother(t *testing.T) {
	var long, other Gauge
	for at := 0.0; at < 100; at++ {
		if at < 40 || at >= 60 {
			long.EpochS, long.Value = append(long.EpochS, at), append(long.Value, 1)
		}
		if at >= 30 && at < 70 {
			other.EpochS, other.Value = append(other.EpochS, at), append(other.Value, 2)
		}
	}
	m := MergeGauges(long, other)
	filled := 0
	for i, v := range m.Value {
		if v == 2 {
			filled++
			if at := m.EpochS[i]; at < 40 || at >= 60 {
				t.Errorf("second %v was covered and is there twice", at)
			}
		}
	}
	if len(m.Value) != 100 || filled != 20 {
		t.Errorf("%d values, %d of them in the hole of 20 s", len(m.Value), filled)
	}
}
