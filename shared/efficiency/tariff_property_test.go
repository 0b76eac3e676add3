package efficiency

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func drawTariff(t *rapid.T) *Tariff {
	out := &Tariff{Unit: "EUR"}
	at := int64(0)
	for range rapid.IntRange(1, 8).Draw(t, "intervals") {
		at += rapid.Int64Range(0, 500).Draw(t, "hole")
		to := at + rapid.Int64Range(1, 1000).Draw(t, "length")
		out.Intervals = append(out.Intervals, Interval{at, to, rapid.Float64Range(-500, 500).Draw(t, "value")})
		at = to
	}
	return out
}

func drawBurns(t *rapid.T) (out []Burn) {
	at := rapid.Float64Range(-500, 500).Draw(t, "start")
	for range rapid.IntRange(1, 6).Draw(t, "burns") {
		to := at + rapid.Float64Range(1, 2000).Draw(t, "seconds")
		out = append(out, Burn{at, to, rapid.Float64Range(0, 1e9).Draw(t, "joules")})
		at = to
	}
	return out
}

func closeTo(a, b, scale float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, scale) }

func TestEveryJouleIsPricedOrNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		burns := drawBurns(t)
		b := drawTariff(t).Apply(burns, JoulePerMWh)
		if all := totalJoules(burns); !closeTo(b.Priced+b.Unpriced, all, all) {
			t.Fatalf("%v priced + %v unpriced of %v J", b.Priced, b.Unpriced, all)
		}
		for i, m := range b.Missing {
			if m.To <= m.From || i > 0 && m.From < b.Missing[i-1].To {
				t.Fatalf("missing %v", b.Missing)
			}
		}
	})
}

// Cutting the energy into shorter pieces, or an interval into two of the same value, is the same bill.
func TestCuttingChangesNoBill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tariff, burns := drawTariff(t), drawBurns(t)
		want := tariff.Apply(burns, JoulePerMWh)
		share := rapid.Float64Range(0.1, 0.9).Draw(t, "cut at")
		var pieces []Burn
		for _, b := range burns {
			mid := b.From + share*(b.To-b.From)
			pieces = append(pieces, Burn{b.From, mid, share * b.Joules}, Burn{mid, b.To, (1 - share) * b.Joules})
		}
		finer := &Tariff{}
		for _, iv := range tariff.Intervals {
			if mid := (iv.From + iv.To) / 2; mid > iv.From && mid < iv.To {
				finer.Intervals = append(finer.Intervals, Interval{iv.From, mid, iv.Value}, Interval{mid, iv.To, iv.Value})
				continue
			}
			finer.Intervals = append(finer.Intervals, iv)
		}
		for name, got := range map[string]Bill{
			"shorter pieces of energy": tariff.Apply(pieces, JoulePerMWh), "shorter intervals": finer.Apply(burns, JoulePerMWh),
		} {
			if !closeTo(got.Amount, want.Amount, 1e3) || !closeTo(got.Unpriced, want.Unpriced, 1e10) {
				t.Fatalf("%s: %+v, want %+v", name, got, want)
			}
		}
	})
}

func TestAConstantIsAPriceAtAllTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value, burns := rapid.Float64Range(-500, 500).Draw(t, "value"), drawBurns(t)
		b := (&Tariff{Constant: &value}).Apply(burns, JoulePerKWh)
		if want := totalJoules(burns) / JoulePerKWh * value; !closeTo(b.Amount, want, math.Abs(want)) || b.Unpriced != 0 || len(b.Missing) > 0 {
			t.Fatalf("%+v, want %v", b, want)
		}
	})
}

func TestFindingsAddUpInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reports []Report
		var want Wasted
		for range rapid.IntRange(0, 8).Draw(t, "jobs") {
			f := Finding{Rule: rapid.SampledFrom(allRules()).Draw(t, "rule"), Wasted: Wasted{CoreS: float64(rapid.IntRange(0, 1e6).Draw(t, "core s"))}}
			reports = append(reports, Report{Findings: []Finding{f}})
			want = want.plus(f.Wasted)
		}
		all := SumFindings(reports)
		var got Wasted
		jobs := 0
		for i, total := range all {
			got, jobs = got.plus(total.Wasted), jobs+total.Jobs
			if i > 0 && all[i-1].Wasted.CoreS < total.Wasted.CoreS {
				t.Fatalf("not the most wasteful first: %+v", all)
			}
		}
		if got != want || jobs != len(reports) {
			t.Fatalf("%+v of %d jobs, want %+v of %d", got, jobs, want, len(reports))
		}
		again := SumFindings(rapid.Permutation(reports).Draw(t, "order"))
		for i := range all {
			if all[i].Wasted != again[i].Wasted {
				t.Fatalf("%+v\n%+v", all, again)
			}
		}
	})
}
