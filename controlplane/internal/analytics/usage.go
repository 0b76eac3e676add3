package analytics

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Dimension is what usage is grouped by.
type Dimension string

// Dimensions lists what usage may be grouped by. Times are of the end of the incarnation, in the query's zone.
func Dimensions() []Dimension {
	return []Dimension{
		"cluster", "user", "account", "partition", "qos", "name", "state", "day", "week", "month", "year", "nodes", "cores", "gpus", "none",
	}
}

var dimensionAliases = map[string]Dimension{
	"job_name": "name", "jobname": "name", "cpus": "cores", "resource": "cluster", "queue": "partition", "unix_user": "user", "total": "none",
}

// ParseDimension reads a dimension's name or alias.
func ParseDimension(s string) (Dimension, error) {
	d := Dimension(strings.ToLower(strings.TrimSpace(s)))
	if a, ok := dimensionAliases[string(d)]; ok {
		d = a
	}
	if slices.Contains(Dimensions(), d) {
		return d, nil
	}
	return "", apperr.Newf(apperr.InvalidRequest, "usage cannot be grouped by %q", s).WithHint("one of " + join(Dimensions()))
}

// Sums are the totals of one group, in seconds and counts.
type Sums struct {
	Started      int64 // incarnations that started and ended
	NeverStarted int64 // incarnations that ended without a start
	Jobs         int64 // distinct jobs among Started: incarnations of a requeued job count once
	WallS        float64
	WaitS        float64
	WaitKnown    int64 // incarnations of which the wait is known
	SuspendedS   float64
	CPUS         float64 // wall × CPUs
	NodeS        float64
	GPUS         float64
	NoCPUs       int64 // started incarnations of which the number of CPUs is not known: not in CPUS
	NoNodes      int64
	NoGPUs       int64
	Energy       Energy  // only of a query that asks for it
	Ledgers      Ledgers // the same
	Coverage     Coverage
}

func (s *Sums) add(o Sums) {
	s.Started, s.NeverStarted, s.Jobs, s.WaitKnown = s.Started+o.Started, s.NeverStarted+o.NeverStarted, s.Jobs+o.Jobs, s.WaitKnown+o.WaitKnown
	s.WallS, s.WaitS, s.SuspendedS = s.WallS+o.WallS, s.WaitS+o.WaitS, s.SuspendedS+o.SuspendedS
	s.CPUS, s.NodeS, s.GPUS = s.CPUS+o.CPUS, s.NodeS+o.NodeS, s.GPUS+o.GPUS
	s.NoCPUs, s.NoNodes, s.NoGPUs = s.NoCPUs+o.NoCPUs, s.NoNodes+o.NoNodes, s.NoGPUs+o.NoGPUs
	s.Energy.add(o.Energy)
	s.Ledgers = s.Ledgers.plus(o.Ledgers)
	s.Coverage = s.Coverage.plus(o.Coverage)
}

// Query selects and groups. From is inclusive, To exclusive, both of the end of an incarnation; nil is open.
type Query struct {
	By       Dimension
	Cluster  string
	From, To *time.Time
	Location *time.Location
	Energy   bool // the sums of energy, cost and carbon too, which stand in the reports
	Ledger   bool // the ledgers too
	// User selects the jobs of one account of the platform; "" all.
	User string
	// Account selects the jobs of one Slurm account; "" all.
	Account string
}

// Group is the usage of one value of the dimension. Key is a string, an int64, nil where accounting does not say, or Summed.
type Group struct {
	Key  any
	Sums Sums
}

// Raw is a group as the store computes it. For the dimensions of time Key is the number of quarters of an hour since 1970:
// a database need not know time zones, and every zone's offset is a multiple of that.
type Raw struct {
	Key  any
	Sums Sums
}

// Source is the store as usage needs it.
type Source interface {
	UsageGroups(ctx context.Context, q Query) ([]Raw, error)
}

// QuarterS is the length of a bucket of time in seconds.
const QuarterS = 900

// Usage answers a query. Groups are in the order of their keys, unknown last.
func Usage(ctx context.Context, src Source, q Query) ([]Group, error) {
	if q.Location == nil {
		q.Location = time.UTC
	}
	raw, err := src.UsageGroups(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("summing usage: %w", err)
	}
	byKey := make(map[any]*Sums, len(raw))
	for _, r := range raw {
		k := q.By.key(r.Key, q.Location)
		if byKey[k] == nil {
			byKey[k] = &Sums{}
		}
		byKey[k].add(r.Sums)
	}
	out := make([]Group, 0, len(byKey))
	for k, s := range byKey {
		out = append(out, Group{k, *s})
	}
	slices.SortFunc(out, func(a, b Group) int { return compareKeys(a.Key, b.Key) })
	return out, nil
}

// TimeLike says that the dimension is made of the end time.
func (d Dimension) TimeLike() bool {
	return d == "day" || d == "week" || d == "month" || d == "year"
}

// OfSums says that sums of older runs can answer it.
func (d Dimension) OfSums() bool {
	return d == "cluster" || d == "account" || d == "month" || d == "year" || d == "none"
}

func (d Dimension) key(raw any, loc *time.Location) any {
	quarter, isTime := raw.(int64)
	if raw == Summed {
		return raw
	}
	if d == "none" {
		return "all"
	}
	if !d.TimeLike() || !isTime {
		return raw
	}
	t := time.Unix(quarter*QuarterS, 0).In(loc)
	switch d {
	case "day":
		return t.Format(time.DateOnly)
	case "month":
		return t.Format("2006-01")
	case "week": // ISO 8601
		y, w := t.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", y, w)
	}
	return t.Format("2006")
}

func compareKeys(a, b any) int {
	x, xInt := a.(int64)
	y, yInt := b.(int64)
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	case xInt && yInt:
		return int(max(-1, min(1, x-y)))
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func join[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}
