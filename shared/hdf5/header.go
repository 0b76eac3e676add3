package hdf5

import "bytes"

type messageType uint16

// Header message types of specification IV.A.2 that matter here.
const (
	msgDataspace    messageType = 0x0001
	msgLinkInfo     messageType = 0x0002
	msgDatatype     messageType = 0x0003
	msgFillOld      messageType = 0x0004
	msgFill         messageType = 0x0005
	msgLink         messageType = 0x0006
	msgExternal     messageType = 0x0007
	msgLayout       messageType = 0x0008
	msgFilter       messageType = 0x000b
	msgAttribute    messageType = 0x000c
	msgContinuation messageType = 0x0010
	msgSymbolTable  messageType = 0x0011
	msgAttrInfo     messageType = 0x0015
)

// message is one message of an object header.
type message struct {
	kind  messageType
	flags uint8
	data  []byte
	off   int64 // of data in the file
}

func (m message) cursor(what string) *cursor { return newCursor(m.data, m.off, what) }

// shared says that the message is only a pointer to one stored elsewhere.
func (m message) shared() bool { return m.flags&2 != 0 }

const (
	headerWhat = "object header"
	// maxBlocks bounds the continuation blocks of one object. Slurm's have one.
	maxBlocks = 256
)

type block struct {
	addr uint64
	size int64
}

// readHeader returns all messages of a version 1 object header, following
// continuation blocks. Specification IV.A.1.a.
func (s *source) readHeader(addr uint64) ([]message, error) {
	prefix, err := s.meta(addr, 16, headerWhat)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(prefix, []byte("OHDR")) {
		return nil, fail(ErrUnsupported, headerWhat, s.offset(addr), "version 2: the file was written for the latest library, not by Slurm")
	}
	c := newCursor(prefix, s.offset(addr), headerWhat)
	if v := c.u8(); v != 1 {
		return nil, fail(ErrCorrupt, headerWhat, s.offset(addr), "version %d, want 1", v)
	}
	c.skip(1)
	h := headerReader{src: s, left: int(c.u16()), seen: map[uint64]bool{}}
	c.skip(4) // reference count
	h.queue = []block{{addr + 16, int64(c.u32())}}
	return h.read()
}

type headerReader struct {
	src      *source
	left     int // messages still to come
	queue    []block
	seen     map[uint64]bool
	messages []message
}

func (h *headerReader) read() ([]message, error) {
	for len(h.queue) > 0 && h.left > 0 {
		b := h.queue[0]
		h.queue = h.queue[1:]
		if h.seen[b.addr] {
			return nil, fail(ErrCorrupt, "object header continuation", h.src.offset(b.addr), "the block refers to itself")
		}
		h.seen[b.addr] = true
		if len(h.seen) > maxBlocks {
			return nil, fail(ErrLimit, "object header continuation", h.src.offset(b.addr), "more than %d blocks", maxBlocks)
		}
		if err := h.readBlock(b); err != nil {
			return nil, err
		}
	}
	return h.messages, nil
}

func (h *headerReader) readBlock(b block) error {
	data, err := h.src.meta(b.addr, b.size, headerWhat)
	if err != nil {
		return err
	}
	c := newCursor(data, h.src.offset(b.addr), headerWhat)
	for h.left > 0 && len(data)-c.pos >= 8 {
		m := message{kind: messageType(c.u16())}
		size := int(c.u16())
		m.flags = c.u8()
		c.skip(3)
		m.off = c.off + int64(c.pos)
		m.data = c.bytes(size)
		if c.err != nil {
			return c.err
		}
		h.left--
		if err := h.take(m); err != nil {
			return err
		}
	}
	return nil
}

func (h *headerReader) take(m message) error {
	if m.kind != msgContinuation {
		h.messages = append(h.messages, m)
		return nil
	}
	c := m.cursor("object header continuation")
	b := block{addr: c.u64()}
	size := c.u64()
	if c.err == nil && size > uint64(h.src.size) {
		return fail(ErrTruncated, c.what, m.off, "block of %d bytes in a file of %d", size, h.src.size)
	}
	b.size = int64(size)
	h.queue = append(h.queue, b)
	return c.err
}
