package advice

import (
	"math"
	"math/rand/v2"
	"slices"
)

// fit says how what runs need follows one number: need = scale × number^power, or with number + 1 where it can be zero.
type fit struct {
	by      covariate
	samples []sample
	x, y    []float64 // logarithms of numbers and needs, by number
	from    float64   // added to a number
	a, b    float64   // y ≈ a + b x
	over    float64   // the largest y above that
	spread  float64   // between the largest and the smallest y about that
}

// The bounds of a fit. Few runs and many numbers would always find one that fits by chance: the chance that needs dealt out
// to the runs at random fit as well must be below 5 % for all candidates together.
const (
	minFitRuns   = 5
	minFitValues = 3
	fitChance    = 0.05
	// dealsPer is how many deals are tried for each candidate, of at most maxDealt runs; maxTried how many fits are tested.
	dealsPer = 100
	maxDealt = 200
	maxTried = 4
)

// bestFit is the closest fit that is not by chance; nil when there is none.
func bestFit(list []sample, all []covariate, maxSpread float64) *fit {
	var found []*fit
	candidates := 0
	for _, k := range all {
		f := newFit(k, list)
		if f == nil {
			continue
		}
		candidates++
		if f.spread <= math.Log(maxSpread) {
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b *fit) int { return sign(a.spread - b.spread) })
	for _, f := range found[:min(len(found), maxTried)] {
		if f.chance(candidates)*float64(candidates) <= fitChance {
			return f
		}
	}
	return nil
}

// newFit fits the runs that know a number; nil where they are too few, or it is the same in nearly all.
func newFit(k covariate, list []sample) *fit {
	runs, values := k.column(list)
	if len(runs) < minFitRuns || len(slices.Compact(slices.Clone(values))) < minFitValues {
		return nil
	}
	f := &fit{by: k, samples: runs}
	if values[0] <= 0 || k.target <= 0 {
		f.from = 1
	}
	for i, s := range runs {
		if s.value <= 0 || values[i] < 0 {
			return nil
		}
		f.x, f.y = append(f.x, math.Log(values[i]+f.from)), append(f.y, math.Log(s.value))
	}
	f.a, f.b = line(f.x, f.y)
	f.over, f.spread = rest(f.x, f.y, f.a, f.b)
	return f
}

// line is the line of least squares.
func line(x, y []float64) (a, b float64) {
	n := float64(len(x))
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy = sx+x[i], sy+y[i]
	}
	sx, sy = sx/n, sy/n
	for i := range x {
		sxx, sxy = sxx+(x[i]-sx)*(x[i]-sx), sxy+(x[i]-sx)*(y[i]-sy)
	}
	if sxx == 0 {
		return sy, 0
	}
	b = sxy / sxx
	return sy - b*sx, b
}

// rest is the largest distance above a line, and that between the largest and the smallest.
func rest(x, y []float64, a, b float64) (over, between float64) {
	over, under := math.Inf(-1), math.Inf(1)
	for i := range x {
		d := y[i] - a - b*x[i]
		over, under = max(over, d), min(under, d)
	}
	return over, over - under
}

// chance is how often needs that are dealt out to the runs at random fit as closely, with the first deal that did (the real
// one). It deals the same way each time.
func (f *fit) chance(candidates int) float64 {
	x, y := thin(f.x), thin(f.y)
	a, b := line(x, y)
	_, actual := rest(x, y, a, b)
	deals, as := dealsPer*candidates, 1
	random := rand.New(rand.NewPCG(uint64(len(x)), 1)) //nolint:gosec // no secret: the same answer each time
	for range deals {
		random.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
		a, b = line(x, y)
		if _, between := rest(x, y, a, b); between <= actual*(1+1e-9) {
			as++
		}
	}
	return float64(as) / float64(deals+1)
}

// thin takes evenly what a test is made of.
func thin(list []float64) []float64 {
	if len(list) <= maxDealt {
		return slices.Clone(list)
	}
	out := make([]float64, maxDealt)
	for i := range out {
		out[i] = list[i*(len(list)-1)/(maxDealt-1)]
	}
	return out
}

// inside says that the target's number lies among those of the runs: outside of them nobody knows how need goes on.
func (f *fit) inside() bool {
	at := math.Log(f.by.target + f.from)
	return at >= f.x[0] && at <= f.x[len(f.x)-1]
}

// largest is what the run furthest above the line would have needed with the target's number.
func (f *fit) largest() float64 {
	return math.Exp(f.a + f.b*math.Log(f.by.target+f.from) + f.over)
}

// below says that a run, by its number, needed no more than the target, or that its number is not known.
func (f *fit) below(r run) bool {
	v, ok := f.by.of(r)
	return !ok || f.b >= 0 && v <= f.by.target || f.b < 0 && v >= f.by.target
}
