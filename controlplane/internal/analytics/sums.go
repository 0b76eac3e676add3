package analytics

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Older is the key of a group that is known by sums only (usage_sums): no value of a dimension, whatever its name.
type Older string

// Summed is the group of runs of which only sums per cluster, account and month are kept, where something else was asked for.
const Summed Older = "(summed)"

// Shown leaves out groups that only carry what sums cannot answer (Missing).
func Shown(groups []Group) []Group {
	return slices.DeleteFunc(slices.Clone(groups), func(g Group) bool {
		return g.Key == Summed && g.Sums.Started+g.Sums.NeverStarted == 0
	})
}

// Coverage says what the sums of older runs could not answer.
type Coverage struct {
	Summed  int64     // runs in the group Summed
	Outside int64     // runs of summed months that lie in the window in part: in no number
	Persons bool      // runs of single persons were asked for, and sums name none
	Until   time.Time // what is summed ended before
}

func (c Coverage) plus(o Coverage) Coverage {
	return Coverage{c.Summed + o.Summed, c.Outside + o.Outside, c.Persons || o.Persons, later(c.Until, o.Until)}
}

func (c Coverage) missing() (out []string) {
	of := "of runs that ended before " + c.Until.UTC().Format(time.DateOnly) + " only sums per cluster, account and month are kept"
	if c.Summed > 0 {
		out = append(out, fmt.Sprintf("%s: %d of them stand in the group %s", of, c.Summed, Summed))
	}
	if c.Outside > 0 {
		out = append(out, fmt.Sprintf("%s: %d of them lie in months that the window cuts, and are in no number; take whole months", of, c.Outside))
	}
	if c.Persons {
		out = append(out, of+", which name no person: they are in no number here")
	}
	return out
}

// Retired is the store as retention needs it. Each call is one transaction that may be repeated and killed: what it returns is done.
type Retired interface {
	// SumUp adds at most limit jobs that ended, and were first stored, before a moment to the sums and removes them.
	SumUp(ctx context.Context, before time.Time, limit int) (int, error)
	// DropSummed removes at most limit jobs that were summed and stayed for their files, of which none is left.
	DropSummed(ctx context.Context, limit int) (int, error)
}

// sumPage bounds a transaction in jobs.
const sumPage = 500

// Retire sums up and removes, page by page, what is kept no longer, and says how many jobs it summed. before zero sums up nothing.
func Retire(ctx context.Context, r Retired, before time.Time) (jobs int, err error) {
	if !before.IsZero() {
		jobs, err = pages(ctx, func() (int, error) { return r.SumUp(ctx, before, sumPage) })
		if err != nil {
			return jobs, fmt.Errorf("summing up jobs that are kept no longer: %w", err)
		}
	}
	if _, err := pages(ctx, func() (int, error) { return r.DropSummed(ctx, sumPage) }); err != nil {
		return jobs, fmt.Errorf("removing jobs without files: %w", err)
	}
	return jobs, nil
}

func pages(ctx context.Context, page func() (int, error)) (sum int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		n, err := page()
		if sum += n; err != nil || n == 0 {
			return sum, err
		}
	}
}
