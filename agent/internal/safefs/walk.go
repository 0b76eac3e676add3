package safefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Limits bound a walk over a tree that somebody else made.
type Limits struct {
	MaxEntries int // names looked at, directories included
	MaxDepth   int // directories below the root
}

// ErrTooMany says that a walk ended at one of its limits; what was visited until then stands.
var ErrTooMany = errors.New("the directory holds more names than the limit")

// Visit is told of every name that is no directory. err is nil for a file that Open would accept, with its stat, and
// says otherwise why it is refused. A Visit that returns an error ends the walk with it.
type Visit func(name string, stat Stat, err error) error

// Walk visits every file below d in the order of names, each directory held open while it is read. Names stay bytes:
// newlines and invalid UTF-8 pass through. It opens no file: it looks with fstatat, and Open checks again on the
// descriptor. A directory that cannot be read, a link or a mount point is visited as a refused name.
func (d *Dir) Walk(ctx context.Context, limits Limits, visit Visit) error {
	w := walk{ctx: ctx, limits: limits, visit: visit}
	return w.dir(d, "", 0)
}

type walk struct {
	ctx    context.Context
	limits Limits
	visit  Visit
	seen   int
}

func (w *walk) dir(d *Dir, prefix string, depth int) error {
	names, err := w.names(d)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.name(d, name, path.Join(prefix, name), depth); err != nil {
			return err
		}
	}
	return nil
}

// names reads the directory in batches, so that a huge one ends at the limit and not at the end of memory.
func (w *walk) names(d *Dir) ([]string, error) {
	var all []string
	for {
		batch, err := d.file.Readdirnames(1024)
		all = append(all, batch...)
		w.seen += len(batch)
		if w.seen > w.limits.MaxEntries {
			return nil, fmt.Errorf("walking: %w (%d)", ErrTooMany, w.limits.MaxEntries)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(all)
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading a directory: %w", err)
		}
	}
}

func (w *walk) name(d *Dir, name, full string, depth int) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(d.file.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil // gone since it was listed
	}
	if err != nil {
		return w.visit(full, Stat{}, &fs.PathError{Op: "stat", Path: full, Err: err})
	}
	stat := fromStat(&st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return w.enter(d, name, full, depth)
	case unix.S_IFLNK:
		return w.visit(full, stat, ErrEscapes)
	default:
		return w.visit(full, stat, d.rules.check(stat))
	}
}

func (w *walk) enter(d *Dir, name, full string, depth int) error {
	if depth >= w.limits.MaxDepth {
		return w.visit(full, Stat{}, fmt.Errorf("more than %d directories deep", w.limits.MaxDepth))
	}
	sub, err := d.Sub(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return w.visit(full, Stat{}, err)
	}
	return errors.Join(w.dir(sub, full, depth+1), sub.Close())
}
