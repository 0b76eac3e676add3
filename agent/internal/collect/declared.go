package collect

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// declared adds what `#ERGON outputs=GLOB` names below the working directory; what did not change since the job started
// is skipped. A pattern that names nothing is a
// missing entry, unless the output directory has what it names.
func (c *collector) declared() error {
	if c.job.Dirs.Work == "" || len(c.job.Globs) == 0 {
		return nil
	}
	work, err := c.root(c.job.Dirs.Work)
	if work == nil || err != nil {
		return err
	}
	for _, glob := range c.job.Globs {
		if err = c.glob(work, path.Clean(glob)); err != nil {
			break
		}
	}
	return errors.Join(err, work.Close())
}

func (c *collector) glob(work *safefs.Dir, glob string) error {
	missing := outputs.Entry{Path: glob, Base: outputs.BaseWork, Class: outputs.ClassOutput, Status: outputs.StatusMissing}
	if path.IsAbs(glob) || glob == ".." || strings.HasPrefix(glob, "../") || !doublestar.ValidatePattern(glob) {
		missing.Status, missing.Reason = outputs.StatusSkipped, "not a pattern below the working directory"
		c.add(missing)
		return nil
	}
	matched, err := c.matches(work, glob)
	if err != nil {
		return err
	}
	if !matched && !c.inOutputDir(glob) {
		missing.Reason = "no file matches"
		c.add(missing)
	}
	return nil
}

// matches walks only the part of the tree that the pattern can reach.
func (c *collector) matches(work *safefs.Dir, glob string) (matched bool, err error) {
	base, pattern := doublestar.SplitPattern(glob)
	dir := work
	if base != "." {
		dir, err = work.Sub(base)
		if err != nil {
			return false, c.unreachable(base, err)
		}
		defer func() { err = errors.Join(err, dir.Close()) }()
	}
	err = c.walk(dir, depth(pattern), func(name string, stat safefs.Stat, refused error) {
		if hit, _ := doublestar.Match(pattern, name); hit {
			matched = true
			e := found(outputs.BaseWork, outputs.ClassOutput, path.Join(base, name), stat, refused)
			if refused == nil && c.older(stat) {
				e.Status, e.Reason = outputs.StatusSkipped, olderReason
			}
			c.add(e)
		}
	})
	return matched, err
}

// clockMargin is how much the file server's clock may be behind Slurm's.
const clockMargin = 2 * time.Minute

const olderReason = "not changed since the job started, so it is not taken for its output: " +
	"write it in the job, or to $ERGON_OUTPUT_DIR, to have it uploaded"

// older says that the file was there, as it is, before the job: other jobs share its working directory. ctime counts
// too, since cp -p, mv and tar give a file that is new here an old mtime.
func (c *collector) older(stat safefs.Stat) bool {
	since := c.job.StartedAt.Add(-clockMargin)
	return !c.job.StartedAt.IsZero() && stat.Modified.Before(since) && stat.Changed.Before(since)
}

// unreachable keeps a directory that cannot be entered in the manifest, and the errors that concern the whole job.
func (c *collector) unreachable(base string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, safefs.ErrNotADir) {
		return nil
	}
	if errors.Is(err, safefs.ErrEscapes) {
		c.add(found(outputs.BaseWork, outputs.ClassOutput, base, safefs.Stat{}, err))
		return nil
	}
	return rootError(base, err)
}

// depth is how many directories below its base a pattern can reach.
func depth(pattern string) int {
	if strings.Contains(pattern, "**") {
		return maxDepth
	}
	return strings.Count(pattern, "/")
}

func (c *collector) inOutputDir(glob string) bool {
	for _, e := range c.manifest.Entries {
		if hit, _ := doublestar.Match(glob, e.Path); hit && e.Base == outputs.BaseOutput {
			return true
		}
	}
	return false
}
