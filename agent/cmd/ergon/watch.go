package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

type watchFlags struct {
	cluster  string
	interval time.Duration
}

func (a *app) watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a job to its end, and its outputs into the store",
		Long: `Follow one job: a line for each change of its state and of the way of its outputs, until it has ended and its outputs
are stored. The exit code is the job's own; 128 + N when signal N ended it; 1 when it failed without a code (time limit,
memory, cancelled, node failure).`,
		Example: examples("ergon watch 4711 && ergon files get --job 4711 results/"),
		Args:    exactlyOne("a job id, for instance: ergon watch 4711"),
		RunE:    func(c *cobra.Command, args []string) error { return a.watch(c.Context(), args[0], f) },
	}
	c.Flags().StringVar(&f.cluster, "cluster", "", "the cluster, where the same id is on several")
	c.Flags().DurationVar(&f.interval, "interval", 5*time.Second, "how often to look, at least 1s")
	return c
}

func (a *app) watch(ctx context.Context, text string, f watchFlags) error {
	name, err := parseJobName(text)
	if err == nil && f.interval < time.Second {
		err = usageError{errors.New("--interval must be at least 1s")}
	}
	if err != nil {
		return err
	}
	w := &watcher{app: a, name: name, cluster: f.cluster}
	for {
		now, err := w.look(ctx)
		if ctx.Err() != nil {
			return statusError{errors.New("stopped watching; the job goes on"), exitInterrupted}
		}
		if err != nil {
			return err
		}
		now.sent = w.sent(ctx, now)
		w.tell(now)
		if w.done(now) {
			return jobStatus(now)
		}
		if !pause(ctx, f.interval) {
			return statusError{errors.New("stopped watching; the job goes on"), exitInterrupted}
		}
	}
}

// exitInterrupted is the shell's own code for Ctrl-C.
const exitInterrupted = 130

// sight is what one look at a job showed.
type sight struct {
	job    efficiency.Job
	phase  api.UploadPhase
	tagged bool   // its outputs may still be taken up
	sent   string // how far they are, when the agent of this node sends them
}

type watcher struct {
	*app
	name    jobName
	cluster string
	last    string
	ended   time.Time // when the end was seen first
	faults  int       // looks in a row without an answer
}

// patience bounds the looks without an answer, graceAfterEnd how long the agent may take to begin with the outputs.
const (
	patience      = 24
	graceAfterEnd = 30 * time.Second
)

// look asks the server, else the local Slurm. An outage is waited out for a while.
func (w *watcher) look(ctx context.Context) (sight, error) {
	s, err := w.ask(ctx)
	if err == nil || w.last == "" || !localInstead(err) && exitCode(err) != exitUnreachable {
		w.faults = 0
		return s, err
	}
	if w.faults++; w.faults > patience {
		return s, err
	}
	if w.faults == 1 {
		fmt.Fprintln(w.Err, "ergon: warning: "+term.Clean(err.Error())+"; trying again")
	}
	return sight{}, nil
}

func (w *watcher) ask(ctx context.Context) (sight, error) {
	_, jobs, err := w.find(ctx, w.name, w.cluster)
	switch {
	case err == nil && len(jobs) > 1:
		return sight{}, usageError{fmt.Errorf("job %s is an array; watch one task, for instance: ergon watch %s", w.name.text, jobs[0].SlurmJobId)}
	case err == nil && len(jobs) == 1:
		return sight{job: factsOf(jobs[0]), phase: deref(jobs[0].UploadPhase), tagged: jobs[0].SubmissionId != nil}, nil
	case err != nil && !localInstead(err), w.name.uuid != uuid.Nil:
		return sight{}, err
	}
	if err == nil {
		err = unknownToServer(w.name)
	}
	return w.askLocal(ctx, err)
}

func (w *watcher) askLocal(ctx context.Context, why error) (sight, error) {
	warn := &warnings{out: w.Err, count: maxWarnings} // the same ones at every look would be noise
	all, missing, err := w.jobsNow(ctx, w.name.text, warn)
	switch {
	case errors.Is(err, errNoSlurm):
		return sight{}, why
	case err != nil:
		return sight{}, err
	case len(missing) > 0:
		return sight{}, unknownJobs(missing)
	case len(all) > 1:
		return sight{}, usageError{fmt.Errorf("job %s has %d tasks; watch one, for instance: ergon watch %s", w.name.text, len(all), all[0].Job.JobID)}
	}
	return sight{job: all[0].Job}, nil
}

// sent asks the agent of this node how far it is with the job's outputs. Elsewhere, or when it is another node's agent
// that sends them, there is nothing to tell.
func (w *watcher) sent(ctx context.Context, s sight) string {
	if s.phase != api.UploadPhaseUploading {
		return ""
	}
	agent, err := socket.Find(ctx, w.Env)
	if err != nil {
		return ""
	}
	defer agent.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // it is an extra; the watch goes on without
	defer cancel()
	status, err := agent.Status(ctx)
	if err != nil || w.cluster != "" && status.Cluster != w.cluster {
		return ""
	}
	for _, u := range status.Sending {
		if u.SlurmJobID == s.job.JobID {
			return fmt.Sprintf("%d of %d files, %s of %s", u.Files, u.FilesTotal, bytesText(u.Bytes), bytesText(u.BytesTotal))
		}
	}
	return ""
}

// tell prints a line when something changed.
func (w *watcher) tell(s sight) {
	if s.job.JobID == "" {
		return // no answer this time
	}
	text := s.job.SlurmState
	if s.job.State == string(slurmfmt.StatePending) && s.job.Reason != "" {
		text += " (" + s.job.Reason + ")"
	}
	if s.phase != "" && s.phase != api.UploadPhaseNone {
		text += ", outputs " + phaseWords(s.phase)
	}
	if s.sent != "" {
		text += " (" + s.sent + ")"
	}
	if text != w.last {
		fmt.Fprintf(w.Out, "%s  job %s  %s\n", w.Now().Format("15:04:05"), term.Clean(s.job.JobID), term.Clean(text))
		w.last = text
	}
}

// done says that the job has ended and nothing of it is on its way.
func (w *watcher) done(s sight) bool {
	if s.job.State != string(slurmfmt.StateDone) && s.job.State != string(slurmfmt.StateFailed) {
		w.ended = time.Time{}
		return false
	}
	if w.ended.IsZero() {
		w.ended = w.Now()
	}
	switch s.phase {
	case api.UploadPhaseCollecting, api.UploadPhaseUploading, api.UploadPhaseWaiting:
		return false
	case api.UploadPhaseVerified, api.UploadPhaseBlocked:
		return true
	}
	return !s.tagged || w.Now().Sub(w.ended) > graceAfterEnd
}

// jobStatus is the job's own end as this program's.
func jobStatus(s sight) error {
	if s.job.State == string(slurmfmt.StateDone) {
		return nil
	}
	exit := slurmfmt.ParseExitCode(s.job.ExitCode)
	code := 1
	switch {
	case exit.Signal > 0 && exit.Signal < 65: // beyond are Slurm's own marks, such as 125 for memory
		code = 128 + exit.Signal
	case exit.Code > 0 && exit.Code < 256:
		code = exit.Code
	}
	return statusError{fmt.Errorf("job %s ended as %s; see: ergon job %s", s.job.JobID, s.job.SlurmState, s.job.JobID), code}
}
