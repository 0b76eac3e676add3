package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// marker stands between the two ends of a stream that was cut.
const marker = "\n[... %d bytes left out by Ergon ...]\n"

// endsSize is the size of what is uploaded of a stream: it follows from the size of the file alone.
func endsSize(fullSize, endBytes int64) int64 {
	if fullSize <= 2*endBytes {
		return fullSize
	}
	return 2*endBytes + int64(len(fmt.Sprintf(marker, fullSize-2*endBytes)))
}

// Content is an open file of the manifest, or the two ends of one.
type Content struct {
	file *safefs.File
	ends []byte // nil when the file is uploaded whole
	// Entry is the manifest's entry with the identity that the file has now.
	Entry outputs.Entry
}

// Open opens the file of an entry again and says what it is now; compare Entry with what was recorded.
func Open(job outputs.JobFiles, e outputs.Entry) (*Content, error) {
	base, err := baseDir(job, e.Base)
	if err != nil {
		return nil, err
	}
	dir, err := safefs.OpenDir(base, safefs.Rules{UID: job.UID})
	if err != nil {
		return nil, err
	}
	file, err := dir.Open(e.Path)
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	c := &Content{file: file, Entry: e}
	Identify(&c.Entry, file.Stat())
	if e.Class == outputs.ClassStdout || e.Class == outputs.ClassStderr {
		err = c.cut(job.Caps.OrDefault().EndBytes)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return c, nil
}

func baseDir(job outputs.JobFiles, base outputs.Base) (string, error) {
	switch base {
	case outputs.BaseOutput:
		return filepath.Join(job.Dirs.Output, job.ArrayTask), nil
	case outputs.BaseWork:
		return job.Dirs.Work, nil
	case outputs.BaseStdout:
		return filepath.Dir(job.Dirs.Stdout), nil
	case outputs.BaseStderr:
		return filepath.Dir(job.Dirs.Stderr), nil
	case outputs.BaseProfile:
		return job.Dirs.Profile, nil
	default:
		return "", fmt.Errorf("unknown base directory %q", base)
	}
}

// cut keeps the two ends of a stream that is longer than both of them.
func (c *Content) cut(endBytes int64) error {
	full := c.Entry.FullSize
	if full <= 2*endBytes {
		return nil
	}
	var b bytes.Buffer
	left := full - 2*endBytes
	for _, r := range []io.Reader{
		io.NewSectionReader(c.file, 0, endBytes),
		bytes.NewReader(fmt.Appendf(nil, marker, left)),
		io.NewSectionReader(c.file, full-endBytes, endBytes),
	} {
		if _, err := b.ReadFrom(r); err != nil {
			return fmt.Errorf("reading the ends of %q: %w", c.Entry.Path, err)
		}
	}
	c.ends, c.Entry.Size = b.Bytes(), int64(b.Len())
	return nil
}

// Reader reads sizeBytes bytes from offset of what is uploaded.
func (c *Content) Reader(offset, sizeBytes int64) io.Reader {
	if c.ends != nil {
		return io.NewSectionReader(bytes.NewReader(c.ends), offset, sizeBytes)
	}
	return io.NewSectionReader(c.file, offset, sizeBytes)
}

// SHA256 hashes what is uploaded, lower-case hex. It returns safefs.ErrChanged when the file changed meanwhile.
func (c *Content) SHA256(ctx context.Context) (string, error) {
	if c.ends == nil {
		return c.file.SHA256(ctx)
	}
	sum := sha256.Sum256(c.ends)
	return hex.EncodeToString(sum[:]), c.file.Unchanged()
}

// HashRange hashes one part.
func (c *Content) HashRange(ctx context.Context, offset, sizeBytes int64) (string, error) {
	if c.ends != nil {
		return "", fmt.Errorf("%q is uploaded in one piece", c.Entry.Path)
	}
	return c.file.HashRange(ctx, offset, sizeBytes)
}

// Unchanged returns safefs.ErrChanged when the file is no longer what it was at Open.
func (c *Content) Unchanged() error { return c.file.Unchanged() }

// Close releases the file.
func (c *Content) Close() error { return c.file.Close() }

// Same tells whether two entries are the same state of the same file.
func Same(a, b outputs.Entry) bool {
	return a.Dev == b.Dev && a.Inode == b.Inode && a.FullSize == b.FullSize && a.Size == b.Size && a.ModTime.Equal(b.ModTime)
}
