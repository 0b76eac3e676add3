package profile

import (
	"math"

	"github.com/ergon-hpc/ergon/shared/hdf5"
)

// want joins a member of the file with a column.
type want struct {
	name string // in the file
	col  *Column
	unit float64 // of the file's value, in the unit of the column
	// unset is the smallest value, in the unit of the file, that Slurm writes for
	// "not measured" and that cannot be real.
	unset float64
}

const (
	kib = 1 << 10
	mib = 1 << 20
	// unset64 lies just below NO_VAL64 and INFINITE64 of slurm.h (2^64-2, 2^64-1),
	// also after they were printed as 1.84467e19 and read again.
	unset64 = 1.8446e19
	// unset32 is NO_VAL of slurm.h, for what Slurm holds in 32 bits.
	unset32 = 0xfffffffe
)

// plain is a value in its own unit.
func plain(name string, col *Column) want { return want{name, col, 1, unset64} }

// small is a value that Slurm holds in 32 bits.
func small(name string, col *Column) want { return want{name, col, 1, unset32} }

// scaled is a value that Slurm divided by unit, its "not measured" included:
// 17592186044415 is 2^64-1 bytes in MiB.
func scaled(name string, col *Column, unit float64) want {
	return want{name, col, unit, unset64 / unit}
}

func (c *Clock) wanted() []want {
	return []want{plain("ElapsedTime", &c.ElapsedS), plain("EpochTime", &c.EpochS)}
}

func (s *TaskSeries) wanted() []want {
	return append(s.Clock.wanted(),
		small("CPUFrequency", &s.CPUFreqMHz), plain("CPUTime", &s.CPUTimeS), plain("CPUUtilization", &s.CPUUtilPercent),
		scaled("RSS", &s.RSSBytes, kib), scaled("VMSize", &s.VMSizeBytes, kib), plain("Pages", &s.Pages),
		scaled("ReadMB", &s.ReadBytes, mib), scaled("WriteMB", &s.WriteBytes, mib),
		scaled("GPUMemMB", &s.GPUMemBytes, mib), small("GPUUtilization", &s.GPUUtilPercent))
}

func (s *EnergySeries) wanted() []want {
	return append(s.Clock.wanted(), small("Power", &s.PowerW))
}

func (s *NetworkSeries) wanted() []want {
	return append(s.Clock.wanted(), plain("PacketsIn", &s.PacketsIn), plain("PacketsOut", &s.PacketsOut),
		scaled("InMB", &s.InBytes, mib), scaled("OutMB", &s.OutBytes, mib))
}

func (s *FilesystemSeries) wanted() []want {
	return append(s.Clock.wanted(), plain("Reads", &s.Reads), plain("Writes", &s.Writes),
		scaled("ReadMB", &s.ReadBytes, mib), scaled("WriteMB", &s.WriteBytes, mib))
}

// cell reads one member into its column.
type cell struct {
	want
	member hdf5.Member
}

// bind finds the wanted members by name: their order and number differ between
// versions of Slurm. Members that are absent leave their column nil.
func bind(d *hdf5.Dataset, wanted []want) []cell {
	var cells []cell
	for _, w := range wanted {
		m, ok := d.Type().Member(w.name)
		if !ok || m.Type.Kind != hdf5.Uint && m.Type.Kind != hdf5.Int && m.Type.Kind != hdf5.Float {
			continue
		}
		*w.col = make(Column, 0, d.LikelyLen())
		cells = append(cells, cell{w, m})
	}
	return cells
}

func (c cell) add(batch hdf5.Rows) {
	col := *c.col
	from := len(col)
	col = batch.AppendFloat64(col, c.member)
	for i, v := range col[from:] {
		if v >= c.unset || v < 0 || math.IsInf(v, 0) { // nothing that Slurm samples is below 0
			col[from+i] = Missing()
		} else if c.unit != 1 {
			col[from+i] = v * c.unit
		}
	}
	*c.col = col
}
