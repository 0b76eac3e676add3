package advice

import (
	"fmt"
	"slices"

	"github.com/ergon-hpc/ergon/shared/workprint"
)

// covariate is one number in which runs of the same work may differ.
type covariate struct {
	// name is for people: "number 2 of the arguments (40)".
	name   string
	target float64
	// of is a run's number; ok is false when it is not known.
	of func(run) (v float64, ok bool)
}

// covariates are the numbers of a target that are known.
func covariates(t Target) (out []covariate) {
	out = append(out, numbersOf("script", t.Script, t.Numbers, func(r run) (string, []float64) {
		return r.print.Script, known(r.Report.Job.Script).Numbers
	})...)
	out = append(out, numbersOf("arguments", t.Arguments, t.ArgumentNumbers, func(r run) (string, []float64) {
		return r.print.Arguments, known(r.Report.Job.Arguments).Numbers
	})...)
	if t.InputBytes > 0 {
		out = append(out, covariate{
			fmt.Sprintf("the size of the inputs (%s)", sizeText(t.InputBytes)), t.InputBytes,
			func(r run) (float64, bool) { v := known(r.Report.Job.InputBytes); return v, v > 0 },
		})
	}
	return out
}

// numbersOf are the numbers of a text. Those of another text are other numbers, and as good as not known.
func numbersOf(what, digest string, numbers []float64, of func(run) (string, []float64)) []covariate {
	if digest == "" || len(numbers) > workprint.MaxNumbers {
		return nil
	}
	out := make([]covariate, len(numbers))
	for i, n := range numbers {
		out[i] = covariate{fmt.Sprintf("number %d of the %s (%v)", i+1, what, n), n, func(r run) (float64, bool) {
			text, list := of(r)
			if text != digest || len(list) != len(numbers) {
				return 0, false
			}
			return list[i], true
		}}
	}
	return out
}

// column are the runs that know a covariate, by its value, and these values.
func (k covariate) column(list []sample) (runs []sample, values []float64) {
	type pair struct {
		s sample
		x float64
	}
	var pairs []pair
	for _, s := range list {
		if x, ok := k.of(s.run); ok {
			pairs = append(pairs, pair{s, x})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { // whatever the order of the history
		if a.x != b.x {
			return sign(a.x - b.x)
		}
		return sign(a.s.value - b.s.value)
	})
	for _, p := range pairs {
		runs, values = append(runs, p.s), append(values, p.x)
	}
	return runs, values
}

func sign(v float64) int {
	switch {
	case v < 0:
		return -1
	case v > 0:
		return 1
	}
	return 0
}
