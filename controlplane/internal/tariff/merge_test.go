package tariff

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

type iv = efficiency.Interval

func TestMerge(t *testing.T) {
	old := []iv{{From: 0, To: 10, Value: 1}, {From: 10, To: 20, Value: 2}, {From: 30, To: 40, Value: 3}}
	for name, c := range map[string]struct {
		add, want []iv
		changes   Changes
	}{
		"nothing":            {nil, old, Changes{}},
		"the same again":     {old, old, Changes{Unchanged: 3}},
		"a part of the same": {[]iv{{From: 2, To: 5, Value: 1}}, old, Changes{Unchanged: 1}},
		"into the hole":      {[]iv{{From: 20, To: 30, Value: 9}}, []iv{old[0], old[1], {From: 20, To: 30, Value: 9}, old[2]}, Changes{Added: 1}},
		"another value": {
			[]iv{{From: 10, To: 20, Value: 5}},
			[]iv{old[0], {From: 10, To: 20, Value: 5}, old[2]},
			Changes{Added: 1, Replaced: 1},
		},
		"the middle of one": {
			[]iv{{From: 12, To: 14, Value: 5}},
			[]iv{old[0], {From: 10, To: 12, Value: 2}, {From: 12, To: 14, Value: 5}, {From: 14, To: 20, Value: 2}, old[2]},
			Changes{Added: 1, Replaced: 1},
		},
		"over several": {
			[]iv{{From: 5, To: 35, Value: 7}},
			[]iv{{From: 0, To: 5, Value: 1}, {From: 5, To: 35, Value: 7}, {From: 35, To: 40, Value: 3}},
			Changes{Added: 1, Replaced: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, changes := Merge(old, c.add)
			if diff := cmp.Diff(c.want, got); diff != "" || changes != c.changes {
				t.Errorf("%+v, want %+v\n%s", changes, c.changes, diff)
			}
		})
	}
}

// series draws intervals in order and without overlap.
func series(t *rapid.T, name string) (out []iv) {
	at := int64(0)
	for range rapid.IntRange(0, 8).Draw(t, name) {
		at += rapid.Int64Range(0, 3).Draw(t, "gap")
		to := at + rapid.Int64Range(1, 4).Draw(t, "length")
		out = append(out, iv{From: at, To: to, Value: float64(rapid.IntRange(0, 2).Draw(t, "value"))})
		at = to
	}
	return out
}

// says is the slow and obvious version: the value at a second.
func says(list []iv, at int64) (float64, bool) {
	for _, i := range list {
		if i.From <= at && at < i.To {
			return i.Value, true
		}
	}
	return 0, false
}

func TestMergeSaysTheNewWhereThereIsSomethingNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, add := series(t, "old"), series(t, "add")
		got, _ := Merge(old, add)
		for at := int64(0); at < 60; at++ {
			want, ok := says(add, at)
			if !ok {
				want, ok = says(old, at)
			}
			if v, there := says(got, at); v != want || there != ok {
				t.Fatalf("at %d: %v %v, want %v %v", at, v, there, want, ok)
			}
		}
		for i := 1; i < len(got); i++ {
			if got[i].From < got[i-1].To {
				t.Fatalf("%v overlaps", got)
			}
		}
		again, changes := Merge(got, add)
		if !cmp.Equal(again, got) || changes.Added != 0 || changes.Replaced != 0 {
			t.Fatalf("the second time: %+v", changes)
		}
	})
}

func TestTheConstantFillsHoles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		constant := 50.0
		s := Series{Head: Head{Unit: "EUR"}, Intervals: series(t, "stored")}
		if rapid.Bool().Draw(t, "with a constant") {
			s.Constant = &constant
		}
		from := rapid.Int64Range(0, 30).Draw(t, "from")
		to := from + rapid.Int64Range(1, 30).Draw(t, "length")
		w := window(s, from, to)
		for at := int64(0); at < 70; at++ {
			want, ok := says(s.Intervals, at)
			if !ok && s.Constant != nil {
				want, ok = constant, true
			}
			if at < from || at >= to {
				want, ok = 0, false
			}
			if v, there := says(w.Intervals, at); v != want || there != ok {
				t.Fatalf("at %d of %d to %d: %v %v, want %v %v", at, from, to, v, there, want, ok)
			}
		}
	})
}
