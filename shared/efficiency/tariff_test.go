package efficiency

import (
	"math"
	"testing"
)

func TestEachSecondCostsThePriceOfItsInterval(t *testing.T) {
	price := &Tariff{Unit: "EUR", Intervals: []Interval{{0, 3600, 100}, {3600, 7200, -50}, {10800, 14400, 10}}}
	for _, c := range []struct {
		name     string
		burn     Burn
		amount   float64
		unpriced float64
		missing  []Interval
	}{
		{"inside one interval", Burn{0, 3600, JoulePerMWh}, 100, 0, nil},
		{"over two, one of them negative", Burn{1800, 5400, JoulePerMWh}, 25, 0, nil},
		{"into a hole", Burn{5400, 9000, JoulePerMWh}, -25, JoulePerMWh / 2, []Interval{{7200, 9000, 0}}},
		{"across a hole", Burn{6300, 11700, 6 * JoulePerMWh}, -40, 4 * JoulePerMWh, []Interval{{7200, 10800, 0}}},
		{"before all", Burn{-10, 0, 5}, 0, 5, []Interval{{-10, 0, 0}}},
		{"no time at all", Burn{5, 5, 5}, 0, 5, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := price.Apply([]Burn{c.burn}, JoulePerMWh)
			if math.Abs(b.Amount-c.amount) > 1e-9 || math.Abs(b.Unpriced-c.unpriced) > 1e-3 {
				t.Errorf("amount %v, unpriced %v", b.Amount, b.Unpriced)
			}
			if len(b.Missing) != len(c.missing) || len(c.missing) > 0 && b.Missing[0] != c.missing[0] {
				t.Errorf("missing %v, want %v", b.Missing, c.missing)
			}
		})
	}
}

func TestCostAndCarbonOfAJob(t *testing.T) {
	rows := []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "Start=3600", "End=7200", "ConsumedEnergyRaw=7200000")}
	in := Input{
		Rows:  rows,
		Price: &Tariff{Unit: "EUR", Intervals: []Interval{{0, 5400, 100}, {5400, 9000, 300}}},
	}
	in.Carbon = &Tariff{Constant: ptr(400.0)}
	r := Analyse(in)
	if m := want(t, r, Cost, 0.002*200); m.Unit != "EUR" {
		t.Errorf("unit %s", m.Unit)
	}
	if m := want(t, r, Carbon, 800); m.Unit != Gram {
		t.Errorf("unit %s", m.Unit)
	}
	in.Price = &Tariff{Unit: "EUR", Intervals: []Interval{{0, 5400, 100}}}
	r = Analyse(in)
	if m := want(t, r, Cost, 0.1); !m.Has(MissingIntervals) || *m.Coverage.Seconds != 1800 {
		t.Errorf("reasons %v, %v seconds", m.Reasons, *m.Coverage.Seconds)
	}
	if f := hasRule(r, RuleTariffGap); f == nil || f.Evidence["no_price"] != "1970-01-01T01:30:00Z/1970-01-01T02:00:00Z" {
		t.Errorf("the missing time is not named: %+v", f)
	}
	in.Price = &Tariff{Unit: "EUR"}
	wantMissing(t, Analyse(in), Cost, MissingIntervals)
	in.Price = nil
	wantMissing(t, Analyse(in), Cost, MissingField)
}

func TestCostFollowsThePowerSeries(t *testing.T) {
	in := Input{
		Rows:     []*record{energyJob("ConsumedEnergyRaw=2000")},
		Profiles: []ProfileFile{powerFile("0", "n1", 1000, 100, 100, 100, 100, 100, 100, 300, 300, 300, 300, 300)},
		Price:    &Tariff{Intervals: []Interval{{0, 1005, JoulePerMWh}, {1005, 2000, 0}}},
	}
	m := Analyse(in).Metrics[Cost]
	if m.Value == nil || math.Abs(*m.Value-2000*500/1900.0) > 1e-6 {
		t.Errorf("cost %v: the dear first half used 500 of 1900 J, scaled to 2000", m)
	}
}
