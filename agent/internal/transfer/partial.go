package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/shared/api"
)

// keepFrom is from how many bytes on a download that was cut off stays on the disk.
const keepFrom = 1 << 20

// partial is the file that a download is written into, beside its target: .ergon-ID.part. What a killed download left is
// taken up by the next, because an id's content never changes; it is hashed again from its beginning all the same.
type partial struct {
	*os.File
	root *os.Root
	path string
	kept bool // a later download of the id finds it
}

// openPartial takes up the file of that id or begins one. A file that another download holds, or that is not plainly our
// own, is left alone, and this one gets a name that no later download will find.
func openPartial(to Target, id uuid.UUID) (*partial, error) {
	name := path.Join(path.Dir(to.Path), ".ergon-"+id.String()+".part")
	f, err := to.Root.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o666)
	if err == nil {
		if ours(to.Root, name, f) && unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && ours(to.Root, name, f) {
			return &partial{File: f, root: to.Root, path: name, kept: true}, nil
		}
		_ = f.Close()
	}
	name = path.Join(path.Dir(to.Path), ".ergon-"+uuid.NewString()+".part")
	if f, err = to.Root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		return nil, fmt.Errorf("writing beside %s: %w", to.Path, err)
	}
	return &partial{File: f, root: to.Root, path: name}, nil
}

// ours says that an open file is a regular one of the caller's with one name, and still has this one.
func ours(root *os.Root, name string, f *os.File) bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() || st.Nlink != 1 {
		return false
	}
	here, err := root.Lstat(name)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(here, open)
}

// recall hashes what is there. A file that is longer than the object begins anew.
func (p *partial) recall(ctx context.Context, size int64, sum hash.Hash) (int64, error) {
	st, err := p.Stat()
	if err == nil && st.Size() > size {
		err = p.Truncate(0)
	}
	if err != nil {
		return 0, fmt.Errorf("taking up a download: %w", err)
	}
	n, err := io.Copy(sum, &stoppable{ctx, p})
	if err != nil {
		return 0, fmt.Errorf("taking up a download: %w", err)
	}
	return n, nil
}

// restart forgets what is there.
func (p *partial) restart() error {
	err := p.Truncate(0)
	if err == nil {
		_, err = p.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("beginning a download anew: %w", err)
	}
	return nil
}

// drop removes the file.
func (p *partial) drop() error { return p.root.Remove(p.path) }

// cutOff says whether what was received of a failed download may be taken up later.
func (r *receiving) cutOff(ctx context.Context, f *partial, err error) bool {
	_, temporary := retryable(err)
	return f.kept && r.got >= keepFrom && (temporary || ctx.Err() != nil)
}

// holds says that the target is there already with the object's very content.
func (t Target) holds(ctx context.Context, object api.FileObject) (bool, error) {
	st, err := t.Root.Lstat(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !st.Mode().IsRegular() || st.Size() != object.Size {
		return false, err
	}
	f, err := t.Root.Open(t.Path)
	if err != nil {
		return false, nil // what cannot be read is not the same: free then refuses
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, &stoppable{ctx, f}); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == object.Sha256, nil
}
