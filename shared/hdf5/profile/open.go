package profile

import (
	"io"

	"github.com/ergon-hpc/ergon/shared/hdf5"
)

// Options bound what Open reads. The zero value is right for untrusted files.
type Options struct {
	// MaxRows bounds the rows of all series together; more is hdf5.ErrLimit. 0 means
	// one row per byte of the file + 100 000, at most 20 000 000 (1.6 GB of task
	// samples in memory).
	MaxRows int64
	// File bounds the work of the HDF5 layer.
	File hdf5.Options
}

// Open reads a whole profile of size bytes into memory. An error means that
// nothing is known about the file; faults in single series are in
// Profile.Damage. It compares with errors.Is to hdf5.ErrTruncated, ErrCorrupt,
// ErrUnsupported, ErrLimit. A file without samples is no error, see State.
func Open(r io.ReaderAt, size int64, opt Options) (*Profile, error) {
	f, err := hdf5.Open(r, size, opt.File)
	if err != nil {
		return nil, err
	}
	return read(f, opt)
}

func (o Options) maxRows(size int64) int64 {
	if o.MaxRows > 0 {
		return o.MaxRows
	}
	return min(size+100_000, 20_000_000)
}
