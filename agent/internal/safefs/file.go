package safefs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrChanged says that the file is not what it was when it was opened or recorded.
var ErrChanged = errors.New("the file changed while it was read")

// Stat is what identifies one state of one file.
type Stat struct {
	Device    uint64
	Inode     uint64
	SizeBytes int64
	Modified  time.Time
	Changed   time.Time
	UID       uint32
	Links     uint64

	mode uint32
}

// Same tells whether both are the same content of the same file as far as the file system can tell.
// ctime is compared too: mtime can be set back by its owner.
func (s Stat) Same(o Stat) bool {
	return s.Device == o.Device && s.Inode == o.Inode && s.SizeBytes == o.SizeBytes &&
		s.Modified.Equal(o.Modified) && s.Changed.Equal(o.Changed)
}

// File is an open regular file that has passed the rules.
type File struct {
	file *os.File
	name string
	stat Stat
}

// Name is the name below the directory that it was opened from.
func (f *File) Name() string { return f.name }

// Stat is the state at open.
func (f *File) Stat() Stat { return f.stat }

// Close releases the file.
func (f *File) Close() error { return f.file.Close() }

// ReadAt reads from the descriptor (io.ReaderAt).
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, off) }

// Unchanged returns ErrChanged when the file is no longer in the state it was opened in.
func (f *File) Unchanged() error {
	now, err := statOf(int(f.file.Fd()))
	if err != nil {
		return fmt.Errorf("checking %q: %w", f.name, err)
	}
	if !now.Same(f.stat) {
		return fmt.Errorf("%q: %w", f.name, ErrChanged)
	}
	return nil
}

// SHA256 hashes the file as it was at open, lower-case hex. It returns ErrChanged when the file changed meanwhile.
func (f *File) SHA256(ctx context.Context) (string, error) {
	sum, err := f.HashRange(ctx, 0, f.stat.SizeBytes)
	if err != nil {
		return "", err
	}
	return sum, f.Unchanged()
}

// HashRange is the lower-case hex SHA-256 of sizeBytes bytes from offset; a shorter file is ErrChanged.
func (f *File) HashRange(ctx context.Context, offset, sizeBytes int64) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, &contextReader{ctx: ctx, r: io.NewSectionReader(f.file, offset, sizeBytes)})
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", f.name, err)
	}
	if n != sizeBytes {
		return "", fmt.Errorf("%q: %w", f.name, ErrChanged)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextReader ends a long read when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func statOf(fd int) (Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Stat{}, os.NewSyscallError("fstat", err)
	}
	return fromStat(&st), nil
}

func fromStat(st *unix.Stat_t) Stat {
	return Stat{
		Device: st.Dev, Inode: st.Ino, SizeBytes: st.Size, UID: st.Uid, mode: st.Mode, Links: st.Nlink,
		Modified: time.Unix(st.Mtim.Unix()), Changed: time.Unix(st.Ctim.Unix()),
	}
}
