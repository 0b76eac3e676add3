package hdf5

import (
	"bytes"
	"encoding/binary"
)

// cursor reads little-endian fields off a structure. The first read beyond the
// end sets err; later reads return zero, so that callers check once.
type cursor struct {
	b    []byte
	pos  int
	off  int64 // offset of b in the file, for messages
	what string
	err  error
}

func newCursor(b []byte, off int64, what string) *cursor {
	return &cursor{b: b, off: off, what: what}
}

func (c *cursor) bytes(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || n > len(c.b)-c.pos {
		c.err = fail(ErrCorrupt, c.what, c.off+int64(c.pos), "field of %d bytes does not fit into the remaining %d", n, len(c.b)-c.pos)
		return nil
	}
	out := c.b[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return out
}

func (c *cursor) skip(n int) { c.bytes(n) }

func (c *cursor) u8() uint8 {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uintN reads an unsigned number of 1 to 8 bytes.
func (c *cursor) uintN(n int) uint64 {
	var v uint64
	for i, x := range c.bytes(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// name reads a string up to its NUL, and, when padded, the NULs up to the next
// multiple of eight bytes counted from its start.
func (c *cursor) name(padded bool) string {
	if c.err != nil {
		return ""
	}
	end := bytes.IndexByte(c.b[c.pos:], 0)
	if end < 0 {
		c.fail("name without end")
		return ""
	}
	s := string(c.b[c.pos : c.pos+end])
	n := end + 1
	if padded {
		n = pad8(n)
	}
	c.skip(n)
	return s
}

func (c *cursor) fail(format string, args ...any) {
	c.failAs(ErrCorrupt, format, args...)
}

func (c *cursor) failAs(kind error, format string, args ...any) {
	if c.err == nil {
		c.err = fail(kind, c.what, c.off+int64(c.pos), format, args...)
	}
}

func pad8(n int) int { return (n + 7) &^ 7 }

// upToNUL is the text before the first NUL.
func upToNUL(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
