package hdf5

import "encoding/binary"

const chunkTreeWhat = "chunk B-tree node"

// chunkKeySize: size and filter mask (4 bytes each), offset of the first row, and
// offset within the row, which is always 0.
const chunkKeySize = 4 + 4 + 8 + 8

// storedChunk is one entry of the chunk index.
type storedChunk struct {
	first uint64 // row
	addr  uint64
	size  uint32 // bytes in the file
	mask  uint32 // filters that were left out
}

// chunkIndex yields the chunks of a dataset in the order of their rows.
type chunkIndex struct {
	src   *source
	stack []treePosition
	last  uint64 // first row of the chunk before
	begun bool
}

type treePosition struct {
	node treeNode
	next int
}

func newChunkIndex(s *source, root uint64) (*chunkIndex, error) {
	x := &chunkIndex{src: s}
	if root == undefined { // nothing was ever written
		return x, nil
	}
	return x, x.push(root, -1)
}

// push descends. Levels fall by one, so the stack is never deeper than 256.
func (x *chunkIndex) push(addr uint64, parentLevel int) error {
	n, err := x.src.readTreeNode(addr, chunkTree, chunkKeySize)
	if err != nil {
		return err
	}
	if parentLevel >= 0 && n.level != parentLevel-1 {
		return fail(ErrCorrupt, chunkTreeWhat, x.src.offset(addr), "level %d below level %d", n.level, parentLevel)
	}
	x.stack = append(x.stack, treePosition{node: n})
	return nil
}

// next returns the next chunk; ok is false after the last. Chunks must ascend:
// a tree that comes back to a node therefore ends with an error.
func (x *chunkIndex) next() (chunk storedChunk, ok bool, err error) {
	for len(x.stack) > 0 {
		top := &x.stack[len(x.stack)-1]
		if top.next == top.node.used {
			x.stack = x.stack[:len(x.stack)-1]
			continue
		}
		i := top.next
		top.next++
		if top.node.level > 0 {
			if err := x.push(top.node.child(i), top.node.level); err != nil {
				return storedChunk{}, false, err
			}
			continue
		}
		chunk, err := x.entry(&top.node, i)
		return chunk, err == nil, err
	}
	return storedChunk{}, false, nil
}

func (x *chunkIndex) entry(n *treeNode, i int) (storedChunk, error) {
	key := n.key(i)
	c := storedChunk{
		size:  binary.LittleEndian.Uint32(key),
		mask:  binary.LittleEndian.Uint32(key[4:]),
		first: binary.LittleEndian.Uint64(key[8:]),
		addr:  n.child(i),
	}
	if x.begun && c.first <= x.last {
		return c, fail(ErrCorrupt, chunkTreeWhat, x.src.offset(n.addr), "chunk at row %d after the one at row %d", c.first, x.last)
	}
	x.begun, x.last = true, c.first
	return c, nil
}
