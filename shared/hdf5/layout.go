package hdf5

type layoutClass uint8

const (
	layoutCompact    layoutClass = 0
	layoutContiguous layoutClass = 1
	layoutChunked    layoutClass = 2
)

const layoutWhat = "data layout"

// layout says where the rows are. Specification IV.A.2.i, version 3.
type layout struct {
	class     layoutClass
	compact   []byte
	addr      uint64 // of the contiguous data or of the chunk index
	size      uint64 // of the contiguous data
	chunkRows uint64
	chunkElem uint64 // bytes of a row according to the layout
	rank      int    // dimensions of a chunk
}

func readLayout(c *cursor) layout {
	if version := c.u8(); version != 3 {
		c.failAs(ErrUnsupported, "version %d, Slurm writes 3", version)
		return layout{}
	}
	l := layout{class: layoutClass(c.u8())}
	switch l.class {
	case layoutCompact:
		l.compact = c.bytes(int(c.u16()))
	case layoutContiguous:
		l.addr, l.size = c.u64(), c.u64()
	case layoutChunked:
		l.rank = int(c.u8()) - 1
		l.addr = c.u64()
		if l.rank != 1 {
			c.failAs(ErrUnsupported, "chunks of %d dimensions", l.rank)
		}
		l.chunkRows, l.chunkElem = uint64(c.u32()), uint64(c.u32())
	default:
		c.failAs(ErrUnsupported, "layout class %d", l.class)
	}
	return l
}

// Filters of specification IV.A.2.l that are read.
const (
	filterDeflate = 1
	filterShuffle = 2
)

const maxFilters = 8

type filter struct {
	id     uint16
	values []uint32
}

// readFilters reads the pipeline in the order of writing, versions 1 and 2.
func readFilters(c *cursor) []filter {
	version, count := c.u8(), int(c.u8())
	if version == 1 {
		c.skip(6)
	} else if version != 2 {
		c.failAs(ErrUnsupported, "filter pipeline version %d", version)
	}
	if count > maxFilters {
		c.failAs(ErrLimit, "%d filters", count)
		return nil
	}
	var out []filter
	for range count {
		out = append(out, readFilter(c, version))
	}
	return out
}

func readFilter(c *cursor, version uint8) filter {
	f := filter{id: c.u16()}
	nameSize := 0
	if version == 1 || f.id >= 256 {
		nameSize = int(c.u16())
	}
	c.skip(2) // flags: whether the filter may be left out, which each chunk tells
	count := int(c.u16())
	if version == 1 {
		nameSize = pad8(nameSize)
	}
	c.skip(nameSize)
	for i := 0; i < count && c.err == nil; i++ {
		f.values = append(f.values, c.u32())
	}
	if version == 1 && count%2 == 1 {
		c.skip(4)
	}
	if f.id != filterDeflate && f.id != filterShuffle {
		c.failAs(ErrUnsupported, "filter %d, only deflate (1) and shuffle (2) are read", f.id)
	}
	return f
}

// readFill returns the fill value, nil for zeros. Specification IV.A.2.e and f.
func readFill(c *cursor, kind messageType) []byte {
	if kind == msgFillOld {
		return c.bytes(int(min(c.u32(), 1<<24)))
	}
	switch version := c.u8(); version {
	case 1, 2:
		c.skip(2) // times of allocation and of writing
		if defined := c.u8(); version == 2 && defined == 0 {
			return nil
		}
	case 3:
		if c.u8()&0x20 == 0 {
			return nil
		}
	default:
		c.failAs(ErrUnsupported, "fill value version %d", version)
		return nil
	}
	return c.bytes(int(min(c.u32(), 1<<24)))
}
