package hdf5

import "bytes"

const globalHeapWhat = "global heap"

// globalHeap is one collection: objects by index.
type globalHeap map[uint32][]byte

// globalObject returns an object of at most maxAttributeBytes bytes.
// Specification III.E.
func (f *File) globalObject(addr uint64, index uint32) ([]byte, error) {
	heap, ok := f.globalHeaps[addr]
	if !ok {
		var err error
		if heap, err = f.src.readGlobalHeap(addr); err != nil {
			return nil, err
		}
		f.globalHeaps[addr] = heap
	}
	b, ok := heap[index]
	if !ok {
		return nil, fail(ErrCorrupt, globalHeapWhat, f.src.offset(addr), "no object %d", index)
	}
	if len(b) > maxAttributeBytes {
		return nil, fail(ErrLimit, globalHeapWhat, f.src.offset(addr), "object of %d bytes", len(b))
	}
	return b, f.src.charge(int64(len(b)), f.src.offset(addr), globalHeapWhat)
}

func (s *source) readGlobalHeap(addr uint64) (globalHeap, error) {
	head, err := s.meta(addr, 16, globalHeapWhat)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, []byte("GCOL\x01")) {
		return nil, fail(ErrCorrupt, globalHeapWhat, s.offset(addr), "signature %q", head[:5])
	}
	c := newCursor(head, s.offset(addr), globalHeapWhat)
	c.skip(8)
	size := c.u64()
	if size < 16 || size > uint64(s.size) {
		return nil, fail(ErrTruncated, globalHeapWhat, s.offset(addr), "%d bytes in a file of %d", size, s.size)
	}
	body, err := s.meta(addr+16, int64(size)-16, globalHeapWhat)
	if err != nil {
		return nil, err
	}
	return readGlobalObjects(newCursor(body, s.offset(addr)+16, globalHeapWhat))
}

func readGlobalObjects(c *cursor) (globalHeap, error) {
	heap := globalHeap{}
	for len(c.b)-c.pos >= 16 {
		index := c.u16()
		c.skip(2 + 4) // reference count, reserved
		size := c.u64()
		if index == 0 { // the free space at the end
			return heap, nil
		}
		if size > uint64(len(c.b)) {
			c.fail("object %d of %d bytes", index, size)
		}
		b := c.bytes(int(size))
		c.skip(min(pad8(int(size))-int(size), len(c.b)-c.pos))
		if c.err != nil {
			return nil, c.err
		}
		heap[uint32(index)] = b
	}
	return heap, nil
}
