package hdf5

import "bytes"

const signature = "\x89HDF\r\n\x1a\n"

// superblock is what the rest of the reader needs of it. Specification II.A.
type superblock struct {
	version   uint8
	endOfFile uint64
	root      uint64 // address of the object header of "/"
}

// readSuperblock finds the signature at 0, 512, 1024 … (before it may stand a
// user block) and sets the base of the source.
func readSuperblock(s *source) (superblock, error) {
	off := int64(0)
	for ; off+int64(len(signature)) <= s.size; off = max(512, 2*off) {
		b, err := s.data(uint64(off), int64(len(signature)), "signature")
		if err != nil {
			return superblock{}, err
		}
		if bytes.Equal(b, []byte(signature)) {
			s.base = off
			return parseSuperblock(s)
		}
	}
	if s.size < int64(len(signature)) {
		return superblock{}, fail(ErrTruncated, "signature", 0, "the file has only %d bytes", s.size)
	}
	return superblock{}, fail(ErrCorrupt, "signature", 0, "this is not an HDF5 file")
}

func parseSuperblock(s *source) (superblock, error) {
	head, err := s.meta(0, 16, "superblock")
	if err != nil {
		return superblock{}, err
	}
	switch version := head[8]; version {
	case 0, 1:
		return parseSuperblockV0(s, version, head[13], head[14])
	case 2, 3:
		return parseSuperblockV2(s, version, head[9], head[10])
	default:
		return superblock{}, fail(ErrUnsupported, "superblock", s.base+8, "version %d", version)
	}
}

func parseSuperblockV0(s *source, version, offsetSize, lengthSize uint8) (superblock, error) {
	if err := checkSizes(s, offsetSize, lengthSize); err != nil {
		return superblock{}, err
	}
	fixed := int64(24)
	if version == 1 {
		fixed += 4 // indexed storage K and two reserved bytes
	}
	b, err := s.meta(uint64(fixed), 32+40, "superblock")
	if err != nil {
		return superblock{}, err
	}
	c := newCursor(b, s.base+fixed, "superblock")
	c.skip(16) // base address, free space
	sb := superblock{version: version, endOfFile: c.u64()}
	c.skip(8 + 8) // driver information, link name of "/"
	sb.root = c.u64()
	return sb, c.err
}

func parseSuperblockV2(s *source, version, offsetSize, lengthSize uint8) (superblock, error) {
	if err := checkSizes(s, offsetSize, lengthSize); err != nil {
		return superblock{}, err
	}
	b, err := s.meta(12, 32, "superblock")
	if err != nil {
		return superblock{}, err
	}
	c := newCursor(b, s.base+12, "superblock")
	c.skip(16) // base address, extension
	sb := superblock{version: version, endOfFile: c.u64()}
	sb.root = c.u64()
	return sb, c.err
}

func checkSizes(s *source, offsetSize, lengthSize uint8) error {
	if offsetSize != 8 || lengthSize != 8 {
		return fail(ErrUnsupported, "superblock", s.base, "offsets of %d and lengths of %d bytes, only 8 are read", offsetSize, lengthSize)
	}
	return nil
}
