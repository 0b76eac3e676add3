package profile

import "math"

// packetFactor is what acct_gather_interconnect/sysfs divides packets by before
// it stores them as MiB.
const packetFactor = 1 << 16

// suspectSwapped compares sums: a packet has at least 20 bytes, so bytes exceed
// packets. In a swapped series the column of bytes holds packets × 2^20 / 2^16,
// less than the column of packets, which holds bytes.
func (s *NetworkSeries) suspectSwapped() bool {
	packets, okPackets := sumOf(s.PacketsIn, s.PacketsOut)
	bytes, okBytes := sumOf(s.InBytes, s.OutBytes)
	return okPackets && okBytes && packets > 0 && bytes < packets
}

func sumOf(columns ...Column) (sum float64, ok bool) {
	for _, c := range columns {
		part, has := c.Sum()
		sum, ok = sum+part, ok || has
	}
	return sum, ok
}

// Unswapped returns packets and bytes in their places: bytes from the packet
// members, packets from the MiB members × 65536. Call it only when
// SuspectSwapped; the result has the mark cleared.
func (s NetworkSeries) Unswapped() NetworkSeries {
	out := NetworkSeries{Clock: s.Clock, InBytes: s.PacketsIn, OutBytes: s.PacketsOut}
	out.PacketsIn = s.InBytes.scaled(packetFactor / float64(mib))
	out.PacketsOut = s.OutBytes.scaled(packetFactor / float64(mib))
	return out
}

func (c Column) scaled(factor float64) Column {
	if c == nil {
		return nil
	}
	out := make(Column, len(c))
	for i, v := range c {
		out[i] = v * factor
	}
	return out
}

// minCounterRows is how many non-zero rows it takes before "hardly ever falls" is
// held for more than chance, and risesPerFall how many rises each fall needs: a
// counter falls only when it starts again (a remount), an amount falls as often as
// it rises.
const (
	minCounterRows = 5
	risesPerFall   = 10
)

// suspectCumulative is true when no column falls more often than a counter that
// starts again now and then, and at least one of them rises. A constant rate does
// not count as rising.
func (s *FilesystemSeries) suspectCumulative() bool {
	found := false
	for _, c := range []Column{s.Reads, s.Writes, s.ReadBytes, s.WriteBytes} {
		rows, rises, falls := trend(c)
		if falls*risesPerFall > rises {
			return false
		}
		found = found || rows >= minCounterRows && rises >= 2
	}
	return found
}

// trend counts the rows after the leading zeros, and how often the value rises and
// falls from one to the next.
func trend(c Column) (rows, rises, falls int) {
	first := FirstNonZero(c)
	if first < 0 {
		return 0, 0, 0
	}
	last := c[first]
	for _, v := range c[first:] {
		switch {
		case math.IsNaN(v):
			continue
		case v < last:
			falls++
		case v > last:
			rises++
		}
		rows, last = rows+1, v
	}
	return rows, rises, falls
}

// Differences returns the amounts of each interval of a series whose columns
// are counters: a row minus the row before. The first counter value has no row
// before and becomes missing, like a value after a fall (remount). The leading
// zeros stay 0 rows of no amount. Call it only when SuspectCumulative.
func (s FilesystemSeries) Differences() FilesystemSeries {
	return FilesystemSeries{
		Clock: s.Clock,
		Reads: s.Reads.differences(), Writes: s.Writes.differences(),
		ReadBytes: s.ReadBytes.differences(), WriteBytes: s.WriteBytes.differences(),
	}
}

func (c Column) differences() Column {
	if c == nil {
		return nil
	}
	out := make(Column, len(c))
	first := FirstNonZero(c)
	if first < 0 {
		return out
	}
	last := math.NaN()
	for i := first; i < len(c); i++ {
		out[i] = c[i] - last
		if out[i] < 0 {
			out[i] = Missing()
		}
		if !math.IsNaN(c[i]) {
			last = c[i]
		}
	}
	return out
}
