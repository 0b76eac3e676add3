package hdf5

import (
	"encoding/binary"
	"math"
	"slices"
)

// Rows are consecutive rows of a dataset. They share memory with the Reader and
// are valid until its next call.
type Rows struct {
	First  uint64 // index of the first row in the dataset
	N      int
	raw    []byte
	stride int
}

// Whole is the member that stands for the row itself, for datasets that are not
// compounds.
func (d *Dataset) Whole() Member { return Member{Type: d.datatype} }

// number visits one member of each row as 64 bits, by its size; signed numbers
// are extended.
func number[T any](r Rows, m Member, dst []T, convert func(uint64) T) []T {
	signed := m.Type.Kind == Int
	for i, at := 0, m.Offset; i < r.N; i, at = i+1, at+r.stride {
		v := load(r.raw[at:], m.Type.Size)
		if signed {
			shift := 64 - 8*m.Type.Size
			v = uint64(int64(v<<shift) >> shift)
		}
		dst = append(dst, convert(v))
	}
	return dst
}

func load(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// AppendUint64 appends a member of kind Uint, or the bits of one of kind Int or
// Float. For other kinds it appends nothing.
func (r Rows) AppendUint64(dst []uint64, m Member) []uint64 {
	if !m.Type.isNumber() {
		return dst
	}
	return number(r, m, dst, func(v uint64) uint64 { return v })
}

// AppendInt64 appends a member of kind Int or Uint; values over 2^63-1 wrap. For
// other kinds it appends nothing.
func (r Rows) AppendInt64(dst []int64, m Member) []int64 {
	if m.Type.Kind != Int && m.Type.Kind != Uint {
		return dst
	}
	return number(r, m, dst, func(v uint64) int64 { return int64(v) })
}

// AppendFloat64 appends a member of kind Float, Int or Uint. Whole numbers over
// 2^53 lose their last digits. For other kinds it appends nothing.
func (r Rows) AppendFloat64(dst []float64, m Member) []float64 {
	switch {
	case m.Type.Kind == Float && m.Type.Size == 8:
		return r.appendDouble(dst, m.Offset)
	case m.Type.Kind == Uint && m.Type.Size == 8:
		return r.appendLong(dst, m.Offset)
	case m.Type.Kind == Float:
		return number(r, m, dst, func(v uint64) float64 { return float64(math.Float32frombits(uint32(v))) })
	case m.Type.Kind == Int:
		return number(r, m, dst, func(v uint64) float64 { return float64(int64(v)) })
	case m.Type.Kind == Uint:
		return number(r, m, dst, func(v uint64) float64 { return float64(v) })
	}
	return dst
}

// appendDouble and appendLong are Slurm's two types, without the calls that the
// general way costs for each value.
func (r Rows) appendDouble(dst []float64, at int) []float64 {
	dst, fresh := extend(dst, r.N)
	for i := range fresh {
		fresh[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.raw[at:]))
		at += r.stride
	}
	return dst
}

func (r Rows) appendLong(dst []float64, at int) []float64 {
	dst, fresh := extend(dst, r.N)
	for i := range fresh {
		fresh[i] = float64(binary.LittleEndian.Uint64(r.raw[at:]))
		at += r.stride
	}
	return dst
}

// extend makes room for n more values and returns the whole and the new part.
func extend(dst []float64, n int) (all, fresh []float64) {
	all = slices.Grow(dst, n)[:len(dst)+n]
	return all, all[len(dst):]
}

// AppendString appends a member of kind String. For other kinds it appends
// nothing.
func (r Rows) AppendString(dst []string, m Member) []string {
	if m.Type.Kind != String {
		return dst
	}
	for i, at := 0, m.Offset; i < r.N; i, at = i+1, at+r.stride {
		dst = append(dst, fixedText(r.raw[at:at+m.Type.Size], m.Type.padding))
	}
	return dst
}

func (d Datatype) isNumber() bool { return d.Kind == Int || d.Kind == Uint || d.Kind == Float }
