package hdf5

import "io"

// batchBytes is how much of a dataset without chunks is handed out at once.
const batchBytes = windowBytes

// Reader streams the rows of a dataset in order, one chunk at a time.
type Reader struct {
	d       *Dataset
	at      uint64 // next row
	index   *chunkIndex
	pending storedChunk // the next stored chunk
	more    bool        // pending is set
	pipe    pipeline
	filled  []byte // rows of fill values
	err     error
}

// Read starts at the first row.
func (d *Dataset) Read() (*Reader, error) {
	r := &Reader{d: d}
	if d.layout.class != layoutChunked {
		return r, nil
	}
	r.pipe = pipeline{filters: d.filters, want: int(d.layout.chunkRows) * d.datatype.Size}
	var err error
	if r.index, err = newChunkIndex(d.file.src, d.layout.addr); err != nil {
		return nil, err
	}
	return r, r.advance()
}

// Next returns the next rows, valid until the next call, and io.EOF after the
// last. After any other error the rows that came before are still right; the
// reader stays at its error.
func (r *Reader) Next() (Rows, error) {
	if r.err != nil {
		return Rows{}, r.err
	}
	if r.at >= r.d.rows {
		return Rows{}, io.EOF
	}
	rows, err := r.batch()
	if err != nil {
		r.err = err
		return Rows{}, err
	}
	r.at += uint64(rows.N)
	return rows, nil
}

func (r *Reader) batch() (Rows, error) {
	switch l := r.d.layout; {
	case l.class == layoutCompact:
		return r.rows(l.compact, r.d.rows)
	case l.class == layoutContiguous && l.addr != undefined:
		return r.contiguous()
	case l.class == layoutChunked && r.more && r.pending.first == r.at:
		return r.chunk()
	}
	return r.missing()
}

func (r *Reader) contiguous() (Rows, error) {
	elem := uint64(r.d.datatype.Size)
	n := min(r.d.rows-r.at, max(1, batchBytes/elem))
	addr := r.d.layout.addr
	if addr > undefined-r.at*elem {
		return Rows{}, fail(ErrCorrupt, layoutWhat, -1, "address %d", addr)
	}
	b, err := r.d.file.src.data(addr+r.at*elem, int64(n*elem), "contiguous data")
	if err != nil {
		return Rows{}, err
	}
	return r.rows(b, n)
}

// advance takes the next stored chunk off the index. Chunks beyond the last row
// (left by a dataset that shrank) are of no interest.
func (r *Reader) advance() (err error) {
	r.pending, r.more, err = r.index.next()
	if err == nil && r.more && r.pending.first%r.d.layout.chunkRows != 0 {
		err = fail(ErrCorrupt, chunkTreeWhat, -1, "chunk at row %d of %s, chunks have %d rows", r.pending.first, r.d.path, r.d.layout.chunkRows)
	}
	return err
}

func (r *Reader) chunk() (Rows, error) {
	src, c := r.d.file.src, r.pending
	stored, err := src.data(c.addr, int64(c.size), chunkWhat)
	if err != nil {
		return Rows{}, err
	}
	n := min(r.d.rows-r.at, r.d.layout.chunkRows)
	// Paid for before the work, and for the whole chunk, whatever part is in use.
	if err := r.d.file.spend(int64(r.pipe.want)-int64(n)*int64(r.d.datatype.Size), chunkWhat, src.offset(c.addr)); err != nil {
		return Rows{}, err
	}
	b, err := r.pipe.undo(stored, c.mask, src.offset(c.addr))
	if err != nil {
		return Rows{}, err
	}
	rows, err := r.rows(b, n)
	if err != nil {
		return Rows{}, err
	}
	// An index that is damaged later does not spoil the rows of this chunk.
	if err := r.advance(); err != nil {
		r.err, r.more = err, false
	}
	return rows, nil
}

// missing returns fill values up to the next stored chunk.
func (r *Reader) missing() (Rows, error) {
	elem := uint64(r.d.datatype.Size)
	n := min(r.d.rows-r.at, max(1, batchBytes/elem))
	if r.more && r.pending.first > r.at {
		n = min(n, r.pending.first-r.at)
	}
	if need := int(n * elem); len(r.filled) < need {
		r.filled = make([]byte, need)
		if r.d.fill != nil {
			for at := 0; at < need; at += len(r.d.fill) {
				copy(r.filled[at:], r.d.fill)
			}
		}
	}
	return r.rows(r.filled, n)
}

// rows makes the first n rows of b the next ones and pays for them.
func (r *Reader) rows(b []byte, n uint64) (Rows, error) {
	size := int64(n) * int64(r.d.datatype.Size)
	if err := r.d.file.spend(size, "rows", r.d.off); err != nil {
		return Rows{}, err
	}
	return Rows{First: r.at, N: int(n), raw: b[:size], stride: r.d.datatype.Size}, nil
}
