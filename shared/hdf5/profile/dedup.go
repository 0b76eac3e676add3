package profile

import "math"

// role says what becomes of two rows with the same time.
type role int

const (
	gauge  role = iota // a state: the later value stands
	amount             // spent in the interval: both values count
)

type member struct {
	col  *Column
	role role
}

// Dedup returns the series with one row per EpochTime where neighbouring rows
// repeat it. Rows that are equal in every member are one row written twice. If
// they differ, both intervals were real: amounts (CPU time, bytes) are added,
// of gauges the later value that is not missing stands. The input is not changed.
func (s TaskSeries) Dedup() TaskSeries {
	dedup(s.members())
	return s
}

// Dedup is TaskSeries.Dedup for power, which is a gauge.
func (s EnergySeries) Dedup() EnergySeries {
	dedup(s.members())
	return s
}

// Dedup is TaskSeries.Dedup for packets and bytes, which are amounts.
func (s NetworkSeries) Dedup() NetworkSeries {
	dedup(s.members())
	return s
}

// Dedup is TaskSeries.Dedup; the values are amounts, or gauges where they are
// counters since the mount (SuspectCumulative).
func (s FilesystemSeries) Dedup() FilesystemSeries {
	dedup(s.members())
	return s
}

func (c *Clock) members() []member {
	return []member{{&c.EpochS, gauge}, {&c.ElapsedS, gauge}}
}

func (s *TaskSeries) members() []member {
	return append(s.Clock.members(),
		member{&s.CPUFreqMHz, gauge}, member{&s.CPUTimeS, amount}, member{&s.CPUUtilPercent, gauge},
		member{&s.RSSBytes, gauge}, member{&s.VMSizeBytes, gauge}, member{&s.Pages, gauge},
		member{&s.ReadBytes, amount}, member{&s.WriteBytes, amount},
		member{&s.GPUMemBytes, gauge}, member{&s.GPUUtilPercent, gauge})
}

func (s *EnergySeries) members() []member {
	return append(s.Clock.members(), member{&s.PowerW, gauge})
}

func (s *NetworkSeries) members() []member {
	return append(s.Clock.members(), member{&s.PacketsIn, amount}, member{&s.PacketsOut, amount},
		member{&s.InBytes, amount}, member{&s.OutBytes, amount})
}

func (s *FilesystemSeries) members() []member {
	kind := amount
	if s.SuspectCumulative {
		kind = gauge
	}
	return append(s.Clock.members(), member{&s.Reads, kind}, member{&s.Writes, kind},
		member{&s.ReadBytes, kind}, member{&s.WriteBytes, kind})
}

// dedup replaces each column by a shorter copy. members[0] is the time.
func dedup(members []member) {
	epochS := *members[0].col
	if epochS == nil {
		return
	}
	groups := sameTime(epochS)
	equal := make([]bool, len(epochS)) // row i repeats row i-1 in every member
	for i := 1; i < len(epochS); i++ {
		equal[i] = epochS[i] == epochS[i-1] && rowsEqual(members, i-1, i)
	}
	for _, m := range members {
		if *m.col != nil {
			*m.col = collapse(*m.col, m.role, groups, equal)
		}
	}
}

// sameTime returns the index of the first row of each run of equal times.
func sameTime(epochS Column) []int {
	var starts []int
	for i, t := range epochS {
		if i == 0 || t != epochS[i-1] {
			starts = append(starts, i)
		}
	}
	return starts
}

func rowsEqual(members []member, a, b int) bool {
	for _, m := range members {
		if c := *m.col; c != nil && c[a] != c[b] && !(math.IsNaN(c[a]) && math.IsNaN(c[b])) {
			return false
		}
	}
	return true
}

func collapse(c Column, kind role, starts []int, equal []bool) Column {
	out := make(Column, len(starts))
	for g, start := range starts {
		end := len(c)
		if g+1 < len(starts) {
			end = starts[g+1]
		}
		v := c[start]
		for i := start + 1; i < end; i++ {
			v = join(v, c[i], kind, equal[i])
		}
		out[g] = v
	}
	return out
}

func join(v, next float64, kind role, equal bool) float64 {
	switch {
	case equal || math.IsNaN(next):
		return v
	case math.IsNaN(v) || kind == gauge:
		return next
	}
	return v + next
}
