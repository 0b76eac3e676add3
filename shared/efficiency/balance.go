package efficiency

import "math"

// parts are the known amounts of one resource before they are balanced. All ≥ 0.
type parts struct {
	allocated float64
	used      float64
	usedOK    bool
	// forced is how much of the allocation the site's rules made the job take.
	forced float64
	// unmeasured is allocation about which there is no data.
	unmeasured float64
	// cause is set for a failed attempt.
	cause Cause
	bound Bound
}

// balance makes an Account that adds up exactly. A failed attempt goes whole into
// lost. What was not used is first forced, then idle.
func balance(p parts) *Account {
	if !countable(p.allocated) || p.usedOK && !countable(p.used) {
		return nil
	}
	if !p.usedOK {
		p.used, p.unmeasured = 0, p.allocated
	}
	p.unmeasured = clamp(p.unmeasured, p.allocated)
	measured := p.allocated - p.unmeasured
	if p.cause != "" {
		measured, p.unmeasured = p.allocated, 0
	}
	a := Account{Allocated: p.allocated, Overuse: max(0, p.used-measured), Bound: p.bound}
	if p.cause != "" {
		a.Lost = max(p.allocated, p.used)
		a.LostBy = map[Cause]float64{p.cause: a.Lost}
		return settle(a)
	}
	a.Used, a.Unmeasured = p.used, p.unmeasured
	a.Forced = clamp(p.forced, max(0, measured-p.used))
	return settle(a)
}

func countable(v float64) bool { return v >= 0 && v < 1e200 }

func clamp(v, limit float64) float64 { return max(0, min(v, limit)) }

// settle rounds every amount to a multiple of one power of two, small enough that
// all sums of them are exact in float64, and gives what is left over to Idle.
func settle(a Account) *Account {
	q := quantum(a.Allocated + a.Overuse)
	round := func(v float64) float64 { return math.Round(v/q) * q }
	a.Allocated, a.Overuse = round(a.Allocated), round(a.Overuse)
	a.Used, a.Forced, a.Lost, a.Unmeasured = round(a.Used), round(a.Forced), round(a.Lost), round(a.Unmeasured)
	a.LostBy = settleCauses(a.LostBy, a.Lost, round)
	rest := a.Allocated + a.Overuse - a.Used - a.Lost - a.Unmeasured
	if rest < 0 {
		// Rounding only: the parts came out up to a few quanta too large.
		a.Overuse -= rest
		rest = 0
	}
	a.Forced = min(a.Forced, rest)
	a.Idle = rest - a.Forced
	if a.Bound == "" {
		a.Bound = Exact
	}
	return &a
}

// quantum is a power of two of which the total has at most 2⁵¹, so that sums of a few
// amounts stay below 2⁵³ quanta; never finer than 2⁻⁴⁰.
func quantum(total float64) float64 {
	_, exponent := math.Frexp(total)
	return math.Ldexp(1, max(-40, exponent-51))
}

// settleCauses makes the parts of lost add up to it.
func settleCauses(by map[Cause]float64, lost float64, round func(float64) float64) map[Cause]float64 {
	out := make(map[Cause]float64, len(by))
	rest := lost
	causes := sortedKeys(by)
	for i, c := range causes {
		v := clamp(round(by[c]), rest)
		if i == len(causes)-1 {
			v = rest
		}
		if v > 0 {
			out[c] = v
			rest -= v
		}
	}
	return out
}

// Plus adds two accounts; a nil account is one that nothing is known about, and the
// sum is then the other one. The result again adds up exactly.
func (a *Account) Plus(b *Account) *Account {
	if a == nil {
		return b.copied()
	}
	if b == nil {
		return a.copied()
	}
	sum := Account{
		Allocated: a.Allocated + b.Allocated, Overuse: a.Overuse + b.Overuse,
		Used: a.Used + b.Used, Forced: a.Forced + b.Forced,
		Lost: a.Lost + b.Lost, Unmeasured: a.Unmeasured + b.Unmeasured,
		LostBy: make(map[Cause]float64), Bound: a.Bound.and(b.Bound),
	}
	for _, part := range []map[Cause]float64{a.LostBy, b.LostBy} {
		for c, v := range part {
			sum.LostBy[c] += v
		}
	}
	return settle(sum)
}

func (a *Account) copied() *Account {
	if a == nil {
		return nil
	}
	c := *a
	c.LostBy = make(map[Cause]float64, len(a.LostBy))
	for cause, v := range a.LostBy {
		c.LostBy[cause] = v
	}
	return &c
}

// Wasted is what was neither used nor forced nor unknown: idle + lost.
func (a *Account) Wasted() float64 {
	if a == nil {
		return 0
	}
	return a.Idle + a.Lost
}

// Plus adds two ledgers, resource by resource.
func (l Ledger) Plus(o Ledger) Ledger {
	return Ledger{
		CoreS: l.CoreS.Plus(o.CoreS), ByteS: l.ByteS.Plus(o.ByteS),
		GPUS: l.GPUS.Plus(o.GPUS), Joule: l.Joule.Plus(o.Joule),
	}
}
