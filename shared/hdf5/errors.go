package hdf5

import (
	"errors"
	"fmt"
)

// The four ways in which a file can be refused. Every error of this package
// wraps exactly one of them: compare with errors.Is.
var (
	// ErrTruncated says that a structure reaches beyond the end of the file: the
	// file was cut, or is still being written.
	ErrTruncated = errors.New("hdf5: file ends too early")
	// ErrUnsupported says that the file may be valid HDF5 but uses a feature
	// that Slurm's profile plugin does not write.
	ErrUnsupported = errors.New("hdf5: unsupported feature")
	// ErrCorrupt says that the bytes contradict the format.
	ErrCorrupt = errors.New("hdf5: corrupt file")
	// ErrLimit says that the file asks for more work or memory than its size
	// justifies, or than Options allow.
	ErrLimit = errors.New("hdf5: limit exceeded")
	// ErrNotFound says that a path or a member does not exist in a sound file.
	ErrNotFound = errors.New("hdf5: not found")
)

// FormatError names the structure and the file offset at which reading failed.
type FormatError struct {
	Structure string // for example "symbol table node"
	Offset    int64  // bytes from the start of the file, -1 when not tied to a place
	Detail    string
	Kind      error // one of ErrTruncated, ErrUnsupported, ErrCorrupt, ErrLimit, ErrNotFound
}

// Error prints kind, structure, offset and detail on one line.
func (e *FormatError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%v: %s: %s", e.Kind, e.Structure, e.Detail)
	}
	return fmt.Sprintf("%v: %s at offset %d: %s", e.Kind, e.Structure, e.Offset, e.Detail)
}

// Unwrap returns the kind, so that errors.Is(err, ErrCorrupt) works.
func (e *FormatError) Unwrap() error { return e.Kind }

func fail(kind error, structure string, off int64, format string, args ...any) error {
	return &FormatError{Structure: structure, Offset: off, Detail: fmt.Sprintf(format, args...), Kind: kind}
}
