// Package collect finds the files of one ended job and reads them, as the job's user.
//
// Collected are Slurm's profiles, the ends of stdout and stderr, everything in the directory that the wrapper made for
// the submission, and what the job declared by `#ERGON outputs=GLOB` below its working directory. What a cap or a rule
// excludes stays in the manifest with its reason (design 02, Uploads).
package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// Bounds of a walk over a tree that the user made.
const (
	maxEntries = 200_000
	maxDepth   = 32
)

// Files lists the files of the job. now stamps the manifest. It returns outputs.ErrNeedsLogin when one of the job's own
// directories refuses us, and outputs.ErrUnsupported on a kernel without openat2.
func Files(ctx context.Context, job outputs.JobFiles, now func() time.Time) (outputs.Manifest, error) {
	c := &collector{
		ctx: ctx, job: job, rules: safefs.Rules{UID: job.UID}, budget: budget{caps: job.Caps.OrDefault()},
		seen: map[key]bool{},
	}
	steps := []func() error{c.profiles, c.streams, c.outputDir, c.declared}
	for _, step := range steps {
		if err := step(); err != nil {
			return outputs.Manifest{}, err
		}
	}
	c.manifest.At = now()
	return c.manifest, nil
}

// key is what must be unique in a manifest.
type key struct {
	class outputs.Class
	path  string
}

type collector struct {
	ctx      context.Context
	job      outputs.JobFiles
	rules    safefs.Rules
	budget   budget
	seen     map[key]bool
	manifest outputs.Manifest
}

// root opens one of the job's directories. A directory that is not there is no error: nil is returned.
func (c *collector) root(dir string) (*safefs.Dir, error) {
	if dir == "" {
		return nil, nil
	}
	d, err := safefs.OpenDir(dir, c.rules)
	return d, rootError(dir, err)
}

// rootError keeps the errors that say something about the job as a whole.
func rootError(dir string, err error) error {
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, safefs.ErrNotADir):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("opening %q: %w", dir, outputs.ErrNeedsLogin)
	case errors.Is(err, safefs.ErrUnsupported):
		return outputs.ErrUnsupported
	default:
		return err
	}
}

// add puts an entry in the manifest once; the first of two files with one name stands.
func (c *collector) add(e outputs.Entry) {
	if !utf8.ValidString(e.Path) {
		// JSON cannot carry such a name, and a changed one would name another file.
		e.Path = strconv.QuoteToASCII(e.Path)
		e.Status, e.Reason = outputs.StatusSkipped, "its name is no UTF-8: rename it to have it uploaded"
	}
	k := key{e.Class, e.Path}
	if c.seen[k] {
		return
	}
	c.seen[k] = true
	if e.Status == outputs.StatusFound {
		c.budget.admit(&e)
	}
	c.manifest.Entries = append(c.manifest.Entries, e)
}

// found makes the entry of a name that a walk visited.
func found(base outputs.Base, class outputs.Class, name string, stat safefs.Stat, refused error) outputs.Entry {
	e := outputs.Entry{Path: name, Base: base, Class: class, Status: outputs.StatusFound}
	Identify(&e, stat)
	if refused != nil {
		e.Status, e.Reason = outputs.StatusSkipped, Reason(refused)
	}
	return e
}

// Identify writes what identifies the file into its entry.
func Identify(e *outputs.Entry, stat safefs.Stat) {
	e.Size, e.FullSize = stat.SizeBytes, stat.SizeBytes
	e.ModTime, e.Dev, e.Inode, e.Links = stat.Modified.UTC(), stat.Device, stat.Inode, stat.Links
}

// Reason says for the user why a file is left where it is.
func Reason(err error) string {
	switch {
	case errors.Is(err, safefs.ErrEscapes):
		return "a symbolic link or a mount point: only regular files of the job are uploaded"
	case errors.Is(err, safefs.ErrNotRegular):
		return "no regular file"
	case errors.Is(err, safefs.ErrNotOwned):
		return "belongs to another user"
	case errors.Is(err, safefs.ErrHardLinked):
		return "has more than one hard link"
	case errors.Is(err, fs.ErrPermission):
		return "cannot be read by its owner: chmod u+r makes it uploadable"
	default:
		return err.Error()
	}
}

// walk adds every file below dir for which keep says yes.
func (c *collector) walk(dir *safefs.Dir, depth int, add func(name string, stat safefs.Stat, refused error)) error {
	err := dir.Walk(c.ctx, safefs.Limits{MaxEntries: maxEntries, MaxDepth: depth},
		func(name string, stat safefs.Stat, refused error) error {
			add(name, stat, refused)
			return nil
		})
	if errors.Is(err, safefs.ErrTooMany) {
		c.manifest.Truncated = true
		return nil
	}
	return err
}

func (c *collector) outputDir() error {
	if c.job.Dirs.Output == "" {
		return nil
	}
	dir, err := c.root(filepath.Join(c.job.Dirs.Output, c.job.ArrayTask))
	if dir == nil || err != nil {
		return err
	}
	err = c.walk(dir, maxDepth, func(name string, stat safefs.Stat, refused error) {
		c.add(found(outputs.BaseOutput, outputs.ClassOutput, name, stat, refused))
	})
	return errors.Join(err, dir.Close())
}

// profiles are <job>_<step>_<node>.h5 in the user's directory below ProfileHDF5Dir.
func (c *collector) profiles() error {
	dir, err := c.root(c.job.Dirs.Profile)
	if dir == nil || err != nil {
		return err
	}
	err = c.walk(dir, 0, func(name string, stat safefs.Stat, refused error) {
		if match, _ := path.Match(c.job.JobIDRaw+"_*.h5", name); match && c.job.JobIDRaw != "" {
			c.add(found(outputs.BaseProfile, outputs.ClassProfile, name, stat, refused))
		}
	})
	return errors.Join(err, dir.Close())
}

func (c *collector) streams() error {
	if err := c.stream(outputs.BaseStdout, outputs.ClassStdout, c.job.Dirs.Stdout); err != nil {
		return err
	}
	if c.job.Dirs.Stderr == c.job.Dirs.Stdout {
		return nil
	}
	return c.stream(outputs.BaseStderr, outputs.ClassStderr, c.job.Dirs.Stderr)
}

func (c *collector) stream(base outputs.Base, class outputs.Class, file string) error {
	if file == "" || file == "/dev/null" {
		return nil
	}
	dir, err := c.root(filepath.Dir(file))
	if err != nil {
		return err
	}
	name := filepath.Base(file)
	missing := outputs.Entry{Path: name, Base: base, Class: class, Status: outputs.StatusMissing, Reason: "no such file"}
	if dir == nil {
		c.add(missing)
		return nil
	}
	opened, err := dir.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.add(missing)
	case err != nil:
		c.add(found(base, class, name, safefs.Stat{}, err))
	default:
		e := found(base, class, name, opened.Stat(), nil)
		e.Size = endsSize(e.FullSize, c.budget.caps.EndBytes)
		c.add(e)
		return errors.Join(opened.Close(), dir.Close())
	}
	return dir.Close()
}
