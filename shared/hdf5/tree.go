package hdf5

import (
	"bytes"
	"encoding/binary"
)

// Types of version 1 B-trees, specification III.A.1.
const (
	groupTree uint8 = 0
	chunkTree uint8 = 1
)

// treeNode is one node of a version 1 B-tree: key, child, key, child, …, key.
type treeNode struct {
	addr    uint64
	level   int
	used    int
	body    []byte // used × (key, child)
	keySize int
}

func (n *treeNode) key(i int) []byte {
	at := i * (n.keySize + 8)
	return n.body[at : at+n.keySize]
}

func (n *treeNode) child(i int) uint64 {
	at := i*(n.keySize+8) + n.keySize
	return binary.LittleEndian.Uint64(n.body[at:])
}

func (s *source) readTreeNode(addr uint64, kind uint8, keySize int) (treeNode, error) {
	const headBytes = 24 // with the addresses of both siblings, which are not needed
	what := groupTreeWhat
	if kind == chunkTree {
		what = chunkTreeWhat
	}
	head, err := s.meta(addr, headBytes, what)
	if err != nil {
		return treeNode{}, err
	}
	if !bytes.HasPrefix(head, []byte("TREE")) {
		return treeNode{}, fail(ErrCorrupt, what, s.offset(addr), "signature %q", head[:4])
	}
	if head[4] != kind {
		return treeNode{}, fail(ErrCorrupt, what, s.offset(addr), "type %d, want %d", head[4], kind)
	}
	n := treeNode{addr: addr, level: int(head[5]), used: int(binary.LittleEndian.Uint16(head[6:])), keySize: keySize}
	n.body, err = s.meta(addr+headBytes, int64(n.used)*int64(keySize+8), what)
	return n, err
}
