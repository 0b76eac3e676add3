package profile

import "math"

// Column is one member of a series, one value per row. NaN is a missing value; what
// Open reads is never negative, never infinite, and below 2^64 in the file's unit.
// A nil Column means that the file does not have the member at all. A Column
// that is not nil is as long as every other one of its series.
type Column []float64

// Missing is the value of a cell that Slurm did not measure.
func Missing() float64 { return math.NaN() }

// Valid returns how many values are not missing.
func (c Column) Valid() int {
	n := 0
	for _, v := range c {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// Sum adds the values that are not missing; ok is false when there is none.
func (c Column) Sum() (sum float64, ok bool) {
	for _, v := range c {
		if !math.IsNaN(v) {
			sum, ok = sum+v, true
		}
	}
	return sum, ok
}

// Max returns the greatest value that is not missing; ok is false when there
// is none.
func (c Column) Max() (greatest float64, ok bool) {
	for _, v := range c {
		if !math.IsNaN(v) && (!ok || v > greatest) {
			greatest, ok = v, true
		}
	}
	return greatest, ok
}

// FirstNonZero returns the index of the first value that is neither missing nor
// zero, -1 when there is none. Slurm begins a series with one to three rows of
// zeros, before the plugin has a first difference.
func FirstNonZero(c Column) int {
	for i, v := range c {
		if v != 0 && !math.IsNaN(v) {
			return i
		}
	}
	return -1
}
