package efficiency

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// plus adds two counts; a hostile column must not turn their sum negative.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// ptr copies a value for an optional field.
func ptr[T any](v T) *T { return &v }

// opt is ptr for a value that may be absent.
func opt[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// positive is a count that a formula may divide by: Slurm writes 0 for "none yet".
func positive(c slurmfmt.Count) (int64, bool) {
	n, ok := c.Value()
	return n, ok && n > 0
}

// ratio is 100 × part / whole; not ok when it is no finite number.
func ratio(part, whole float64) (float64, bool) {
	v := 100 * part / whole
	return v, whole > 0 && !math.IsInf(v, 0) && !math.IsNaN(v)
}

// usagePercent reads a percentage that may have a fraction (0.04), without Slurm's
// sentinels for "not set" (2^64−1 as a float, 2^44−1).
func usagePercent(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	const unset44 = 1<<44 - 1
	if err != nil || math.IsNaN(v) || v < 0 || v == unset44 || v >= 1e18 {
		return 0, false
	}
	return v, true
}

// sortedKeys lists a map's keys in order: sums and texts must not depend on chance.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
