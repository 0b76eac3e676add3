package analytics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Span is one incarnation that ran. End is zero while it runs; CPUs is nil where accounting does not say.
type Span struct {
	Charge
	Start, End time.Time
	Suspended  time.Duration
	CPUs       *int64
}

// SpanSource hands over the incarnations of a cluster that ran in a window, in any order, and the CPU-seconds by account of
// those that may have run in it and are kept as sums only; what is kept so ended before until.
type SpanSource interface {
	Spans(ctx context.Context, cluster string, from, to time.Time, fn func(Span) error) error
	SummedSince(ctx context.Context, cluster string, from time.Time) (cpus map[string]float64, until time.Time, err error)
}

// Tolerance is the share of difference that needs no explanation: 0.1 %.
const Tolerance = 0.001

// Line compares one user of one account, in CPU-seconds.
type Line struct {
	Charge
	SReport float64
	Ergon   float64 // what ran in the window × CPUs, without suspended time: what sreport counts
	Late    float64 // of Ergon, what ran after the last full hour: Slurm has not rolled it up
	NoCPUs  int64   // incarnations of which the number of CPUs is not known: they are not in Ergon
	Summed  float64 // of the account, at most: what is kept as sums only, and may have run in the window. It is not in Ergon
	Edge    float64 // of Ergon, uncertain: suspended time of jobs that cross the window's edge may lie on either side
}

// Check is the comparison of a window. The sums of End are `admin usage`: jobs that ended in the window, with all of their time.
type Check struct {
	From, To time.Time
	Lines    []Line
	Total    Line
	// SummedUntil is before when ended what is kept as sums only; zero where nothing of the window may be.
	SummedUntil time.Time
	// Ended = Total.Ergon + Before − After + Suspended, what `admin usage --metrics cpu_hours` says of the window.
	Ended     float64
	Before    float64 // of jobs that ended in the window, before it began
	After     float64 // of jobs that had not ended when it did, inside of it
	Suspended float64 // of jobs that ended in the window
}

// CheckSReport compares what Ergon knows of a cluster with what sreport says of the same window.
func CheckSReport(ctx context.Context, src SpanSource, cluster string, said SReport, now time.Time) (Check, error) {
	c := Check{From: said.From, To: said.To}
	lines := map[Charge]*Line{}
	at := func(who Charge) *Line {
		if lines[who] == nil {
			lines[who] = &Line{Charge: who}
		}
		return lines[who]
	}
	for who, cpus := range said.CPUS {
		at(who).SReport = cpus
	}
	rolled := now.Truncate(time.Hour)
	err := src.Spans(ctx, cluster, said.From, said.To, func(s Span) error {
		c.add(at(s.Charge), s, now, rolled)
		return nil
	})
	if err != nil {
		return Check{}, fmt.Errorf("reading what ran: %w", err)
	}
	summed, until, err := src.SummedSince(ctx, cluster, said.From)
	if err != nil {
		return Check{}, fmt.Errorf("reading what is kept as sums: %w", err)
	}
	c.SummedUntil = until
	for _, cpus := range summed {
		c.Total.Summed += cpus
	}
	for _, who := range slices.SortedFunc(maps.Keys(lines), compareCharges) {
		l := lines[who]
		l.Summed = summed[who.Account]
		c.Lines = append(c.Lines, *l)
		c.Total.SReport, c.Total.Ergon, c.Total.Late = c.Total.SReport+l.SReport, c.Total.Ergon+l.Ergon, c.Total.Late+l.Late
		c.Total.NoCPUs, c.Total.Edge = c.Total.NoCPUs+l.NoCPUs, c.Total.Edge+l.Edge
	}
	return c, nil
}

func compareCharges(a, b Charge) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.User, b.User))
}

// add adds one incarnation.
func (c *Check) add(l *Line, s Span, now, rolled time.Time) {
	if s.CPUs == nil {
		l.NoCPUs++
		return
	}
	cpus, end, ended := float64(*s.CPUs), s.End, !s.End.IsZero() && s.End.Before(c.To)
	if s.End.IsZero() {
		end = now
	}
	inside := overlap(s.Start, end, c.From, c.To)
	held := s.Suspended.Seconds()
	if whole := end.Sub(s.Start).Seconds(); inside < whole && whole > 0 { // in proportion: where it lay is not known
		held *= inside / whole
		l.Edge += held * cpus
	}
	held = min(held, inside)
	l.Ergon += (inside - held) * cpus
	l.Late += overlap(s.Start, end, later(c.From, rolled), c.To) * cpus
	if !ended || s.End.Before(c.From) {
		c.After += (inside - held) * cpus
		return
	}
	whole := end.Sub(s.Start).Seconds()
	c.Ended += whole * cpus
	c.Before += (whole - inside) * cpus
	c.Suspended += held * cpus
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// overlap is how many seconds two spans share.
func overlap(a, b, from, to time.Time) float64 {
	if b.After(to) {
		b = to
	}
	return max(0, b.Sub(later(a, from)).Seconds())
}

// Difference is sreport − Ergon, and its share of the larger.
func (l Line) Difference() (cpus, share float64) {
	d := l.SReport - l.Ergon
	if top := max(l.SReport, l.Ergon); top > 0 {
		return d, math.Abs(d) / top
	}
	return 0, 0
}

// Agrees says that the difference is within the tolerance.
func (l Line) Agrees() bool {
	_, share := l.Difference()
	return share <= Tolerance
}

// Why explains a line that does not agree; explained is false when something is left that no reason accounts for.
func (l Line) Why() (reasons []string, explained bool) {
	left, _ := l.Difference()
	if l.Late > 0 && left < 0 {
		part := min(l.Late, -left)
		left += part
		reasons = append(reasons, fmt.Sprintf("%s ran after the last full hour, which Slurm has not rolled up yet", coreHours(part)))
	}
	if l.Edge > 0 && left != 0 {
		part := min(l.Edge, math.Abs(left))
		left -= math.Copysign(part, left)
		reasons = append(reasons, fmt.Sprintf("up to %s were suspended in jobs that cross the edge of the window, on which side is not known", coreHours(part)))
	}
	if l.Summed > 0 && left > 0 {
		part := min(l.Summed, left)
		left -= part
		reasons = append(reasons, fmt.Sprintf("up to %s are of runs that ended so long ago that only sums per account are kept", coreHours(part)))
	}
	settled := math.Abs(left) <= Tolerance*max(l.SReport, l.Ergon)
	switch {
	case settled:
		return reasons, true
	case l.Ergon == 0:
		return append(reasons, "Ergon has no job of this user in this account: import that time (`admin import sacct`), or the agent does not see all users"), false
	case l.SReport == 0:
		return append(reasons, "sreport has nothing: the association was removed, or Slurm's rollup is behind (it runs every hour)"), false
	case l.NoCPUs > 0:
		reasons = append(reasons, fmt.Sprintf("%d runs have no number of CPUs in accounting and are not counted", l.NoCPUs))
	}
	if left > 0 {
		return append(reasons, fmt.Sprintf("%s are only in sreport: jobs that Ergon has not been told of", coreHours(left))), false
	}
	return append(reasons, fmt.Sprintf("%s are only in Ergon: jobs that were purged from Slurm's database or told after its rollup, or whose size changed while they ran", coreHours(-left))), false
}

func coreHours(seconds float64) string { return fmt.Sprintf("%.2f core hours", seconds/hour) }
