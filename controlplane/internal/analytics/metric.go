package analytics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Metric is a number about a group of incarnations.
type Metric struct {
	Name string
	// What says how it is counted.
	What string
	// value is a number, or nil where there is nothing to compute it of.
	value func(Sums) any
}

const hour = 3600

// Metrics lists all metrics. An incarnation is one row of accounting: an array task is one, each run of a requeued job is
// one. It counts when it started and ended.
func Metrics() []Metric {
	return append(plainMetrics(), ledgerMetrics()...)
}

func plainMetrics() []Metric {
	return []Metric{
		{"job_count", "incarnations that started and ended", func(s Sums) any { return s.Started }},
		{"started_count", "the same as job_count", func(s Sums) any { return s.Started }},
		{"never_started_count", "incarnations that ended without a start; in no other number", func(s Sums) any { return s.NeverStarted }},
		{"distinct_jobs", "as job_count, a requeued job counted once", func(s Sums) any { return s.Jobs }},
		{"wall_hours", "sum of end - start", func(s Sums) any { return s.WallS / hour }},
		{"cpu_hours", "sum of (end - start) x allocated CPUs", func(s Sums) any { return s.CPUS / hour }},
		{"node_hours", "sum of (end - start) x allocated nodes", func(s Sums) any { return s.NodeS / hour }},
		{"gpu_hours", "sum of (end - start) x allocated GPUs", func(s Sums) any { return s.GPUS / hour }},
		{"wait_hours", "sum of start - submit", func(s Sums) any { return s.WaitS / hour }},
		{"suspended_hours", "sum of the time suspended; contained in the hours above", func(s Sums) any { return s.SuspendedS / hour }},
		{"avg_wall_hours", "wall_hours / job_count", func(s Sums) any { return ratio(s.WallS/hour, s.Started) }},
		{"avg_wait_hours", "wait_hours / incarnations with a known wait", func(s Sums) any { return ratio(s.WaitS/hour, s.WaitKnown) }},
		{"energy_kwh", "sum over jobs with a known energy, at the end of their last incarnation", func(s Sums) any { return s.Energy.kWh() }},
		{"cost", "sum over jobs with a known cost; none where currencies differ", func(s Sums) any { return s.Energy.cost() }},
		{"carbon_kg", "sum over jobs with a known carbon, CO2 equivalent", func(s Sums) any { return s.Energy.carbonKg() }},
		{"wasted_cpu_hours", "idle and lost CPU time of jobs that were measured (docs/efficiency.md)", func(s Sums) any { return s.Energy.Core.hours(1) }},
		{"wasted_memory_gib_hours", "idle and lost memory of jobs that were measured", func(s Sums) any { return s.Energy.Byte.hours(1 << 30) }},
		{"wasted_gpu_hours", "idle and lost GPU time of jobs that were measured", func(s Sums) any { return s.Energy.GPU.hours(1) }},
	}
}

var metricAliases = map[string]string{"core_hours": "cpu_hours", "jobs": "job_count", "count": "job_count"}

func ratio(sum float64, n int64) any {
	if n == 0 {
		return nil
	}
	return sum / float64(n)
}

// ParseMetrics reads a comma-separated list; the names in the answer are those asked for.
func ParseMetrics(list string) ([]Metric, error) {
	var out []Metric
	all := Metrics()
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		names := ledgerNames(name)
		if names == nil {
			names = []string{name}
		}
		for _, name := range names {
			m, err := parseMetric(all, name)
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
	}
	return out, nil
}

func parseMetric(all []Metric, name string) (Metric, error) {
	canonical := name
	if a, ok := metricAliases[name]; ok {
		canonical = a
	}
	i := slices.IndexFunc(all, func(m Metric) bool { return m.Name == canonical })
	if i < 0 {
		return Metric{}, apperr.Newf(apperr.InvalidRequest, "there is no metric %q", clip(name)).WithHint("one of " + metricNames())
	}
	m := all[i]
	m.Name = name
	return m, nil
}

// clip bounds a name that came from outside.
func clip(name string) string { return name[:min(len(name), 64)] }

func metricNames() string {
	var names []string
	for _, m := range plainMetrics() {
		names = append(names, m.Name)
	}
	for _, r := range resources() {
		names = append(names, r.name+"_ledger")
	}
	return strings.Join(append(names, "ledger"), ", ")
}

// Value is the metric of a group: int64, float64, or nil.
func (m Metric) Value(s Sums) any { return m.value(s) }

// Missing says, for humans, what the hours of a group of groups do not cover; empty when they cover all.
func Missing(groups []Group) []string {
	var all Sums
	for _, g := range groups {
		all.add(g.Sums)
	}
	var out []string
	for _, m := range []struct {
		n          int64
		what, hour string
	}{{all.NoCPUs, "CPUs", "cpu_hours"}, {all.NoNodes, "nodes", "node_hours"}, {all.NoGPUs, "GPUs", "gpu_hours"}} {
		if m.n > 0 {
			out = append(out, formatMissing(m.n, all.Started, m.what, m.hour))
		}
	}
	out = append(out, all.Coverage.missing()...)
	out = append(out, all.Energy.missing()...)
	return append(out, all.Ledgers.missing(all.Jobs)...)
}

func formatMissing(n, of int64, what, hours string) string {
	return fmt.Sprintf("%d of %d have no number of %s in accounting and are not in %s", n, of, what, hours)
}
