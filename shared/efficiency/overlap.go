package efficiency

import (
	"cmp"
	"slices"
)

// span is a step's memory while it ran, [from, to).
type span struct{ from, to, amount float64 }

// peakOverlap is the greatest sum of amounts that hold at one time. A step that
// began and ended in the same second is added to the longer ones around it, not to
// others of its kind: they may have run one after the other.
func peakOverlap(spans []span) float64 {
	var peak float64
	long := make([]span, 0, len(spans))
	for _, s := range spans {
		peak = max(peak, s.amount)
		if s.to > s.from {
			long = append(long, s)
		}
	}
	events := edges(long)
	var sum float64
	for _, e := range events {
		sum += e.amount
		peak = max(peak, sum)
	}
	for _, s := range spans {
		if s.to <= s.from {
			peak = max(peak, s.amount+sumAt(long, s.from))
		}
	}
	return peak
}

type edge struct{ at, amount float64 }

// edges lists starts and ends in time order, ends first: half-open spans that touch
// do not overlap.
func edges(spans []span) []edge {
	out := make([]edge, 0, 2*len(spans))
	for _, s := range spans {
		out = append(out, edge{s.from, s.amount}, edge{s.to, -s.amount})
	}
	slices.SortFunc(out, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.amount, b.amount))
	})
	return out
}

func sumAt(spans []span, at float64) float64 {
	var sum float64
	for _, s := range spans {
		if s.from <= at && at < s.to {
			sum += s.amount
		}
	}
	return sum
}
