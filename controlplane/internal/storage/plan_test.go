package storage

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPlanBoundaries(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		size  int64
		part  int64
		count int32
	}{
		{0, 0, 0},
		{1, 0, 0},
		{64 * mib, 0, 0},
		{64*mib + 1, 16 * mib, 5},
		{16000 * mib, 16 * mib, 1000},
		{16000*mib + 1, 32 * mib, 501},
		{1 << 40, 1 << 30, 1024},
		{MaxObjectBytes, 1 << 30, 5120},
	} {
		if got := PlanFor(c.size); got.PartBytes != c.part || got.Count != c.count {
			t.Errorf("%d bytes: %+v, want %d × %d", c.size, got, c.count, c.part)
		}
	}
}

func TestPartsOfAPlanAddUpWithinTheLimitsOfS3(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(SingleMaxBytes+1, MaxObjectBytes).Draw(t, "size")
		p := PlanFor(size)
		if p.Count < 1 || p.Count > 10_000 || p.PartBytes < 5<<20 || p.PartBytes > 5<<30 {
			t.Fatalf("%+v", p)
		}
		last := p.PartSize(p.Count, size)
		if last < 1 || last > p.PartBytes || int64(p.Count-1)*p.PartBytes+last != size {
			t.Fatalf("%+v with a last part of %d bytes does not make %d", p, last, size)
		}
		if p.PartSize(0, size) != 0 || p.PartSize(p.Count+1, size) != 0 || p.PartSize(-1, size) != 0 {
			t.Fatal("a part outside the plan has a size")
		}
	})
}
