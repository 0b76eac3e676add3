package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/agent/internal/transfer"
	"github.com/ergon-hpc/ergon/shared/api"
)

func (a *app) filesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "files",
		Short: "List, get, put, delete and share your stored files",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.filesLsCommand(), a.filesGetCommand(), a.filesPutCommand(), a.filesRmCommand(), a.filesShareCommand())
	return c
}

// selection says which stored files are meant.
type selection struct {
	job, cluster, prefix, class string
}

func (s *selection) register(c *cobra.Command) {
	c.Flags().StringVar(&s.job, "job", "", "the files of this job (Slurm's id, or Ergon's)")
	c.Flags().StringVar(&s.cluster, "cluster", "", "the job's cluster, where the same id is on several")
	c.Flags().StringVar(&s.prefix, "prefix", "", "the files whose keys begin so below your own, e.g. jobs/")
	c.Flags().StringVar(&s.class, "class", "", "upload, input, output, profile, stdout or stderr")
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"upload", "input", "output", "profile", "stdout", "stderr"}, cobra.ShellCompDirectiveNoFileComp))
}

func (s *selection) empty() bool { return s.job == "" && s.prefix == "" && s.class == "" }

// params asks the server which job is meant.
func (s *selection) params(ctx context.Context, r *remote) (api.ListFilesParams, error) {
	var p api.ListFilesParams
	if s.prefix != "" {
		p.Prefix = &s.prefix
	}
	if s.class != "" {
		class := api.FileClass(s.class)
		if !slices.Contains([]api.FileClass{api.FileClassUpload, api.FileClassInput, api.FileClassOutput, api.FileClassProfile, api.FileClassStdout, api.FileClassStderr}, class) {
			return p, usageError{fmt.Errorf("unknown class %q; use upload, input, output, profile, stdout or stderr", s.class)}
		}
		p.Class = &class
	}
	if s.job == "" {
		return p, nil
	}
	name, err := parseJobName(s.job)
	if err != nil {
		return p, err
	}
	jobs, err := r.resolve(ctx, name, s.cluster)
	switch {
	case err != nil:
		return p, err
	case len(jobs) == 0:
		return p, unknownToServer(name)
	case len(jobs) > 1:
		return p, usageError{fmt.Errorf("job %s is an array; name one task, for instance --job %s", s.job, jobs[0].SlurmJobId)}
	}
	p.JobId = &jobs[0].Id
	return p, nil
}

func (a *app) filesLsCommand() *cobra.Command {
	var s selection
	var output outputFlags
	c := &cobra.Command{
		Use:   "ls [NAME]",
		Short: "List your stored files",
		Long: `List your stored files. With --job also what each took of the job's energy, cost and carbon, by its share of the bytes,
where that is known; with -o json as "footprint".`,
		Example: examples("ergon files ls", "ergon files ls --job 4711", "ergon files ls --class profile -o json | jq .size"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.filesLs(c.Context(), firstOf(append(args, "")...), s, output)
		},
	}
	s.register(c)
	output.register(c)
	return c
}

func (a *app) filesLs(ctx context.Context, name string, s selection, output outputFlags) error {
	format, err := output.format()
	if err != nil {
		return err
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	params, err := s.params(ctx, r)
	if err != nil {
		return err
	}
	if name != "" {
		params.Name = &name
	}
	list := a.newFileList(format)
	list.chosen = name != "" || !s.empty()
	if params.JobId != nil {
		if list.took, err = r.results(ctx, *params.JobId); err != nil {
			return err
		}
	}
	if err := r.files(ctx, params, list.add); err != nil {
		return err
	}
	return list.close()
}

// mover is what get and put work with.
func (a *app) mover(r *remote, parallel int) (*transfer.Mover, progress, error) {
	if parallel < 1 || parallel > 32 {
		return nil, nil, usageError{errors.New("--parallel must be 1 to 32")}
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, nil, err
	}
	bars := a.progress()
	return transfer.NewMover(transfer.Mover{
		Server: &transfer.Remote{Client: r.client, Address: r.server}, Progress: bars, Parallel: parallel,
		Memory: transfer.NewMemory(filepath.Join(dir, "uploads"), r.server),
	}), bars, nil
}

// object finds a stored file by its id or by its name; of several with one name the newest.
func (r *remote) object(ctx context.Context, text string) (*api.FileObject, error) {
	all, err := r.named(ctx, text)
	if err != nil {
		return nil, err
	}
	newest := slices.MaxFunc(all, func(a, b api.FileObject) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return &newest, nil
}

// named gives the files of that id or name, at least one.
func (r *remote) named(ctx context.Context, text string) ([]api.FileObject, error) {
	if id, err := uuid.Parse(text); err == nil {
		object, err := r.byID(ctx, id)
		switch {
		case exitCode(err) == exitNotFound:
			return nil, noSuchFile(text)
		case err != nil:
			return nil, err
		}
		return []api.FileObject{*object}, nil
	}
	all, err := r.list(ctx, api.ListFilesParams{Name: &text})
	if err == nil && len(all) == 0 {
		err = noSuchFile(text)
	}
	return all, err
}

func noSuchFile(text string) error {
	return statusError{fmt.Errorf("no stored file of yours has the name or id %q; see: ergon files ls", text), exitNotFound}
}

// maxAtOnce is how many files one command gets or deletes: their list is held in memory.
const maxAtOnce = 100_000

func (r *remote) list(ctx context.Context, params api.ListFilesParams) (all []api.FileObject, err error) {
	err = r.files(ctx, params, func(f api.FileObject) error {
		if len(all) == maxAtOnce {
			return usageError{fmt.Errorf("more than %d files match; choose fewer with --job, --class or --prefix", maxAtOnce)}
		}
		all = append(all, f)
		return nil
	})
	return all, err
}

func (a *app) filesShareCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "share ID|NAME",
		Short: "Print a link that downloads one file, for some minutes, without a login",
		Long: `Print a link that downloads one of your files without a login. Whoever has the link can use it until it ends, some
minutes later: hand it on with care, and not on a command line of a shared machine. The link alone goes to standard
output.`,
		Example: examples("ergon files share results.csv", "ergon files share --json results.csv | jq -r .url"),
		Args:    exactlyOne("a file, for instance: ergon files share results.csv"),
		RunE:    func(c *cobra.Command, args []string) error { return a.filesShare(c.Context(), args[0], asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print link, end and file as JSON")
	return c
}

func (a *app) filesShare(ctx context.Context, text string, asJSON bool) error {
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	object, err := r.object(ctx, text)
	if err != nil {
		return err
	}
	from, _, err := (&transfer.Remote{Client: r.client, Address: r.server}).Download(ctx, object.Id)
	if err != nil {
		return err
	}
	if asJSON {
		return newEncoder(a.Out).Encode(map[string]any{"url": from.Url, "expires_at": from.ExpiresAt.UTC(), "id": object.Id, "name": object.Name})
	}
	fmt.Fprintln(a.Out, term.Clean(from.Url))
	fmt.Fprintf(a.Err, "Good until %s. Whoever has it can download the file.\n", from.ExpiresAt.Local().Format("15:04:05"))
	return nil
}

func (a *app) quotaCommand() *cobra.Command {
	var output outputFlags
	c := &cobra.Command{
		Use:     "quota",
		Short:   "Show how much you store and may store",
		Example: examples("ergon quota", "ergon quota -o json | jq .used_bytes"),
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.quota(c.Context(), output) },
	}
	output.register(c)
	return c
}

func (a *app) quota(ctx context.Context, output outputFlags) error {
	format, err := output.format()
	if err != nil {
		return err
	}
	r, err := a.remote(ctx)
	if err != nil {
		return err
	}
	q, err := r.quota(ctx)
	if err != nil {
		return err
	}
	switch format {
	case formatJSON:
		return newEncoder(a.Out).Encode(q)
	case formatYAML:
		return report.YAML(a.Out, q)
	case formatCSV:
		fmt.Fprintln(a.Out, "used_bytes,reserved_bytes,limit_bytes,used_objects,reserved_objects,limit_objects")
		fmt.Fprintf(a.Out, "%d,%d,%d,%d,%d,%d\n", q.UsedBytes, q.ReservedBytes, q.LimitBytes, q.UsedObjects, q.ReservedObjects, q.LimitObjects)
		return nil
	}
	t := newTable(a.Out, a.style())
	t.head("", "USED", "ON THE WAY", "LIMIT", "FREE")
	t.add("bytes", bytesText(q.UsedBytes), bytesText(q.ReservedBytes), bytesText(q.LimitBytes), bytesText(max(0, q.LimitBytes-q.UsedBytes-q.ReservedBytes)))
	t.add("files", fmt.Sprint(q.UsedObjects), fmt.Sprint(q.ReservedObjects), fmt.Sprint(q.LimitObjects), fmt.Sprint(max(0, q.LimitObjects-q.UsedObjects-q.ReservedObjects)))
	return t.write()
}
