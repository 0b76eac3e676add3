package profile

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDedupTaskRows(t *testing.T) {
	s := TaskSeries{
		Clock:       Clock{EpochS: Column{1, 2, 2, 3, 3, 4}},
		CPUTimeS:    Column{0, 5, 5, 1, 2, 7},
		RSSBytes:    Column{10, 20, 20, 30, 40, 50},
		ReadBytes:   Column{1, 1, 1, 1, Missing(), 1},
		GPUMemBytes: Column{1, 1, 1, Missing(), 9, 1},
	}
	got := s.Dedup()
	if !sameColumn(got.EpochS, Column{1, 2, 3, 4}) {
		t.Fatalf("times %v", got.EpochS)
	}
	if !sameColumn(got.CPUTimeS, Column{0, 5, 3, 7}) {
		t.Errorf("an equal row counts once, a different one adds its amount: %v", got.CPUTimeS)
	}
	if !sameColumn(got.RSSBytes, Column{10, 20, 40, 50}) {
		t.Errorf("of a gauge the later value stands: %v", got.RSSBytes)
	}
	if !sameColumn(got.ReadBytes, Column{1, 1, 1, 1}) || !sameColumn(got.GPUMemBytes, Column{1, 1, 9, 1}) {
		t.Errorf("missing values do not replace others: %v %v", got.ReadBytes, got.GPUMemBytes)
	}
	if got.WriteBytes != nil {
		t.Errorf("an absent member stays absent")
	}
	if len(s.EpochS) != 6 || s.CPUTimeS[4] != 2 {
		t.Errorf("the input changed: %+v", s)
	}
}

func TestDedupIsIdempotentAndKeepsTheSumOfDifferentRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "rows")
		s := TaskSeries{Clock: Clock{EpochS: Column{}}, CPUTimeS: Column{}, RSSBytes: Column{}}
		now := 0
		for i := range n {
			now += rapid.IntRange(0, 2).Draw(t, "step")
			s.EpochS = append(s.EpochS, float64(now))
			s.CPUTimeS = append(s.CPUTimeS, float64(rapid.IntRange(0, 9).Draw(t, "cpu")))
			s.RSSBytes = append(s.RSSBytes, float64(i)) // no two rows are equal
		}
		once := s.Dedup()
		before, _ := s.CPUTimeS.Sum()
		after, _ := once.CPUTimeS.Sum()
		if before != after {
			t.Fatalf("CPU time %v became %v", before, after)
		}
		for i := 1; i < len(once.EpochS); i++ {
			if once.EpochS[i] == once.EpochS[i-1] {
				t.Fatalf("time %v stands twice", once.EpochS[i])
			}
		}
		if twice := once.Dedup(); !sameColumn(twice.CPUTimeS, once.CPUTimeS) {
			t.Fatalf("%v then %v", once.CPUTimeS, twice.CPUTimeS)
		}
	})
}

func TestDedupOfRealEnergyDropsTheRepeatedBaseline(t *testing.T) {
	e := openFile(t, "../testdata/23_0_n1.h5").Steps[0].Nodes[0].Energy
	got := e.Dedup()
	if e.Len() != 17 || got.Len() != 16 || got.EpochS[0] == got.EpochS[1] {
		t.Errorf("%d rows became %d", e.Len(), got.Len())
	}
	if a, b := TrapezoidEnergy(*e, 0), TrapezoidEnergy(got, 0); a.Joules != b.Joules {
		t.Errorf("the integral changed from %v to %v", a.Joules, b.Joules)
	}
}

func TestDedupWithoutTimeChangesNothing(t *testing.T) {
	s := NetworkSeries{InBytes: Column{1, 1}}
	if got := s.Dedup(); len(got.InBytes) != 2 {
		t.Errorf("%v", got.InBytes)
	}
	f := FilesystemSeries{Clock: Clock{EpochS: Column{1, 1}}, Reads: Column{5, 6}}
	if got := f.Dedup(); got.Reads[0] != 11 {
		t.Errorf("amounts add: %v", got.Reads)
	}
	f.SuspectCumulative = true
	if got := f.Dedup(); got.Reads[0] != 6 {
		t.Errorf("counters do not add: %v", got.Reads)
	}
}

func TestSwappedNetworkIsSeenAndTurned(t *testing.T) {
	n := openFile(t, "../testdata/23_batch_n1.h5").Steps[0].Nodes[0].Network
	right := n.Unswapped()
	if right.SuspectSwapped || right.suspectSwapped() {
		t.Errorf("still looks swapped")
	}
	for i, v := range right.PacketsIn {
		if v != math.Trunc(v) || right.InBytes[i] != n.PacketsIn[i] {
			t.Fatalf("row %d: %v packets, %v bytes", i, v, right.InBytes[i])
		}
	}
	good := NetworkSeries{PacketsIn: Column{0, 10}, InBytes: Column{0, 15000}}
	if good.suspectSwapped() {
		t.Errorf("1500 bytes a packet is right")
	}
	if idle := (&NetworkSeries{PacketsIn: Column{0, 0}, InBytes: Column{0, 0}}); idle.suspectSwapped() {
		t.Errorf("silence says nothing")
	}
	if absent := (&NetworkSeries{}).Unswapped(); absent.PacketsIn != nil {
		t.Errorf("absent members stay absent")
	}
}

func TestCumulativeFilesystemCountersAreSeen(t *testing.T) {
	cases := map[string]struct {
		reads Column
		want  bool
	}{
		"ever growing":        {Column{0, 572, 580, 590, 600, 610}, true},
		"rates fall too":      {Column{0, 5, 8, 3, 9, 4, 5}, false},
		"constant rate":       {Column{0, 5, 5, 5, 5, 5, 5}, false},
		"too short to say":    {Column{0, 5, 6, 7}, false},
		"nothing but zeros":   {Column{0, 0, 0}, false},
		"missing is no fall":  {Column{5, 6, Missing(), 7, 8, 9}, true},
		"no such member":      {nil, false},
		"one late step alone": {Column{5, 5, 5, 5, 6}, false},
	}
	for name, c := range cases {
		if got := (&FilesystemSeries{Reads: c.reads}).suspectCumulative(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDifferencesOfCounters(t *testing.T) {
	s := FilesystemSeries{Reads: Column{0, 0, 572, 580, Missing(), 600, 10, 15}}
	want := Column{0, 0, Missing(), 8, Missing(), 20, Missing(), 5}
	if got := s.Differences().Reads; !sameColumn(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (FilesystemSeries{Writes: Column{0, 0}}).Differences(); got.Reads != nil || !sameColumn(got.Writes, Column{0, 0}) {
		t.Errorf("%+v", got)
	}
}
