// Package safefs opens, walks and reads the files of a user who may be hostile.
//
// Every name is resolved once, below a directory that is held open, by openat2(2) with RESOLVE_BENEATH,
// RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS and RESOLVE_NO_XDEV; what was opened is checked by fstat on the descriptor
// and used through it: no path is resolved twice. os.Root alone opens devices and hard links and blocks on a FIFO
// (design 03, "Opening users' files"). Run it as the user: that is what keeps foreign files out in the first place.
package safefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Why a file is refused. Test with errors.Is.
var (
	ErrNotRegular  = errors.New("not a regular file")
	ErrNotOwned    = errors.New("not owned by the user")
	ErrHardLinked  = errors.New("has more than one hard link")
	ErrEscapes     = errors.New("leaves its directory, or goes through a symbolic link or a mount point")
	ErrUnsupported = errors.New("the kernel has no openat2 (Linux 5.6 or newer is needed)")
	ErrNotADir     = errors.New("not a directory")
)

// Rules says which files may be opened.
type Rules struct {
	// UID is the owner that every file must have.
	UID uint32
	// AllowHardLinks accepts files with several names. Another user's file can be linked into a directory on kernels
	// without fs.protected_hardlinks, which is why the default refuses.
	AllowHardLinks bool
}

// Dir is a directory held open; names below it are resolved from here and from nowhere else.
type Dir struct {
	file  *os.File
	rules Rules
}

const (
	resolveFlags = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV
	// O_NONBLOCK: a FIFO must not block the open; O_NOCTTY: a terminal must not become ours.
	openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY
)

// OpenDir holds the directory at an absolute path. The path itself may go through symbolic links (sites mount scratch
// that way); nothing below it may. It returns ErrNotADir, or the error of open(2).
func OpenDir(path string, rules Rules) (*Dir, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("opening directory %q: the path must be absolute", path)
	}
	fd, err := unix.Open(path, openFlags&^unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("opening directory %q: %w", path, ErrNotADir)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{file: os.NewFile(uintptr(fd), path), rules: rules}, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.file.Close() }

// Open opens the regular file at a relative slash-separated name and checks it on the descriptor.
// It never blocks on a FIFO. Errors: those above, or of openat2(2).
func (d *Dir) Open(name string) (*File, error) {
	fd, err := d.openat2(name, openFlags)
	if err != nil {
		return nil, err
	}
	file := &File{file: os.NewFile(uintptr(fd), name), name: name}
	if file.stat, err = statOf(fd); err == nil {
		err = d.rules.check(file.stat)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %q: %w", name, err), file.file.Close())
	}
	return file, nil
}

// Sub holds a directory below d; name may have several segments. It returns ErrNotADir for anything else.
func (d *Dir) Sub(name string) (*Dir, error) {
	fd, err := d.openat2(name, openFlags|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("opening %q: %w", name, ErrNotADir)
	}
	if err != nil {
		return nil, err
	}
	return &Dir{file: os.NewFile(uintptr(fd), name), rules: d.rules}, nil
}

func (d *Dir) openat2(name string, flags uint64) (int, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return -1, fmt.Errorf("opening %q: %w", name, fs.ErrInvalid)
	}
	how := &unix.OpenHow{Flags: flags, Resolve: resolveFlags}
	fd, err := retryEINTR(func() (int, error) { return unix.Openat2(int(d.file.Fd()), name, how) })
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return -1, fmt.Errorf("opening %q: %w", name, ErrEscapes)
	case errors.Is(err, unix.ENXIO): // a socket, or a device without a driver
		return -1, fmt.Errorf("opening %q: %w", name, ErrNotRegular)
	case errors.Is(err, unix.ENOSYS):
		return -1, ErrUnsupported
	default:
		return -1, &fs.PathError{Op: "openat2", Path: name, Err: err}
	}
}

// retryEINTR repeats a call that a signal interrupted, and EAGAIN, which openat2(2) gives when a rename races with it.
func retryEINTR(call func() (int, error)) (int, error) {
	for range 64 {
		fd, err := call()
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

func (r Rules) check(s Stat) error {
	switch {
	case s.mode&unix.S_IFMT != unix.S_IFREG:
		return ErrNotRegular
	case s.UID != r.UID:
		return ErrNotOwned
	case s.Links > 1 && !r.AllowHardLinks:
		return ErrHardLinked
	}
	return nil
}
