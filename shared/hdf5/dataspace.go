package hdf5

// dataspace is the shape of a dataset or an attribute. Specification IV.A.2.b.
type dataspace struct {
	rank int
	dims []uint64
	null bool // no elements at all
}

func readDataspace(c *cursor) dataspace {
	version, rank, flags := c.u8(), int(c.u8()), c.u8()
	d := dataspace{rank: rank}
	switch version {
	case 1:
		c.skip(5)
	case 2:
		d.null = c.u8() == 2
	default:
		c.failAs(ErrUnsupported, "dataspace version %d", version)
	}
	if rank > 32 {
		c.fail("rank %d", rank)
	}
	for range rank {
		d.dims = append(d.dims, c.u64())
		if c.err != nil {
			return dataspace{}
		}
	}
	if flags&1 != 0 {
		c.skip(8 * rank) // maximal dimensions: Slurm's are unlimited
	}
	return d
}

// elements is the number of values; ok is false when it exceeds limit.
func (d dataspace) elements(limit uint64) (n uint64, ok bool) {
	if d.null {
		return 0, true
	}
	n = 1
	for _, dim := range d.dims {
		if dim != 0 && n > limit/dim {
			return 0, false
		}
		n *= dim
	}
	return n, n <= limit
}
