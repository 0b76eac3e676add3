package hdf5

import (
	"errors"
	"fmt"
	"io"
)

const (
	// wholeFileBytes is the greatest file that is read into memory at once;
	// profiles are nearly always smaller.
	wholeFileBytes = 64 << 20
	// Small windows: the chunks of one task lie between those of all others.
	windowBytes = 8 << 10
	windowCount = 16
	// undefined is the address of something that does not exist.
	undefined = ^uint64(0)
)

// source gives bounded access to the bytes of the file. Addresses count from
// base, the place of the superblock.
type source struct {
	r        io.ReaderAt
	size     int64
	base     int64
	mem      []byte // the whole file, nil when it is read through windows
	windows  [windowCount]window
	next     int   // window to replace
	readLeft int64 // bytes that may still be read
}

type window struct {
	off  int64
	data []byte
}

func newSource(r io.ReaderAt, size, wholeBytes int64) (*source, error) {
	s := &source{r: r, size: size, readLeft: readBudget(size)}
	if size > wholeBytes {
		return s, nil
	}
	mem := make([]byte, size)
	if err := s.readAt(mem, 0, "file"); err != nil {
		return nil, err
	}
	s.mem = mem
	return s, nil
}

// readBudget lets every byte of the file be read 64 times, which reading a sound
// file some times over does not need, and a hostile one reaches soon.
func readBudget(size int64) int64 { return 64*size + 1<<20 }

// readCost is charged for each access on top of its bytes.
const readCost = 16

func (s *source) charge(n, off int64, what string) error {
	if s.readLeft -= n; s.readLeft < 0 {
		return fail(ErrLimit, what, off, "more reads than a file of %d bytes can need: structures refer to one another again and again", s.size)
	}
	return nil
}

func (s *source) readAt(p []byte, off int64, what string) error {
	n, err := s.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(ErrTruncated, what, off, "wanted %d bytes, got %d", len(p), n)
	}
	return fmt.Errorf("reading %s at offset %d: %w", what, off, err)
}

// locate turns an address into an offset after checking that n bytes are there.
func (s *source) locate(addr uint64, n int64, what string) (int64, error) {
	if n < 0 || addr > uint64(s.size) || int64(addr) > s.size-s.base-n {
		return 0, fail(ErrTruncated, what, s.offset(addr), "%d bytes reach beyond the file's %d bytes", n, s.size)
	}
	return s.base + int64(addr), nil
}

// offset is for messages: it tolerates nonsense.
func (s *source) offset(addr uint64) int64 {
	if addr > 1<<62 {
		return -1
	}
	return int64(addr) + s.base
}

// meta returns n bytes of metadata, which stay valid.
func (s *source) meta(addr uint64, n int64, what string) ([]byte, error) {
	got, err := s.data(addr, n, what)
	if s.mem != nil || err != nil {
		return got, err
	}
	return append([]byte(nil), got...), nil
}

// data returns n bytes, valid until the next call.
func (s *source) data(addr uint64, n int64, what string) ([]byte, error) {
	off, err := s.locate(addr, n, what)
	if err != nil {
		return nil, err
	}
	if err := s.charge(n+readCost, off, what); err != nil {
		return nil, err
	}
	if s.mem != nil {
		return s.mem[off : off+n : off+n], nil
	}
	for i := range s.windows {
		w := &s.windows[i]
		if off >= w.off && off+n <= w.off+int64(len(w.data)) {
			return w.data[off-w.off : off-w.off+n : off-w.off+n], nil
		}
	}
	return s.load(off, n, what)
}

// load reads a window that begins at off, or just the n bytes if they are more.
func (s *source) load(off, n int64, what string) ([]byte, error) {
	if n > windowBytes {
		big := make([]byte, n)
		return big, s.readAt(big, off, what)
	}
	want := min(windowBytes, s.size-off)
	if err := s.charge(want, off, what); err != nil {
		return nil, err
	}
	w := &s.windows[s.next]
	s.next = (s.next + 1) % windowCount
	if w.data == nil {
		w.data = make([]byte, windowBytes)
	}
	w.off, w.data = off, w.data[:want]
	if err := s.readAt(w.data, off, what); err != nil {
		w.data = w.data[:0]
		return nil, err
	}
	return w.data[:n:n], nil
}
