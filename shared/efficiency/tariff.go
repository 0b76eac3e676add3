package efficiency

import (
	"math"
	"sort"
)

// Tariff is a price (money per MWh) or a carbon intensity (gram per kWh) over time.
type Tariff struct {
	// Unit of the result: a currency ("EUR") for prices, ignored for carbon.
	Unit string
	// Constant holds at all times when Intervals is empty.
	Constant *float64
	// Intervals are ordered by From and do not overlap. Values may be negative.
	Intervals []Interval
}

// Interval is one value in force from From (inclusive) to To (exclusive), Unix seconds.
type Interval struct {
	From, To int64
	Value    float64
}

// Joules per unit of a tariff.
const (
	JoulePerMWh = 3.6e9
	JoulePerKWh = 3.6e6
)

// Burn is energy used at constant power from From to To, Unix seconds.
type Burn struct{ From, To, Joules float64 }

// Bill is what a tariff makes of energy over time.
type Bill struct {
	// Amount is Σ over intervals of energy in the interval × its value / joulesPerUnit,
	// without the time that the tariff does not cover.
	Amount float64
	// Priced and Unpriced are joules.
	Priced, Unpriced float64
	// Missing are the times without a value, merged and in order; Value is 0.
	Missing []Interval
	// Least and Most are the smallest and greatest value that was applied.
	Least, Most float64
}

// apply adds what some joules come to at a value.
func (b *Bill) apply(joules, joulesPerUnit, value float64) {
	if b.Priced == 0 {
		b.Least, b.Most = value, value
	}
	b.Least, b.Most = min(b.Least, value), max(b.Most, value)
	b.Amount += joules / joulesPerUnit * value
	b.Priced += joules
}

// bound of the amount, from that of the energy: more energy at a negative value comes to
// less. evenly says that when the energy was used is partly not known, which matters
// where the value changed.
func (b *Bill) bound(energy Bound, evenly bool) Bound {
	switch {
	case evenly && b.Least != b.Most:
		return Estimate
	case energy == Exact || b.Least >= 0:
		return energy
	case b.Most <= 0:
		return energy.flipped()
	default:
		return Estimate
	}
}

// Apply integrates exactly: each second of the energy is multiplied with the value
// in force at that second. joulesPerUnit is JoulePerMWh or JoulePerKWh.
func (t *Tariff) Apply(burns []Burn, joulesPerUnit float64) Bill {
	var b Bill
	for _, burn := range burns {
		if t.Constant != nil && len(t.Intervals) == 0 {
			b.apply(burn.Joules, joulesPerUnit, *t.Constant)
			continue
		}
		t.add(&b, burn, joulesPerUnit)
	}
	return b
}

func (t *Tariff) add(b *Bill, burn Burn, joulesPerUnit float64) {
	length := burn.To - burn.From
	if !(length > 0) || math.IsInf(length, 0) {
		b.Unpriced += burn.Joules
		return
	}
	at := burn.From
	first := sort.Search(len(t.Intervals), func(i int) bool { return float64(t.Intervals[i].To) > burn.From })
	for _, iv := range t.Intervals[first:] {
		from, to := max(at, float64(iv.From)), min(burn.To, float64(iv.To))
		if float64(iv.From) >= burn.To {
			break
		}
		if to <= from {
			continue
		}
		b.miss(at, from, burn)
		joules := burn.Joules * (to - from) / length
		b.apply(joules, joulesPerUnit, iv.Value)
		at = to
	}
	b.miss(at, burn.To, burn)
}

func (b *Bill) miss(from, to float64, burn Burn) {
	if to <= from {
		return
	}
	b.Unpriced += burn.Joules * (to - from) / (burn.To - burn.From)
	gap := Interval{From: int64(math.Floor(from)), To: int64(math.Ceil(to))}
	if n := len(b.Missing); n > 0 && gap.From <= b.Missing[n-1].To && gap.From >= b.Missing[n-1].From {
		b.Missing[n-1].To = max(b.Missing[n-1].To, gap.To)
		return
	}
	b.Missing = append(b.Missing, gap)
}

// bill applies a tariff to the job's energy, along the power series where there is
// one, else evenly from Start to End.
func (a *attempt) bill(energy amount, t *Tariff, joulesPerUnit float64) (amount, []Interval) {
	if t == nil {
		return none(MissingField), nil
	}
	if !energy.ok {
		return energy, nil
	}
	burns, evenly := a.burns(energy)
	b := t.Apply(burns, joulesPerUnit)
	m := energy
	m.value, m.bound = b.Amount, b.bound(energy.bound, evenly)
	if b.Priced <= 0 && energy.value > 0 {
		return none(MissingIntervals), b.Missing
	}
	if b.Unpriced > 0 {
		m.bound = Estimate
		m.seconds = a.elapsed() * b.Priced / (b.Priced + b.Unpriced)
		m = m.because(MissingIntervals)
	}
	return m, b.Missing
}

func totalJoules(burns []Burn) float64 {
	var sum float64
	for _, b := range burns {
		sum += b.Joules
	}
	return sum
}
