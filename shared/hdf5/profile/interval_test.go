package profile

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestIntervalIsTheMedianOfForwardSteps(t *testing.T) {
	nan := math.NaN()
	cases := map[string]struct {
		epochS Column
		want   float64
	}{
		"regular":                     {Column{0, 30, 60, 90}, 30},
		"one gap does not count":      {Column{0, 30, 60, 600, 630}, 30},
		"repeated times do not count": {Column{0, 0, 0, 10, 20}, 10},
		"backwards does not count":    {Column{0, 10, 5, 15}, 10},
		"missing times are skipped":   {Column{0, nan, 10, 20}, 10},
		"one row has none":            {Column{5}, nan},
		"no row has none":             {nil, nan},
	}
	for name, c := range cases {
		if got := IntervalS(c.epochS); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestGapsAreStepsOverTheLimit(t *testing.T) {
	epochS := Column{0, 10, 20, 51, 60, 90, 50, 200}
	want := []Gap{{20, 51}, {50, 200}}
	if got := Gaps(epochS, 30); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Gaps(epochS, 30)[0].LengthS(); got != 31 {
		t.Errorf("length %v", got)
	}
	if got := Gaps(Column{1, 2, 3}, MaxStepS(Column{1, 2, 3})); got != nil {
		t.Errorf("%v", got)
	}
}

func TestFirstNonZeroSkipsZerosAndMissing(t *testing.T) {
	if got := FirstNonZero(Column{0, Missing(), 0, 5, 0}); got != 3 {
		t.Errorf("%d", got)
	}
	if got := FirstNonZero(Column{0, Missing()}); got != -1 {
		t.Errorf("%d", got)
	}
}

func TestEnergyOfConstantPowerIsPowerTimesTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		watt := float64(rapid.IntRange(1, 2000).Draw(t, "watt"))
		stepS := float64(rapid.IntRange(1, 60).Draw(t, "step"))
		rows := rapid.IntRange(2, 50).Draw(t, "rows")
		zeros := rapid.IntRange(0, 3).Draw(t, "zeros")
		var s EnergySeries
		for i := range zeros + rows {
			power := watt
			if i < zeros {
				power = 0
			}
			s.EpochS, s.PowerW = append(s.EpochS, 1.8e9+float64(i)*stepS), append(s.PowerW, power)
		}
		e := TrapezoidEnergy(s, 0)
		seconds := float64(rows-1) * stepS
		if e.Joules != watt*seconds || e.CoveredS != seconds || e.LeadingRows != zeros || e.SpanS != float64(rows+zeros-1)*stepS {
			t.Fatalf("%+v for %v W over %v s", e, watt, seconds)
		}
	})
}

func TestEnergyCases(t *testing.T) {
	nan := math.NaN()
	series := func(rows ...[2]float64) (s EnergySeries) {
		for _, r := range rows {
			s.EpochS, s.PowerW = append(s.EpochS, r[0]), append(s.PowerW, r[1])
		}
		return s
	}
	cases := map[string]struct {
		in               EnergySeries
		joules, coveredS float64
		gaps, leading    int
		peakW            float64
	}{
		"later zeros are integrated":     {series([2]float64{0, 100}, [2]float64{1, 0}, [2]float64{2, 100}), 100, 2, 0, 0, 100},
		"zeros at the start are dropped": {series([2]float64{0, 0}, [2]float64{0, 0}, [2]float64{1, 0}, [2]float64{2, 50}, [2]float64{3, 50}), 50, 1, 0, 3, 50},
		"a gap is not bridged":           {series([2]float64{0, 10}, [2]float64{1, 10}, [2]float64{2, 10}, [2]float64{6, 10}, [2]float64{7, 10}), 30, 3, 1, 0, 10},
		"three intervals are bridged":    {series([2]float64{0, 10}, [2]float64{1, 10}, [2]float64{2, 10}, [2]float64{5, 10}), 50, 5, 0, 0, 10},
		"a repeated row adds nothing":    {series([2]float64{0, 10}, [2]float64{1, 10}, [2]float64{1, 10}, [2]float64{2, 10}), 20, 2, 0, 0, 10},
		"a clock set back adds nothing":  {series([2]float64{10, 10}, [2]float64{11, 10}, [2]float64{5, 10}, [2]float64{6, 10}), 20, 2, 0, 0, 10},
		"missing power is skipped":       {series([2]float64{0, 10}, [2]float64{1, nan}, [2]float64{2, 10}), 20, 2, 0, 0, 10},
		"only zeros measure nothing":     {series([2]float64{0, 0}, [2]float64{1, 0}), 0, 0, 0, 0, 0},
		"one row measures nothing":       {series([2]float64{0, 10}), 0, 0, 0, 0, 10},
		"no row measures nothing":        {EnergySeries{}, 0, 0, 0, 0, 0},
	}
	for name, c := range cases {
		e := TrapezoidEnergy(c.in, 0)
		if e.Joules != c.joules || e.CoveredS != c.coveredS || len(e.Gaps) != c.gaps || e.LeadingRows != c.leading || e.PeakW != c.peakW {
			t.Errorf("%s: %+v", name, e)
		}
		if e.Measured() != (c.coveredS > 0) {
			t.Errorf("%s: measured %v", name, e.Measured())
		}
	}
}

func TestMergedEnergyOfOverlappingFilesCountsEachSecondOnce(t *testing.T) {
	batch := openFile(t, "../testdata/23_batch_n1.h5").Steps[0].Nodes[0].Energy
	step0 := openFile(t, "../testdata/23_0_n1.h5").Steps[0].Nodes[0].Energy
	step1 := openFile(t, "../testdata/23_1_n1.h5").Steps[0].Nodes[0].Energy
	alone := TrapezoidEnergy(*batch, 0)
	for _, m := range []EnergySeries{MergeEnergy(*batch, *step0, *step1), MergeEnergy(*step1, *step0, *batch)} {
		if got := TrapezoidEnergy(m, 0); math.Abs(got.Joules-alone.Joules) > 0.02*alone.Joules || got.CoveredS > alone.SpanS+1 {
			t.Errorf("merged %+v, alone %+v", got, alone)
		}
	}
	// 100 W + 20 W were fed for 26 s: facts/slurm.md §3.
	if alone.Joules < 0.95*120*26 || alone.Joules > 1.05*120*26 {
		t.Errorf("%v J, want about %v", alone.Joules, 120*26)
	}
}

func TestMergedEnergyFillsWhatTheLongestFileDoesNotCover(t *testing.T) {
	a := EnergySeries{Clock: Clock{EpochS: Column{10, 11, 12, 13}}, PowerW: Column{5, 5, 5, 5}}
	b := EnergySeries{Clock: Clock{EpochS: Column{8, 9, 10, 11}}, PowerW: Column{0, 7, 7, 7}}
	m := MergeEnergy(b, a)
	if !sameColumn(m.EpochS, Column{9, 10, 11, 12, 13}) || !sameColumn(m.PowerW, Column{7, 5, 5, 5, 5}) {
		t.Errorf("%v %v", m.EpochS, m.PowerW)
	}
}
