package hdf5

import "io"

// Options bound the work that a file may cause. The zero value is right for
// untrusted files.
type Options struct {
	// MaxDecodedBytes bounds the bytes of samples after decompression, over the
	// life of the File. 0 means 256 × the file's size + 16 MiB up to 1 GiB, and
	// 32 × the file's size beyond: Slurm's small chunks cannot shrink more.
	MaxDecodedBytes int64
}

func (o Options) maxDecodedBytes(size int64) int64 {
	if o.MaxDecodedBytes > 0 {
		return o.MaxDecodedBytes
	}
	return max(32*size, min(256*size+16<<20, 1<<30))
}

// File is an open HDF5 file. It is not safe for concurrent use.
type File struct {
	src         *source
	super       superblock
	decodedMax  int64
	decodedLeft int64
	groups      map[uint64][]Entry // listings that were read already, by address
	globalHeaps map[uint64]globalHeap
}

// Open reads the superblock of a file of size bytes. The reader must stay
// usable while the File is in use; there is nothing to close. Files up to 64 MiB
// are read into memory at once.
func Open(r io.ReaderAt, size int64, opt Options) (*File, error) {
	return open(r, size, opt, wholeFileBytes)
}

func open(r io.ReaderAt, size int64, opt Options, wholeBytes int64) (*File, error) {
	if size < 0 || size > 1<<50 {
		return nil, fail(ErrLimit, "file", -1, "size %d", size)
	}
	src, err := newSource(r, size, wholeBytes)
	if err != nil {
		return nil, err
	}
	limit := opt.maxDecodedBytes(size)
	f := &File{
		src: src, decodedMax: limit, decodedLeft: limit,
		groups: map[uint64][]Entry{}, globalHeaps: map[uint64]globalHeap{},
	}
	if f.super, err = readSuperblock(src); err != nil {
		return nil, err
	}
	return f, nil
}

// Size is the size of the file in bytes as given to Open.
func (f *File) Size() int64 { return f.src.size }

// DeclaredSize is the size that the superblock gives. A file that is smaller was
// cut or is being written.
func (f *File) DeclaredSize() uint64 { return f.super.endOfFile }

// Root opens the group "/".
func (f *File) Root() (*Object, error) { return f.object("/", f.super.root) }

// spend takes n decoded bytes off the budget of the file.
func (f *File) spend(n int64, what string, off int64) error {
	if f.decodedLeft -= n; f.decodedLeft < 0 {
		return fail(ErrLimit, what, off, "more than %d decoded bytes from a file of %d bytes", f.decodedMax, f.src.size)
	}
	return nil
}
