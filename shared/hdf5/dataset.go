package hdf5

// Dataset is a one-dimensional table: each row is a number, a string or a
// compound.
type Dataset struct {
	file     *File
	path     string
	off      int64
	rows     uint64
	datatype Datatype
	layout   layout
	filters  []filter
	fill     []byte // one row
}

// maxChunkBytes bounds one chunk in memory. Slurm's have 800 bytes.
const maxChunkBytes = 256 << 20

// Dataset reads the description of the rows, not the rows.
func (o *Object) Dataset() (*Dataset, error) {
	d := &Dataset{file: o.file, path: o.path, off: o.file.src.offset(o.addr)}
	if o.has(msgExternal) {
		return nil, fail(ErrUnsupported, "dataset", d.off, "%s is stored in other files", o.path)
	}
	c, err := o.need(msgDatatype, "datatype")
	if err != nil {
		return nil, err
	}
	if d.datatype = readDatatype(c, 0); c.err != nil {
		return nil, c.err
	}
	if err := d.readShape(o); err != nil {
		return nil, err
	}
	if err := d.readStorage(o); err != nil {
		return nil, err
	}
	return d, d.check()
}

func (d *Dataset) readShape(o *Object) error {
	c, err := o.need(msgDataspace, "dataspace")
	if err != nil {
		return err
	}
	space := readDataspace(c)
	if c.err != nil {
		return c.err
	}
	if space.rank != 1 || space.null {
		return fail(ErrUnsupported, "dataspace", c.off, "%s has rank %d, only one dimension is read", d.path, space.rank)
	}
	d.rows = space.dims[0]
	return nil
}

func (d *Dataset) readStorage(o *Object) error {
	c, err := o.need(msgLayout, layoutWhat)
	if err != nil {
		return err
	}
	if d.layout = readLayout(c); c.err != nil {
		return c.err
	}
	if m, ok := o.find(msgFilter); ok {
		c := m.cursor("filter pipeline")
		if d.filters = readFilters(c); c.err != nil {
			return c.err
		}
	}
	return d.readFillValue(o)
}

func (d *Dataset) readFillValue(o *Object) error {
	for _, kind := range []messageType{msgFill, msgFillOld} {
		m, ok := o.find(kind)
		if !ok {
			continue
		}
		c := m.cursor("fill value")
		fill := readFill(c, kind)
		if c.err != nil {
			return c.err
		}
		if len(fill) == d.datatype.Size {
			d.fill = fill
		}
		return nil
	}
	return nil
}

// check refuses shapes that the size of the file cannot justify.
func (d *Dataset) check() error {
	elem := uint64(d.datatype.Size)
	if limit := uint64(d.file.decodedMax); d.rows > limit/elem {
		return fail(ErrLimit, "dataspace", d.off, "%s has %d rows of %d bytes in a file of %d bytes", d.path, d.rows, elem, d.file.src.size)
	}
	bytes := d.rows * elem
	switch l := d.layout; l.class {
	case layoutCompact:
		if uint64(len(l.compact)) < bytes {
			return fail(ErrCorrupt, layoutWhat, d.off, "%s has %d bytes for %d", d.path, len(l.compact), bytes)
		}
	case layoutContiguous:
		if l.addr != undefined && l.size < bytes {
			return fail(ErrCorrupt, layoutWhat, d.off, "%s has %d bytes for %d", d.path, l.size, bytes)
		}
	case layoutChunked:
		return d.checkChunks()
	}
	if len(d.filters) > 0 {
		return fail(ErrCorrupt, layoutWhat, d.off, "%s has filters without chunks", d.path)
	}
	return nil
}

func (d *Dataset) checkChunks() error {
	l := d.layout
	if l.chunkElem != uint64(d.datatype.Size) || l.chunkRows == 0 {
		return fail(ErrCorrupt, layoutWhat, d.off, "chunks of %d rows of %d bytes, rows have %d", l.chunkRows, l.chunkElem, d.datatype.Size)
	}
	if l.chunkRows > uint64(min(maxChunkBytes, d.file.decodedMax))/l.chunkElem {
		return fail(ErrLimit, layoutWhat, d.off, "chunks of %d rows of %d bytes in a file of %d bytes", l.chunkRows, l.chunkElem, d.file.src.size)
	}
	return nil
}

// Path is the absolute path of the dataset.
func (d *Dataset) Path() string { return d.path }

// Len is the number of rows.
func (d *Dataset) Len() uint64 { return d.rows }

// Type is the type of a row.
func (d *Dataset) Type() Datatype { return d.datatype }

// LikelyLen is the number of rows that the file can hold without compression, at
// most Len: a size for buffers that a hostile file cannot inflate.
func (d *Dataset) LikelyLen() int {
	return int(min(d.rows, uint64(d.file.src.size)/uint64(d.datatype.Size)+1))
}
