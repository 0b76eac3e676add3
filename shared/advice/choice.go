package advice

import (
	"math"
	"slices"
)

// choice are the runs that say what the target needs.
type choice struct {
	samples []sample
	// left is how many clean runs do not count, because they differ in size or numbers.
	left int
	// fit is set where the runs differ, and one number says how.
	fit *fit
	// outlying is how many of the target's numbers lie a little outside of those of the runs.
	outlying int
	// comparable says that a run that was stopped says something about the target.
	comparable func(run) bool
}

// outlyingMargin is what each such number adds to the margin. With it a need that grows with the square of the number is met
// still: of runs within a factor of two, at half their range beyond it (1 + 1.5² = 3.25 against 2 × 1.65), or at a quarter more (1.56).
const (
	outlyingMargin = 0.5
	maxOutlying    = 2
)

// choose looks for runs that agree, or whose differences one number explains. why is set when there are none.
func choose(t Target, clean []sample, opt Options) (c choice, why Reason) {
	c = choice{samples: clean, comparable: func(run) bool { return true }}
	if len(clean) < opt.MinRuns {
		return c, TooFew
	}
	all := covariates(t)
	if spread(clean) > opt.MaxSpread {
		if c, why = explain(t, clean, all, opt); why != "" {
			return c, why
		}
	}
	for _, k := range all {
		switch k.place(c.samples) {
		case far:
			return c, Outside
		case near:
			c.outlying++
		}
	}
	if c.outlying > maxOutlying {
		return c, Outside
	}
	return c, ""
}

// explain chooses among runs that differ too much: those of the target's own size and numbers, else those of its size whose
// need follows one number.
func explain(t Target, clean []sample, all []covariate, opt Options) (choice, Reason) {
	sized := filter(clean, func(r run) bool { return r.shaped(t) })
	alike := func(r run) bool {
		return r.shaped(t) && !slices.ContainsFunc(all, func(k covariate) bool { v, ok := k.of(r); return ok && v != k.target })
	}
	equal := filter(clean, alike)
	c := choice{samples: equal, left: len(clean) - len(equal), comparable: alike}
	if len(equal) >= opt.MinRuns && spread(equal) <= opt.MaxSpread {
		return c, ""
	}
	if len(sized) >= opt.MinRuns && spread(sized) <= opt.MaxSpread {
		return choice{samples: sized, left: len(clean) - len(sized), comparable: func(r run) bool { return r.shaped(t) }}, ""
	}
	if f := bestFit(sized, all, opt.MaxSpread); f != nil {
		c = choice{samples: f.samples, left: len(clean) - len(f.samples), fit: f, comparable: func(r run) bool { return r.shaped(t) && f.below(r) }}
		if !f.inside() {
			return c, Outside
		}
		return c, ""
	}
	if len(equal) < opt.MinRuns && len(sized) < opt.MinRuns {
		return c, TooFew
	}
	return choice{samples: sized, left: len(clean) - len(sized)}, Spread
}

func filter(list []sample, keep func(run) bool) (out []sample) {
	for _, s := range list {
		if keep(s.run) {
			out = append(out, s)
		}
	}
	return out
}

// largest is what the largest of the runs needed, or would have needed with the target's number.
func (c choice) largest() (most float64) {
	if c.fit != nil {
		return c.fit.largest()
	}
	for _, s := range c.samples {
		most = max(most, s.value)
	}
	return most
}

func (c choice) explained() string {
	if c.fit == nil {
		return ""
	}
	return c.fit.by.name
}

// place is where the target's number lies among those of the runs.
type place int

const (
	within place = iota // or not known
	near
	far
)

// nearShare is how far outside of all numbers one may lie, as a share of it; nearRange the same as a share of their range, where
// they had three values or more.
const (
	nearShare = 0.25
	nearRange = 0.5
)

func (k covariate) place(list []sample) place {
	values := make([]float64, 0, len(list))
	for _, s := range list {
		if v, ok := k.of(s.run); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return within
	}
	slices.Sort(values)
	least, most := values[0], values[len(values)-1]
	beyond := max(least-k.target, k.target-most)
	if beyond <= 0 {
		return within
	}
	room := nearShare * most
	if k.target < least {
		room = nearShare * least
	}
	if len(slices.Compact(values)) >= 3 {
		room = math.Max(room, nearRange*(most-least))
	}
	if beyond <= room {
		return near
	}
	return far
}
