package profile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5"
)

func FuzzOpen(f *testing.F) {
	files, err := filepath.Glob("../testdata/*.h5")
	if err != nil || len(files) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 256<<10 {
			t.Skip("longer than what a mutation of a seed can need")
		}
		p, err := Open(bytes.NewReader(data), int64(len(data)), Options{})
		if err != nil {
			checkTyped(t, err)
			return
		}
		rows := 0
		for _, s := range p.Steps {
			for _, n := range s.Nodes {
				rows += checkNode(t, n)
			}
		}
		if (rows > 0) != (p.State == HasData) {
			t.Fatalf("%d rows, state %v", rows, p.State)
		}
		for _, d := range p.Damage {
			checkTyped(t, d.Err)
		}
	})
}

func checkTyped(t *testing.T, err error) {
	t.Helper()
	for _, kind := range []error{hdf5.ErrTruncated, hdf5.ErrUnsupported, hdf5.ErrCorrupt, hdf5.ErrLimit, hdf5.ErrNotFound} {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Fatalf("not a typed error: %v", err)
}

// checkNode holds the promises of Column, and calls what others call.
func checkNode(t *testing.T, n Node) (rows int) {
	t.Helper()
	for i := range n.Tasks {
		rows += checkColumns(t, n.Tasks[i].members())
		n.Tasks[i].Dedup()
	}
	if n.Energy != nil {
		rows += checkColumns(t, n.Energy.members())
		if e := TrapezoidEnergy(n.Energy.Dedup(), 0); e.CoveredS < 0 || e.CoveredS > 0 && len(n.Energy.EpochS) < 2 {
			t.Fatalf("%+v", e)
		}
	}
	if n.Network != nil {
		rows += checkColumns(t, n.Network.members())
		checkColumns(t, memberList(n.Network.Unswapped()))
	}
	if n.Filesystem != nil {
		rows += checkColumns(t, n.Filesystem.members())
		n.Filesystem.Differences()
	}
	return rows
}

func memberList(s NetworkSeries) []member { return s.members() }

func checkColumns(t *testing.T, members []member) int {
	t.Helper()
	rows := -1
	for _, m := range members {
		if *m.col == nil {
			continue
		}
		if rows >= 0 && len(*m.col) != rows {
			t.Fatalf("columns of %d and %d rows in one series", rows, len(*m.col))
		}
		rows = len(*m.col)
	}
	return max(rows, 0)
}
