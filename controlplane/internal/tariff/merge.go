package tariff

import (
	"cmp"
	"slices"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Changes counts what a merge did to intervals.
type Changes struct {
	Added     int `json:"added"`     // new time, or new values
	Replaced  int `json:"replaced"`  // stored intervals that lost time to a new value
	Unchanged int `json:"unchanged"` // of the file, known already
}

// Merge puts add over old: where both say something, add counts. Both are in order and without overlap. An interval of
// add that says what old says for all of its time changes nothing.
func Merge(old, add []efficiency.Interval) ([]efficiency.Interval, Changes) {
	var c Changes
	var fresh []efficiency.Interval
	for _, iv := range add {
		if said(old, iv) {
			c.Unchanged++
			continue
		}
		c.Added++
		fresh = append(fresh, iv)
	}
	out := slices.Clone(fresh)
	for _, iv := range old {
		left := outside(iv, fresh)
		if len(left) != 1 || left[0] != iv {
			c.Replaced++
		}
		out = append(out, left...)
	}
	slices.SortFunc(out, func(a, b efficiency.Interval) int { return cmp.Compare(a.From, b.From) })
	return out, c
}

// overlapping gives the part of list that shares time with [from, to).
func overlapping(list []efficiency.Interval, from, to int64) []efficiency.Interval {
	i, _ := slices.BinarySearchFunc(list, from, func(iv efficiency.Interval, t int64) int {
		if iv.To <= t {
			return -1
		}
		return 1
	})
	j := i
	for j < len(list) && list[j].From < to {
		j++
	}
	return list[i:j]
}

// said: list has the value of iv for all of its time.
func said(list []efficiency.Interval, iv efficiency.Interval) bool {
	at := iv.From
	for _, o := range overlapping(list, iv.From, iv.To) {
		if o.From > at || o.Value != iv.Value {
			return false
		}
		at = o.To
	}
	return at >= iv.To
}

// outside gives what of iv no interval of list covers.
func outside(iv efficiency.Interval, list []efficiency.Interval) (out []efficiency.Interval) {
	at := iv.From
	for _, o := range overlapping(list, iv.From, iv.To) {
		if o.From > at {
			out = append(out, efficiency.Interval{From: at, To: o.From, Value: iv.Value})
		}
		at = o.To
	}
	if at < iv.To {
		out = append(out, efficiency.Interval{From: at, To: iv.To, Value: iv.Value})
	}
	return out
}

// window is the tariff from from to to, the constant filling the holes; its intervals are cut to the window.
func window(s Series, from, to int64) *efficiency.Tariff {
	t := &efficiency.Tariff{Unit: s.Unit}
	at := from
	fill := func(until int64) {
		if s.Constant != nil && at < until {
			t.Intervals = append(t.Intervals, efficiency.Interval{From: at, To: until, Value: *s.Constant})
		}
	}
	for _, iv := range overlapping(s.Intervals, from, to) {
		iv.From, iv.To = max(iv.From, from), min(iv.To, to)
		fill(iv.From)
		t.Intervals = append(t.Intervals, iv)
		at = iv.To
	}
	fill(to)
	return t
}
