package local

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// hdf5Magic begins an HDF5 file (HDF5 File Format Specification §II.A).
var hdf5Magic = []byte("\x89HDF\r\n\x1a\n")

var gzipMagic = []byte{0x1f, 0x8b}

// maxInput bounds one input, unpacked, in bytes: rows and profiles are kept in memory.
const maxInput = 2 << 30

// Accepted says in words what Explain reads; errors end with it.
const Accepted = `accepted are: the output of "sacct --parsable2 --noconvert --format=…" with its header line (gzip or not), ` +
	`JSON lines {"id": …, "rows": [{column: value}, …]}, and Slurm's HDF5 profiles (.h5)`

// ErrInput says that an input is none of the accepted kinds.
var ErrInput = errors.New("not understood")

type kind int

const (
	kindDump kind = iota
	kindJSON
	kindProfile
)

// input is one opened source.
type input struct {
	name string
	kind kind
	text io.Reader // dump or JSON lines, unpacked
	// file and size are those of a profile.
	file *os.File
	size int64
	done func() error
}

// open opens a file, or stdin for "-", and tells its kind by its first bytes.
func open(name string, stdin io.Reader) (*input, error) {
	if name == "-" {
		return sniff("standard input", stdin, nil)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, openError(name, err)
	}
	in, err := regular(name, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return in, nil
}

// openError is short: the name and what to do, not the path twice.
func openError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be read by you; ask its owner, or run: ls -l %s", name, name)
	default:
		return fmt.Errorf("opening %s: %w", name, err)
	}
}

func regular(name string, f *os.File) (*input, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	if st.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name the files in it, for instance %s", name, filepath.Join(name, "*.h5"))
	}
	return sniff(name, f, f)
}

// sniff tells the kind of in. file is the seekable file behind it, nil for a pipe.
func sniff(name string, in io.Reader, file *os.File) (*input, error) {
	b := bufio.NewReaderSize(&capped{r: in, left: maxInput}, 64<<10)
	out := &input{name: name, done: func() error { return nil }}
	if file != nil {
		out.done = file.Close
	}
	head, err := b.Peek(len(hdf5Magic))
	switch {
	case len(head) == 0 && (err == nil || errors.Is(err, io.EOF)):
		return nil, fmt.Errorf("%s is empty: nothing to explain", name)
	case len(head) == 0:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case bytes.Equal(head, hdf5Magic):
		return out, out.profile(b, file)
	case bytes.HasPrefix(head, gzipMagic):
		return out, out.unpack(b)
	}
	return out, out.asText(b)
}

// unpack looks into gzip: text, or a packed profile.
func (in *input) unpack(b *bufio.Reader) error {
	z, err := gzip.NewReader(b)
	if err != nil {
		return fmt.Errorf("%s: a damaged gzip file: %w", in.name, err)
	}
	b = bufio.NewReaderSize(&capped{r: z, left: maxInput}, 64<<10)
	if head, _ := b.Peek(len(hdf5Magic)); bytes.Equal(head, hdf5Magic) {
		return in.profile(b, nil)
	}
	return in.asText(b)
}

// profile keeps a file as it is and spools a pipe, because HDF5 is read at random.
func (in *input) profile(b *bufio.Reader, file *os.File) error {
	in.kind = kindProfile
	if file != nil {
		st, err := file.Stat()
		if err == nil && st.Mode().IsRegular() {
			in.file, in.size = file, st.Size()
			return nil
		}
	}
	spool, err := os.CreateTemp("", "ergon-profile-")
	if err != nil {
		return fmt.Errorf("%s: making room for a profile from a pipe: %w", in.name, err)
	}
	before := in.done
	in.done = func() error { return errors.Join(spool.Close(), before()) }
	if err := os.Remove(spool.Name()); err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	in.file = spool
	if in.size, err = io.Copy(spool, b); err != nil {
		return fmt.Errorf("reading %s: %w", in.name, err)
	}
	return nil
}

func (in *input) asText(b *bufio.Reader) error {
	head, err := b.Peek(4096)
	if len(head) == 0 {
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %s: %w", in.name, err)
		}
		return fmt.Errorf("%s is empty: nothing to explain", in.name)
	}
	if bytes.IndexByte(head, 0) >= 0 {
		what := "binary data"
		if strings.HasSuffix(in.name, ".h5") {
			what = "no HDF5 file: its first bytes are not the signature; it may be damaged"
		}
		return fmt.Errorf("%s is %w: %s; %s", in.name, ErrInput, what, Accepted)
	}
	in.text = b
	if head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"); len(head) > 0 && head[0] == '{' {
		in.kind = kindJSON
	}
	return nil
}

// capped fails, instead of ending early, beyond its limit.
type capped struct {
	r    io.Reader
	left int64
}

// Read reads at most what is left.
func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("more than %d GiB; split the dump by time (sacct --starttime, --endtime)", maxInput>>30)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
