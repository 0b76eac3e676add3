package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/agent/internal/transfer"
	"github.com/ergon-hpc/ergon/shared/api"
)

type getFlags struct {
	selection selection
	recursive bool
	force     bool
	parallel  int
}

func (a *app) filesGetCommand() *cobra.Command {
	var f getFlags
	c := &cobra.Command{
		Use:   "get ID|NAME [DEST] | get -r NAME [DIR] | get --job ID DIR | get --prefix PREFIX DIR",
		Short: "Download files and verify them",
		Long: `Download one file, or all files of a job or below a prefix into a directory; or, with -r, a directory that "put -r" sent,
with its tree, as it was stored last. A file gets its name only after its
SHA-256 was found right; until then it is .ergon-ID.part beside its place. A connection that breaks is taken up where it
broke, and so is a get that was killed, by the same get again: files that are there with their content are not fetched
twice. Other existing files are kept unless --force is given. Names that would climb out of the directory, or that hold
control characters, are written with those as _HH.`,
		Example: examples("ergon files get results.csv", "ergon files get -r dataset/ restored/", "ergon files get --job 4711 results/", "ergon files get --job 4711 --class profile ."),
		Args:    cobra.MaximumNArgs(2),
		RunE:    func(c *cobra.Command, args []string) error { return a.filesGet(c.Context(), args, f) },
	}
	f.selection.register(c)
	c.Flags().BoolVarP(&f.recursive, "recursive", "r", false, "get a directory that was put with -r: all uploads whose names begin with NAME/")
	c.Flags().BoolVarP(&f.force, "force", "f", false, "replace existing files")
	c.Flags().IntVar(&f.parallel, "parallel", transfer.DefaultParallel, "files and parts on their way at once")
	return c
}

func (a *app) filesGet(ctx context.Context, args []string, f getFlags) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	m, bars, err := a.mover(r, f.parallel)
	if err != nil {
		return err
	}
	switch {
	case f.recursive && len(args) > 0 && f.selection.job == "" && f.selection.prefix == "":
		err = a.getTree(ctx, r, moving{m, bars}, args, f)
	case f.recursive:
		err = usageError{errors.New("with -r give the name of a directory that was put, without --job and --prefix; for instance: ergon files get -r dataset/ here")}
	case f.selection.empty() && len(args) > 0:
		err = a.getOne(ctx, r, m, args, f.force)
	case !f.selection.empty() && len(args) == 1:
		err = a.getMany(ctx, r, moving{m, bars}, args[0], f)
	default:
		err = usageError{errors.New("give a file's name or id, or --job ID (or --prefix) and one directory; see: ergon files get --help")}
	}
	bars.close()
	return a.printErrors(err)
}

func (a *app) getOne(ctx context.Context, r *remote, m *transfer.Mover, args []string, force bool) error {
	object, err := r.object(ctx, args[0])
	if err != nil {
		return err
	}
	name := transfer.LocalName(object.Name)
	dest := name[strings.LastIndexByte(name, '/')+1:]
	if len(args) == 2 {
		dest = args[1]
		if st, err := os.Stat(dest); err == nil && st.IsDir() || strings.HasSuffix(dest, "/") {
			dest = filepath.Join(dest, name[strings.LastIndexByte(name, '/')+1:])
		}
	}
	root, err := openDir(filepath.Dir(dest))
	if err != nil {
		return err
	}
	err = m.Get(ctx, *object, transfer.Target{Root: root, Path: filepath.Base(dest), Replace: force})
	return errors.Join(err, root.Close())
}

// openDir makes a directory where there is none and opens it as a root that no path leaves.
func openDir(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // the umask decides, as for any program of the user's
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	return root, nil
}

// moving is a mover and what it shows.
type moving struct {
	*transfer.Mover
	bars progress
}

func (a *app) getMany(ctx context.Context, r *remote, m moving, dir string, f getFlags) error {
	params, err := f.selection.params(ctx, r)
	if err != nil {
		return err
	}
	objects, err := r.list(ctx, params)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return statusError{errors.New("no stored files match; see: ergon files ls"), exitNotFound}
	}
	return a.getInto(ctx, m, dir, objects, f)
}

// getTree gets what put -r sent: of several uploads of a name the newest.
func (a *app) getTree(ctx context.Context, r *remote, m moving, args []string, f getFlags) error {
	params, err := f.selection.params(ctx, r)
	if err != nil {
		return err
	}
	below := strings.TrimRight(args[0], "/") + "/"
	params.NamePrefix = &below
	if uploads := api.FileClassUpload; params.Class == nil {
		params.Class = &uploads
	}
	objects, err := r.list(ctx, params)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return statusError{fmt.Errorf("no stored file of yours has a name that begins with %q; see: ergon files ls", below), exitNotFound}
	}
	return a.getInto(ctx, m, firstOf(append(args[1:], ".")...), newestOf(objects), f)
}

// newestOf keeps of each name what was stored last.
func newestOf(objects []api.FileObject) []api.FileObject {
	last := map[string]api.FileObject{}
	for _, o := range objects {
		if known, there := last[o.Name]; !there || o.CreatedAt.After(known.CreatedAt) {
			last[o.Name] = o
		}
	}
	return slices.Collect(maps.Values(last))
}

func (a *app) getInto(ctx context.Context, m moving, dir string, objects []api.FileObject, f getFlags) error {
	root, err := openDir(dir)
	if err != nil {
		return err
	}
	items := transfer.Layout(objects)
	m.bars.expect(len(items))
	faults := each(ctx, f.parallel, items, func(i transfer.Item) error {
		err := m.Get(ctx, i.Object, transfer.Target{Root: root, Path: i.Path, Replace: f.force})
		if err != nil && !errors.Is(err, transfer.ErrExists) { // which names the file itself
			err = fmt.Errorf("%s: %w", i.Path, err)
		}
		return err
	})
	m.bars.close() // they would paint over what is printed now
	fmt.Fprintf(a.Err, "%d of %d files are in %s.\n", len(items)-len(faults), len(items), term.Clean(dir))
	return errors.Join(append(faults, root.Close())...)
}

// each works on all items, some at once, and gathers what failed; one failure does not stop the others.
func each[T any](ctx context.Context, parallel int, items []T, work func(T) error) (faults []error) {
	results := make(chan error)
	go func() {
		defer close(results)
		var group errgroup.Group
		group.SetLimit(parallel)
		for _, item := range items {
			if ctx.Err() != nil {
				results <- context.Cause(ctx)
				break
			}
			group.Go(func() error {
				results <- work(item)
				return nil
			})
		}
		_ = group.Wait() // errors go through the channel
	}()
	for err := range results {
		if err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

func (a *app) filesRmCommand() *cobra.Command {
	var s selection
	var yes bool
	c := &cobra.Command{
		Use:   "rm ID|NAME… | rm --job ID --yes",
		Short: "Delete stored files",
		Long: `Delete stored files by id or name. A name that several files have, and all files of a job or below a prefix, are
deleted only with --yes; without it they are listed.`,
		Example: examples("ergon files rm results.csv", "ergon files rm --job 4711 --yes"),
		RunE:    func(c *cobra.Command, args []string) error { return a.filesRm(c.Context(), args, s, yes) },
	}
	s.register(c)
	c.Flags().BoolVar(&yes, "yes", false, "delete several files")
	return c
}

func (a *app) filesRm(ctx context.Context, args []string, s selection, yes bool) error {
	if s.empty() == (len(args) == 0) {
		return usageError{errors.New("give files by id or name, or --job ID (or --prefix, --class), not both")}
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	objects, several, err := a.chosen(ctx, r, args, s)
	if err != nil {
		return err
	}
	if several && !yes {
		list := a.newFileList(formatTable)
		for _, o := range objects {
			_ = list.add(o) // tables only remember
		}
		if err := list.close(); err != nil {
			return err
		}
		return usageError{fmt.Errorf("these %d files would be deleted; add --yes, or name them by id", len(objects))}
	}
	faults := each(ctx, transfer.DefaultParallel, objects, func(o api.FileObject) error { return r.remove(ctx, o) })
	fmt.Fprintf(a.Err, "%d files deleted.\n", len(objects)-len(faults))
	return a.printErrors(errors.Join(faults...))
}

func (a *app) chosen(ctx context.Context, r *remote, args []string, s selection) (all []api.FileObject, several bool, err error) {
	if len(args) == 0 {
		params, err := s.params(ctx, r)
		if err != nil {
			return nil, false, err
		}
		all, err = r.list(ctx, params)
		if err == nil && len(all) == 0 {
			err = statusError{errors.New("no stored files match; see: ergon files ls"), exitNotFound}
		}
		return all, true, err
	}
	for _, text := range args {
		found, err := r.named(ctx, text)
		if err != nil {
			return nil, false, err
		}
		several = several || len(found) > 1
		all = append(all, found...)
	}
	return all, several, nil
}
