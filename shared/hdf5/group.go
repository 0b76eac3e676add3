package hdf5

import "bytes"

// Entry is one name in a group.
type Entry struct {
	Name   string
	addr   uint64
	isSoft bool
}

const (
	groupTreeWhat = "group B-tree node"
	heapWhat      = "local heap"
	symbolWhat    = "symbol table node"
	symbolBytes   = 40
)

// groupReader walks the version 1 B-tree of one symbol table.
type groupReader struct {
	src     *source
	heap    []byte
	seen    map[uint64]bool
	entries []Entry
}

// readGroup lists a symbol-table group. Specification III.A.1, III.B, III.C, III.D.
func (s *source) readGroup(tree, heap uint64) ([]Entry, error) {
	names, err := s.readHeap(heap)
	if err != nil {
		return nil, err
	}
	g := groupReader{src: s, heap: names, seen: map[uint64]bool{}}
	if err := g.node(tree, -1); err != nil {
		return nil, err
	}
	return g.entries, nil
}

func (s *source) readHeap(addr uint64) ([]byte, error) {
	b, err := s.meta(addr, 32, heapWhat)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, []byte("HEAP\x00")) {
		return nil, fail(ErrCorrupt, heapWhat, s.offset(addr), "signature %q", b[:5])
	}
	c := newCursor(b, s.offset(addr), heapWhat)
	c.skip(8)
	size := c.u64()
	c.skip(8) // free list
	at := c.u64()
	if size > uint64(s.size) {
		return nil, fail(ErrTruncated, heapWhat, s.offset(addr), "%d bytes in a file of %d", size, s.size)
	}
	return s.meta(at, int64(size), heapWhat)
}

// node visits a tree node. Levels must fall by one from parent to child, so that
// depth is bounded, and no node may be met twice, so that work is.
func (g *groupReader) node(addr uint64, parentLevel int) error {
	if err := g.once(addr, groupTreeWhat); err != nil {
		return err
	}
	n, err := g.src.readTreeNode(addr, groupTree, 8)
	if err != nil {
		return err
	}
	if parentLevel >= 0 && n.level != parentLevel-1 {
		return fail(ErrCorrupt, groupTreeWhat, g.src.offset(addr), "level %d below level %d", n.level, parentLevel)
	}
	for i := range n.used {
		child := n.child(i)
		if n.level > 0 {
			err = g.node(child, n.level)
		} else {
			err = g.symbols(child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *groupReader) once(addr uint64, what string) error {
	if g.seen[addr] {
		return fail(ErrCorrupt, what, g.src.offset(addr), "met twice in one group")
	}
	g.seen[addr] = true
	return nil
}

func (g *groupReader) symbols(addr uint64) error {
	if err := g.once(addr, symbolWhat); err != nil {
		return err
	}
	head, err := g.src.meta(addr, 8, symbolWhat)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("SNOD\x01")) {
		return fail(ErrCorrupt, symbolWhat, g.src.offset(addr), "signature %q", head[:5])
	}
	count := int64(head[6]) | int64(head[7])<<8
	b, err := g.src.meta(addr+8, count*symbolBytes, symbolWhat)
	if err != nil {
		return err
	}
	for c := newCursor(b, g.src.offset(addr)+8, symbolWhat); c.pos < len(b); {
		if err := g.symbol(c); err != nil {
			return err
		}
	}
	return nil
}

func (g *groupReader) symbol(c *cursor) error {
	nameAt := c.u64()
	e := Entry{addr: c.u64()}
	e.isSoft = c.u32() == 2 // cache type 2: a soft link
	c.skip(4 + 16)
	if c.err != nil {
		return c.err
	}
	if nameAt >= uint64(len(g.heap)) {
		return fail(ErrCorrupt, symbolWhat, c.off+int64(c.pos)-symbolBytes, "name at %d of a heap of %d bytes", nameAt, len(g.heap))
	}
	end := bytes.IndexByte(g.heap[nameAt:], 0)
	if end <= 0 {
		return fail(ErrCorrupt, symbolWhat, c.off+int64(c.pos)-symbolBytes, "name empty or without end")
	}
	if err := g.src.charge(int64(end), c.off+int64(c.pos)-symbolBytes, symbolWhat); err != nil {
		return err
	}
	e.Name = string(g.heap[nameAt : nameAt+uint64(end)])
	g.entries = append(g.entries, e)
	return nil
}
