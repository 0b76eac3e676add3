package slurmfmt

import "strings"

// repairer puts a row with too many fields back in order. sacct escapes nothing:
// a job name or comment that holds the delimiter adds fields. The typed columns
// say where those can lie: a free-text column may take several fields, all others
// take one that has their shape. Of all assignments that fit, what every one of
// them agrees on is certain.
type repairer struct {
	kinds []colKind
}

// maxExtraFields bounds the search, whose cost is columns × extra²: hostile rows
// must not cost more than some ten microseconds each.
const maxExtraFields = 64

// solve gives the row's fields. damaged lists free-text columns that cannot be
// told apart; their text is left empty. ok is false when nothing fits or a typed
// column is uncertain.
func (rp repairer) solve(tokens []string, delimiter string) (fields []string, damaged []int, ok bool) {
	n, k := len(rp.kinds), len(tokens)
	if k < n || k > n+maxExtraFields {
		return nil, nil, false
	}
	front, back := rp.reach(tokens)
	if !back[0][0] {
		return nil, nil, false
	}
	fields = make([]string, n)
	for i, kind := range rp.kinds {
		from, to, certain := rp.span(tokens, i, front[i], back[i+1])
		switch {
		case certain:
			fields[i] = strings.Join(tokens[from:to], delimiter)
		case kind.free():
			damaged = append(damaged, i)
		default:
			return nil, nil, false
		}
	}
	return fields, damaged, true
}

// span finds the tokens of column i. It is certain when there is one way, or when
// all ways give the same single field.
func (rp repairer) span(tokens []string, i int, front, back []bool) (from, to int, certain bool) {
	for a, reachable := range front {
		for b := a; reachable && b < len(back) && (b == a || rp.kinds[i].free()); b++ {
			if !back[b] || !rp.fits(tokens, i, i+a, i+b+1) {
				continue
			}
			if certain && !(a == b && to == from+1 && tokens[from] == tokens[i+a]) {
				return 0, 0, false
			}
			from, to, certain = i+a, i+b+1, true
		}
	}
	return from, to, certain
}

// fits says whether column i may hold the tokens j..l.
func (rp repairer) fits(tokens []string, i, j, l int) bool {
	kind := rp.kinds[i]
	if kind == colFree {
		return l > j
	}
	if kind.free() {
		return l > j && (kind.fits(tokens[j]) && (tokens[j] != "" || l == j+1))
	}
	return l == j+1 && kind.fits(tokens[j])
}

// reach computes, in fields relative to column i, which token offsets the columns
// before i can end at (front) and from which the columns from i on can go on to
// the end (back). Offsets are j−i: 0 … extra.
func (rp repairer) reach(tokens []string) (front, back [][]bool) {
	n, extra := len(rp.kinds), len(tokens)-len(rp.kinds)
	front, back = grid(n+1, extra+1), grid(n+1, extra+1)
	front[0][0], back[n][extra] = true, true
	for i := range n {
		for a := range extra + 1 {
			for b := a; front[i][a] && b <= extra && (b == a || rp.kinds[i].free()); b++ {
				front[i+1][b] = front[i+1][b] || rp.fits(tokens, i, i+a, i+b+1)
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		for a := range extra + 1 {
			for b := a; b <= extra && (b == a || rp.kinds[i].free()) && !back[i][a]; b++ {
				back[i][a] = back[i+1][b] && rp.fits(tokens, i, i+a, i+b+1)
			}
		}
	}
	return front, back
}

func grid(rows, cols int) [][]bool {
	cells := make([]bool, rows*cols)
	out := make([][]bool, rows)
	for i := range out {
		out[i] = cells[i*cols : (i+1)*cols]
	}
	return out
}
