package efficiency

import (
	"slices"
	"testing"
)

// dayJob ran from second 0 to 86400 and used 100 W by the meter.
func dayJob(pairs ...string) *record {
	return row(append([]string{"JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=86400", "Start=1000", "End=87400", "ConsumedEnergyRaw=8640000"}, pairs...)...)
}

// wholeNodes says that a job of four CPUs has its node for itself.
func wholeNodes() *Cluster {
	return &Cluster{DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 4}}}
}

func TestTenMinutesOfSeriesDoNotPriceADay(t *testing.T) {
	// Ten minutes at 200 W are 120 kJ at 1000, the other 8520 kJ lie evenly behind them: 100 in the rest of the day.
	in := Input{
		Rows: []*record{dayJob()}, Cluster: wholeNodes(),
		Profiles: []ProfileFile{powerFile("0", "n1", 1000, slices.Repeat([]float64{200}, 601)...)},
		Price:    &Tariff{Unit: "EUR", Intervals: []Interval{{0, 1600, 1000}, {1600, 90000, 100}}},
	}
	m := want(t, Analyse(in), Cost, (120e3*1000+8520e3*100)/JoulePerMWh)
	if m.Bound != Estimate {
		t.Errorf("bound %s: when the rest was used is not known", m.Bound)
	}
	in.Price = &Tariff{Unit: "EUR", Constant: ptr(100.0)}
	if m := want(t, Analyse(in), Cost, 8640e3*100/JoulePerMWh); m.Bound != Exact {
		t.Errorf("bound %s: at one price it does not matter when", m.Bound)
	}
}

func TestANodeWithoutSeriesLiesEvenlyOverTheRun(t *testing.T) {
	// Two nodes for 100 s; n1 has 100 W throughout, the meter saw 30 kJ, so that 20 kJ are of n2.
	in := Input{
		Rows:     []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=100", "Start=1000", "End=1100", "ConsumedEnergyRaw=30000")},
		Cluster:  wholeNodes(),
		Profiles: []ProfileFile{powerFile("0", "n1", 1000, slices.Repeat([]float64{100}, 101)...)},
		Price:    &Tariff{Intervals: []Interval{{0, 1050, JoulePerMWh}, {1050, 2000, 0}}},
	}
	if m := want(t, Analyse(in), Cost, 5000+10000); m.Bound != Estimate {
		t.Errorf("bound %s", m.Bound)
	}
}

func TestEnergyOfUnknownTimeIsAnEstimateOfWhatItCosts(t *testing.T) {
	in := Input{Rows: []*record{dayJob()}, Cluster: wholeNodes(), Price: &Tariff{Intervals: []Interval{{0, 44200, 100}, {44200, 90000, 300}}}}
	if m := want(t, Analyse(in), Cost, 8640e3*200/JoulePerMWh); m.Bound != Estimate {
		t.Errorf("bound %s", m.Bound)
	}
}

func TestTheSignOfThePriceTurnsTheBound(t *testing.T) {
	for _, c := range []struct {
		name        string
		least, most float64
		bound       map[Bound]Bound
	}{
		{"positive", 10, 20, map[Bound]Bound{Exact: Exact, Upper: Upper, Lower: Lower, Estimate: Estimate}},
		{"nothing", 0, 0, map[Bound]Bound{Exact: Exact, Upper: Upper, Lower: Lower, Estimate: Estimate}},
		{"negative", -20, -10, map[Bound]Bound{Exact: Exact, Upper: Lower, Lower: Upper, Estimate: Estimate}},
		{"mixed", -20, 10, map[Bound]Bound{Exact: Exact, Upper: Estimate, Lower: Estimate, Estimate: Estimate}},
	} {
		for energy, bound := range c.bound {
			if got := (&Bill{Least: c.least, Most: c.most}).bound(energy, false); got != bound {
				t.Errorf("%s prices make %s of %s energy, want %s", c.name, got, energy, bound)
			}
		}
	}
	// Whether the node was shared is not known: at most 8640 kJ, so at least −0.24 EUR.
	r := Analyse(Input{Rows: []*record{dayJob()}, Price: &Tariff{Unit: "EUR", Constant: ptr(-100.0)}})
	if m := r.Metrics[Cost]; m.Value == nil || *m.Value >= 0 || m.Bound != Lower || r.Metrics[Energy].Bound != Upper {
		t.Errorf("energy %s, cost %+v", r.Metrics[Energy].Bound, m)
	}
}
