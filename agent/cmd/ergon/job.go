package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

type jobFlags struct {
	output  outputFlags
	cluster string
	events  bool
}

func (a *app) jobCommand() *cobra.Command {
	var f jobFlags
	c := &cobra.Command{
		Use:   "job ID",
		Short: "Report one job: what it asked, used and wasted, and what to change",
		Long: `Report one job: the verdict and at most three changes first, then requested against used, what was wasted, the
findings, the stored files, and where every number comes from. ID is Slurm's (123, 123_4, 123+0; the base id of an array
gives one page) or the server's uuid. The report comes from the server when you are logged in and it knows the job,
else from the local sacct; a note says so.`,
		Example: examples("ergon job 4711", "ergon job 4711 --cluster spark", "ergon job 4711 --json | jq .findings", "ergon job 4711 --events"),
		Args:    exactlyOne("a job id, for instance: ergon job 4711"),
		RunE:    func(c *cobra.Command, args []string) error { return a.job(c.Context(), args[0], f) },
	}
	f.output.register(c)
	c.Flags().StringVar(&f.cluster, "cluster", "", "the cluster, where the same id is on several")
	c.Flags().BoolVar(&f.events, "events", false, "what happened to the job, oldest first (from the server)")
	return c
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("give %s", what)}
		}
		return nil
	}
}

func (a *app) job(ctx context.Context, text string, f jobFlags) error {
	name, err := parseJobName(text)
	if err != nil {
		return err
	}
	format, err := f.output.format()
	if err != nil {
		return err
	}
	r, jobs, err := a.find(ctx, name, f.cluster)
	switch {
	case err != nil && (!localInstead(err) || name.uuid != uuid.Nil || f.events):
		return err
	case err != nil:
		return a.localJob(ctx, name, format, err)
	case len(jobs) == 0:
		return a.localJob(ctx, name, format, unknownToServer(name))
	case f.events:
		return a.printEvents(ctx, r, jobs, format)
	}
	return a.remoteJob(ctx, r, jobs, format)
}

// find asks the server for the jobs of that name.
func (a *app) find(ctx context.Context, name jobName, cluster string) (*remote, []api.Job, error) {
	r, err := a.remote(ctx)
	if err != nil {
		return nil, nil, err
	}
	jobs, err := r.resolve(ctx, name, cluster)
	return r, jobs, err
}

func unknownToServer(name jobName) error {
	return statusError{fmt.Errorf("the server knows no job %s of yours: check the id; a job submitted just now shows up within a minute", name.text), exitNotFound}
}

// localJob reports from the local Slurm; why is what the server said, and the answer where there is no Slurm either.
func (a *app) localJob(ctx context.Context, name jobName, format format, why error) error {
	warn := a.newWarnings()
	defer warn.close()
	all, missing, err := a.jobsNow(ctx, name.text, warn)
	if errors.Is(err, errNoSlurm) {
		return why
	}
	if err != nil {
		return err
	}
	if len(all) > 0 {
		a.noteLocal(why)
	}
	a.addReasons(ctx, all)
	if err := a.printJobs(all, format); err != nil {
		return err
	}
	if format == formatTable && len(all) == 1 {
		a.printStderr(ctx, all[0].Job)
	}
	return unknownJobs(missing)
}

// noteLocal says, on stderr, that this is not the server's report.
func (a *app) noteLocal(why error) {
	text := "from the local sacct: " + why.Error()
	if errors.Is(why, session.ErrNotLoggedIn) {
		text = "from the local sacct, because you are not logged in at a server"
	}
	fmt.Fprintln(a.Err, "ergon: note: "+term.Clean(text))
}

func (a *app) printStderr(ctx context.Context, j efficiency.Job) {
	path, lines := a.lastLines(ctx, j)
	if path == "" {
		return
	}
	fmt.Fprintf(a.Out, "\n%s\n", a.style().Bold("End of "+term.Clean(path)))
	if len(lines) == 0 {
		fmt.Fprintln(a.Out, "  (empty, or not readable by you here)")
	}
	for _, line := range lines {
		fmt.Fprintln(a.Out, "  "+term.Clean(line))
	}
}

func (a *app) remoteJob(ctx context.Context, r *remote, jobs []api.Job, format format) error {
	if len(jobs) > 1 {
		return a.printTasks(ctx, r, jobs, format)
	}
	job := jobs[0]
	rep, err := r.report(ctx, job.Id)
	if err != nil {
		return err
	}
	if rep == nil {
		rep = a.unanalysed(ctx, job)
	}
	if job.State == api.PENDING {
		rep.Verdict = a.waiting(ctx, rep.Job)
	}
	if err := a.printJobs([]efficiency.Report{*rep}, format); err != nil || format != formatTable {
		return err
	}
	a.printStderr(ctx, rep.Job)
	return a.printStored(ctx, r, job)
}

// unanalysed is what can be said of a job that the server has not analysed: the local Slurm's report, or the bare facts.
func (a *app) unanalysed(ctx context.Context, job api.Job) *efficiency.Report {
	bare := reportOf(job)
	if job.State == api.PENDING {
		return &bare
	}
	warn := a.newWarnings()
	defer warn.close()
	all, _, err := a.localJobs(ctx, []string{job.SlurmJobId}, warn)
	i := slices.IndexFunc(all, func(r efficiency.Report) bool {
		return r.Job.JobID == job.SlurmJobId && r.Job.Cluster == job.Cluster && deref(r.Job.Submit) == job.SubmitAt.Unix()
	})
	if err != nil || i < 0 {
		fmt.Fprintln(a.Err, "ergon: note: the server has not analysed this job yet; try again in a minute")
		return &bare
	}
	a.noteLocal(errors.New("the server has not analysed this job yet"))
	return &all[i]
}

// printTasks prints an array from the server's list, in one call for hundreds of tasks; for people with the server's spread
// of what it analysed, which the list has only in part.
func (a *app) printTasks(ctx context.Context, r *remote, jobs []api.Job, format format) error {
	all := make([]efficiency.Report, len(jobs))
	for i, j := range jobs {
		all[i] = reportOf(j)
	}
	slices.SortStableFunc(all, func(x, y efficiency.Report) int { return compareTasks(x.Job.JobID, y.Job.JobID) })
	if isHet(all) {
		total, err := r.total(ctx, jobs[0].Id)
		switch {
		case err != nil:
			return err
		case total != nil && len(total.Attempts) == len(all): // an older server gives the component alone
			all = total.Attempts
		}
	}
	if format != formatTable || !isArray(all) {
		return a.printJobs(all, format)
	}
	summary, err := r.array(ctx, jobs[0].Id)
	switch {
	case err != nil:
		return err
	case summary == nil:
		return a.printJobs(all, format)
	}
	return report.ArrayOf(a.Out, all, *summary, a.style())
}

// maxListed is how many stored files a report names.
const maxListed = 20

// printStored lists the outputs that the server holds, and how far the rest is on its way.
func (a *app) printStored(ctx context.Context, r *remote, job api.Job) error {
	if phase := deref(job.UploadPhase); phase != "" && phase != api.UploadPhaseNone {
		fmt.Fprintf(a.Out, "\n%s %s\n", a.style().Bold("Outputs"), phaseWords(phase))
	}
	took, err := r.results(ctx, job.Id)
	if err != nil {
		return err
	}
	table, count := newTable(a.Out, report.Style{}), 0
	err = r.files(ctx, api.ListFilesParams{JobId: &job.Id}, func(f api.FileObject) error {
		if count++; count <= maxListed {
			table.add("  "+string(f.Class), report.Bytes(float64(f.Size)), f.Name, took.words(f.Id))
		}
		return nil
	})
	if err != nil || count == 0 {
		return err
	}
	if err := table.write(); err != nil {
		return err
	}
	if count > maxListed {
		fmt.Fprintf(a.Out, "  and %d more: ergon files ls --job %s\n", count-maxListed, job.SlurmJobId)
	}
	fmt.Fprintf(a.Out, "  Get them: ergon files get --job %s DIR\n", term.Clean(job.SlurmJobId))
	return nil
}

func phaseWords(phase api.UploadPhase) string {
	switch phase {
	case api.UploadPhaseWaiting:
		return "wait for the job's end"
	case api.UploadPhaseCollecting:
		return "are being collected"
	case api.UploadPhaseUploading:
		return "are on their way to the server"
	case api.UploadPhaseBlocked:
		return "are blocked: see ergon job ID --events for the reason, and ergon quota"
	case api.UploadPhaseVerified:
		return "are stored and verified"
	}
	return string(phase)
}
