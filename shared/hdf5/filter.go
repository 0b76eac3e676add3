package hdf5

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"io"
)

const chunkWhat = "chunk"

// pipeline undoes the filters of chunks. Its buffers are used again and again.
type pipeline struct {
	filters  []filter
	want     int // bytes of a chunk after all filters
	inflated []byte
	plain    []byte
	input    bytes.Reader
	zlib     io.ReadCloser
}

// undo returns the rows of one chunk, valid until the next call. A result may
// share memory with stored.
func (p *pipeline) undo(stored []byte, mask uint32, off int64) ([]byte, error) {
	b := stored
	for i := len(p.filters) - 1; i >= 0; i-- {
		if mask&(1<<i) != 0 {
			continue
		}
		var err error
		switch f := p.filters[i]; f.id {
		case filterDeflate:
			b, err = p.inflate(b, off)
		case filterShuffle:
			b = p.unshuffle(b, f)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(b) != p.want {
		return nil, fail(ErrCorrupt, chunkWhat, off, "%d bytes after filters, want %d", len(b), p.want)
	}
	return b, nil
}

// inflate expands at most want bytes.
func (p *pipeline) inflate(stored []byte, off int64) ([]byte, error) {
	if b, ok := storedBlock(stored); ok {
		if adler32.Checksum(b) != binary.BigEndian.Uint32(stored[len(stored)-4:]) {
			return nil, fail(ErrCorrupt, "deflated chunk", off, "checksum differs")
		}
		return b, nil
	}
	if err := p.reset(stored); err != nil {
		return nil, fail(ErrCorrupt, "deflated chunk", off, "%v", err)
	}
	if p.inflated == nil {
		p.inflated = make([]byte, p.want+1)
	}
	n, err := readToEnd(p.zlib, p.inflated)
	switch {
	case err != nil:
		return nil, fail(ErrCorrupt, "deflated chunk", off, "after %d of %d bytes: %v", n, p.want, err)
	case n > p.want:
		return nil, fail(ErrCorrupt, "deflated chunk", off, "expands to more than the %d bytes of a chunk", p.want)
	}
	return p.inflated[:n], nil
}

// readToEnd reads until b is full or the stream has ended well. io.ReadFull would
// not tell a good end from a cut one.
func readToEnd(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) {
		got, err := r.Read(b[n:])
		n += got
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (p *pipeline) reset(stored []byte) (err error) {
	p.input.Reset(stored)
	if r, ok := p.zlib.(zlib.Resetter); ok {
		return r.Reset(&p.input, nil)
	}
	p.zlib, err = zlib.NewReader(&p.input)
	return err
}

// storedBlock takes the content out of a zlib stream that is one stored block,
// which is what level 0 makes of a small chunk: Slurm's normal case, where the
// general decoder would cost most of the time. RFC 1950 2.2, RFC 1951 3.2.4.
func storedBlock(b []byte) ([]byte, bool) {
	const head, tail = 7, 4
	if len(b) < head+tail || b[0]&0x0f != 8 || b[1]&0x20 != 0 || (uint(b[0])<<8|uint(b[1]))%31 != 0 || b[2] != 1 {
		return nil, false
	}
	size := int(binary.LittleEndian.Uint16(b[3:]))
	if uint16(size) != ^binary.LittleEndian.Uint16(b[5:]) || len(b) != head+size+tail {
		return nil, false
	}
	return b[head : head+size : head+size], true
}

// unshuffle puts bytes together again that the filter had sorted by their place
// in the row. Bytes left over at the end were not moved.
func (p *pipeline) unshuffle(b []byte, f filter) []byte {
	elem := 0
	if len(f.values) > 0 {
		elem = int(f.values[0])
	}
	if elem <= 1 || elem > len(b) {
		return b
	}
	if len(p.plain) < len(b) {
		p.plain = make([]byte, len(b))
	}
	out := p.plain[:len(b)]
	count := len(b) / elem
	for j := range elem {
		column := b[j*count : (j+1)*count]
		for i, v := range column {
			out[i*elem+j] = v
		}
	}
	copy(out[count*elem:], b[count*elem:])
	return out
}
