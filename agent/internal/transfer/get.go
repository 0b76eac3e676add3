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

	"github.com/ergon-hpc/ergon/shared/api"
)

// ErrExists says that a file of that name is there already.
var ErrExists = errors.New("exists already with other content; use --force to replace it")

// ErrContent says that the bytes that came are not those that were stored.
var ErrContent = errors.New("the bytes that came are not those that were stored (wrong length or SHA-256); nothing was written")

// Target is where a download goes: a path relative to a directory that it cannot leave, whatever links are in it.
type Target struct {
	Root *os.Root
	Path string
	// Replace an existing file.
	Replace bool
}

// receiving is one file on its way down.
type receiving struct {
	*Mover
	want api.FileObject // as the list told; every answer is held to it
	sum  hash.Hash
	got  int64
	bar  Bar
}

// Get writes the object to the target: into a file beside it, verified, then renamed. A connection that breaks is taken up
// where it broke, a process that was killed by the next Get of the same object to the same place. A target that has the
// content already is left as it is.
func (m *Mover) Get(ctx context.Context, object api.FileObject, to Target) (err error) {
	if !to.Replace {
		if same, err := to.holds(ctx, object); err != nil || same {
			return err
		}
		if err := to.free(); err != nil {
			return err
		}
	}
	if dir := path.Dir(to.Path); dir != "." {
		if err := to.Root.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("making the directory for %s: %w", to.Path, err)
		}
	}
	r := &receiving{Mover: m, want: object, bar: m.Progress.Begin(object.Name, object.Size)}
	defer func() { r.bar.End(err) }()
	f, err := openPartial(to, object.Id)
	if err != nil {
		return err
	}
	err = errors.Join(r.fill(ctx, f), f.Close())
	switch {
	case err == nil:
		return to.publish(f.path)
	case r.cutOff(ctx, f, err):
		return err
	}
	return errors.Join(err, f.drop())
}

func (t Target) free() error {
	_, err := t.Root.Lstat(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at %s: %w", t.Path, err)
	}
	return fmt.Errorf("%s %w", t.Path, ErrExists)
}

// publish gives the file its name; without Replace a file that appeared meanwhile is not touched.
func (t Target) publish(temp string) error {
	if t.Replace {
		if err := t.Root.Rename(temp, t.Path); err != nil {
			return errors.Join(fmt.Errorf("naming %s: %w", t.Path, err), t.Root.Remove(temp))
		}
		return nil
	}
	err := t.Root.Link(temp, t.Path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if err = t.free(); err == nil { // a file system without hard links
			return t.Root.Rename(temp, t.Path)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s %w", t.Path, ErrExists)
	}
	return errors.Join(err, t.Root.Remove(temp))
}

// fill fetches and verifies. Content that is wrong because of what an earlier download left is fetched once more.
func (r *receiving) fill(ctx context.Context, f *partial) error {
	release, err := r.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	r.sum = sha256.New()
	if r.got, err = f.recall(ctx, r.want.Size, r.sum); err != nil {
		return err
	}
	r.bar.Add(r.got)
	kept := r.got > 0
	err = r.fetch(ctx, f)
	if !kept || !errors.Is(err, ErrContent) {
		return err
	}
	if err := f.restart(); err != nil {
		return err
	}
	r.bar.Add(-r.got)
	r.sum, r.got = sha256.New(), 0
	return r.fetch(ctx, f)
}

// fetch goes on from what is there to the end, as often as the connection breaks.
func (r *receiving) fetch(ctx context.Context, f *partial) error {
	for n := 0; ; n++ {
		before := r.got
		err := r.piece(ctx, f.File)
		if err == nil {
			break
		}
		if r.got > before {
			n = 0 // it gets on
		}
		if !r.again(ctx, n, err) {
			return err
		}
	}
	if hex.EncodeToString(r.sum.Sum(nil)) != r.want.Sha256 {
		return ErrContent
	}
	return f.Sync()
}

// piece fetches from where the last one broke to the end.
func (r *receiving) piece(ctx context.Context, f *os.File) error {
	from, object, err := r.Server.Download(ctx, r.want.Id)
	if err != nil {
		return fmt.Errorf("asking for a download: %w", err)
	}
	if object.Sha256 != r.want.Sha256 || object.Size != r.want.Size {
		return errors.New("the server tells other facts of the file than before; try again")
	}
	if r.got == r.want.Size && r.got > 0 {
		return nil
	}
	body, err := get(ctx, r.Store, from, r.got)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return r.copy(ctx, f, body)
}

func (r *receiving) copy(ctx context.Context, f *os.File, body io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if r.got+int64(n) > r.want.Size {
			return ErrContent
		}
		if _, werr := f.Write(buf[:n]); werr != nil {
			return fmt.Errorf("writing: %w", werr) // a full disk stays full
		}
		_, _ = r.sum.Write(buf[:n]) // a hash never fails
		r.got += int64(n)
		r.bar.Add(int64(n))
		switch {
		case errors.Is(err, io.EOF) && r.got < r.want.Size:
			return &StoreError{Code: fmt.Sprintf("the answer ended after %d of %d bytes", r.got, r.want.Size)}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return noAnswer(ctx, err)
		}
	}
}
