package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/transfer"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/safename"
)

type putFlags struct {
	recursive bool
	name      string
	class     string
	parallel  int
	json      bool
}

func (a *app) filesPutCommand() *cobra.Command {
	var f putFlags
	c := &cobra.Command{
		Use:   "put FILE…",
		Short: "Upload files",
		Long: `Upload files, verified by SHA-256 on the way and at their end. Large files go in parts; when a put is cut off, the
same put again goes on where it stopped. With -r directories are walked; links and special files in them are left out
with a warning, and files that are stored already with this name and content are not sent again. "put" prints the id of
each stored file.`,
		Example: examples("ergon files put input.tar", "ergon files put -r dataset/", "ergon files put --name model-v2.bin model.bin"),
		Args:    atLeastOne("a file, for instance: ergon files put input.tar"),
		RunE:    func(c *cobra.Command, args []string) error { return a.filesPut(c.Context(), args, f) },
	}
	c.Flags().BoolVarP(&f.recursive, "recursive", "r", false, "walk directories")
	c.Flags().StringVar(&f.name, "name", "", "store the one file under this name")
	c.Flags().StringVar(&f.class, "class", "upload", "upload or input")
	c.Flags().IntVar(&f.parallel, "parallel", transfer.DefaultParallel, "files and parts on their way at once")
	c.Flags().BoolVar(&f.json, "json", false, "print the stored files as JSON, one a line")
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"upload", "input"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// source is a file here and its name there.
type source struct{ path, name string }

func (a *app) filesPut(ctx context.Context, args []string, f putFlags) error {
	if f.class != "upload" && f.class != "input" {
		return usageError{fmt.Errorf("unknown class %q; use upload or input", f.class)}
	}
	warn := a.newWarnings()
	sources, err := sourcesOf(args, f, warn)
	warn.close()
	if err != nil {
		return err
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	m, bars, err := a.mover(r, f.parallel)
	if err != nil {
		return err
	}
	if f.recursive {
		if m.Stored, err = r.stored(ctx, sources, api.FileClass(f.class)); err != nil {
			bars.close()
			return err
		}
	}
	bars.expect(len(sources))
	stored := make(chan api.FileObject, len(sources))
	faults := each(ctx, f.parallel, sources, func(s source) error {
		object, err := m.Put(ctx, s.path, s.name, api.FileClass(f.class))
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		stored <- *object
		return nil
	})
	bars.close()
	close(stored)
	if err := a.printPut(stored, f.json); err != nil {
		return err
	}
	if len(sources) > 1 {
		fmt.Fprintf(a.Err, "%d of %d files are stored.\n", len(sources)-len(faults), len(sources))
	}
	return a.printErrors(errors.Join(faults...))
}

// printPut prints what was put, in the order in which it was done.
func (a *app) printPut(stored <-chan api.FileObject, asJSON bool) error {
	encoder := newEncoder(a.Out)
	t := newTable(a.Out, a.style())
	t.style.Color = false
	for object := range stored {
		if !asJSON {
			t.add(object.Id.String() + "  " + object.Name)
			continue
		}
		if err := encoder.Encode(object); err != nil {
			return err
		}
	}
	return t.write()
}

// stored finds which of the names are stored already; what is stored under other names is not held in memory.
func (r *remote) stored(ctx context.Context, sources []source, class api.FileClass) (map[string][]api.FileObject, error) {
	found := make(map[string][]api.FileObject, len(sources))
	for _, s := range sources {
		found[s.name] = nil
	}
	err := r.files(ctx, api.ListFilesParams{Class: &class}, func(f api.FileObject) error {
		if have, wanted := found[f.Name]; wanted && f.JobId == nil {
			found[f.Name] = append(have, f)
		}
		return nil
	})
	return found, err
}

// sourcesOf lists what is to be sent. A file that is named and cannot be sent is an error; in a walk it is a warning.
func sourcesOf(args []string, f putFlags, warn *warnings) ([]source, error) {
	var all []source
	for _, arg := range args {
		st, err := os.Stat(arg)
		switch {
		case err != nil:
			return nil, fmt.Errorf("putting %s: %w", arg, err)
		case st.IsDir() && !f.recursive:
			return nil, usageError{fmt.Errorf("%s is a directory; add -r to put what is in it", arg)}
		case st.IsDir():
			walked, err := walk(arg, warn)
			if err != nil {
				return nil, err
			}
			all = append(all, walked...)
		default:
			all = append(all, source{arg, filepath.Base(arg)})
		}
	}
	if f.name != "" {
		if len(all) != 1 {
			return nil, usageError{errors.New("--name works with exactly one file")}
		}
		all[0].name = f.name
	}
	for _, s := range all {
		if _, err := safename.Parse(s.name); err != nil {
			return nil, usageError{fmt.Errorf("%s cannot be stored under the name %q: %w; give another with --name", s.path, s.name, err)}
		}
	}
	if len(all) == 0 {
		return nil, usageError{errors.New("there is no file to put")}
	}
	if len(all) > maxAtOnce {
		return nil, usageError{fmt.Errorf("these are %d files, one put takes %d: put some of the directories, or pack them with tar", len(all), maxAtOnce)}
	}
	return all, nil
}

// walk lists the regular files of a directory; their names begin with the directory's own.
func walk(dir string, warn *warnings) (all []source, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("walking %s: %w", dir, err)
	}
	base := filepath.Base(abs)
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && p == dir:
			return err
		case err != nil:
			warn.add("left out: " + err.Error())
		case d.Type().IsRegular():
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			all = append(all, source{p, path.Join(base, filepath.ToSlash(rel))})
		case !d.IsDir():
			warn.add(p + " is left out: it is no regular file")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walking %s: %w", dir, err)
	}
	return all, nil
}
