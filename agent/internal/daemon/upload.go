package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

// Waits of the upload path.
const (
	uploadEvery    = time.Second
	retryFirst     = 2 * time.Second // doubled each time: the pause is never much longer than the outage was
	retryDoublings = 10              // then every 34 minutes
)

// uploadLoop hands due jobs to a bounded number of workers. Whose turn it is, is asked anew for each free worker, so that
// one user's large array delays nobody else by more than the jobs that are under way.
func (d *Daemon) uploadLoop(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, d.opt.Config.Uploads.Parallel)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		job, found, err := d.nextUpload(ctx)
		if err != nil && ctx.Err() == nil {
			d.opt.Log.Error("reading what is to be uploaded", "error", err)
		}
		if !found {
			<-slots
			if !sleep(ctx, uploadEvery) {
				return nil
			}
			continue
		}
		d.busy.Store(job.JobKey, outputs.Progress{})
		wg.Go(func() {
			defer func() { d.busy.Delete(job.JobKey); <-slots }()
			d.work(ctx, job)
		})
	}
}

// nextUpload gives the due job whose turn it is and that nobody works on. Only uploadLoop adds to busy, and no more than
// there are workers, so that one row more than workers is enough to look at.
func (d *Daemon) nextUpload(ctx context.Context) (journal.Job, bool, error) {
	if d.client.Load() == nil || d.opt.System && d.links.Load() == nil {
		return journal.Job{}, false, nil // whose outputs may be sent is not known before the control plane has answered once
	}
	due, err := d.journal.DueUploads(ctx, d.opt.Config.Uploads.Parallel+1)
	if err != nil {
		return journal.Job{}, false, err
	}
	for _, job := range due {
		if _, taken := d.busy.Load(job.JobKey); !taken {
			return job, true, nil
		}
	}
	return journal.Job{}, false, nil
}

// work processes one job. After a failure its worker rests: when the journal could not note when to try again, the job
// would be due at once.
func (d *Daemon) work(ctx context.Context, job journal.Job) {
	if err := d.process(ctx, job.JobKey); err != nil && ctx.Err() == nil {
		d.opt.Log.Warn("outputs of a job wait", "job", job.SlurmJobID, "user", job.User, "error", err)
		sleep(ctx, uploadEvery)
	}
}

// process takes one attempt from ENDED to VERIFIED, or as far as it gets. It is safe to repeat from any state.
func (d *Daemon) process(ctx context.Context, key journal.JobKey) error {
	untold, err := d.journal.Untold(ctx, key.JobID)
	if err != nil {
		return err
	}
	job, err := d.journal.Job(ctx, key)
	if err != nil {
		return err
	}
	if wait, err := d.notOurs(ctx, job, untold); wait || err != nil {
		return err
	}
	if !d.uploads(job.UID) {
		if d.revoked.Load() && d.uploadsEnabled() {
			return d.later(ctx, job, "", errors.New("the control plane refuses the agent's key"))
		}
		return d.keep(ctx, job, "outputs are not collected: uploads are off on this node, or the user is not linked")
	}
	if job.State == journal.JobEnded && job.Detail.StartAt.IsZero() {
		return d.keep(ctx, job, "the job never started, so it has no outputs")
	}
	if job, err = d.move(ctx, job, journal.JobCollecting, "collecting", ""); err != nil {
		return err
	}
	files, err := d.jobFiles(ctx, job)
	if err != nil {
		return err
	}
	manifest, err := d.opt.Worker.Collect(ctx, files)
	if err != nil {
		return d.failed(ctx, job, err)
	}
	if job, err = d.move(ctx, job, journal.JobUploading, "uploading", ""); err != nil {
		return err
	}
	done, err := d.opt.Worker.Upload(ctx, files, manifest, outputs.UploadEnv{
		Tickets: d.client.Load(), Ledger: d.journal, Progress: func(p outputs.Progress) { d.busy.Store(key, p) },
	})
	if err != nil {
		return d.failed(ctx, job, err)
	}
	return d.conclude(ctx, job, done)
}

// move changes the state and tells the new phase; a job that is there already is left alone.
func (d *Daemon) move(ctx context.Context, job journal.Job, to journal.JobState, phase, message string) (journal.Job, error) {
	if job.State == to {
		return job, nil
	}
	return d.journal.PutJob(ctx, journal.Change{Key: job.JobKey, To: to, MustExist: true, Apply: func(j *journal.Job) {
		j.Detail.UploadPhase, j.Detail.Message = phase, message
	}, Event: &journal.EventDraft{Type: "upload", Message: message}})
}

func (d *Daemon) keep(ctx context.Context, job journal.Job, why string) error {
	change := journal.Change{Key: job.JobKey, To: journal.JobKept, MustExist: true, Apply: func(j *journal.Job) {
		j.Detail.UploadPhase, j.Detail.Message = "none", why
	}}
	if d.tell(job.UID) {
		change.Event = &journal.EventDraft{Type: "upload", Message: why}
	}
	_, err := d.journal.PutJob(ctx, change)
	return err
}

// failed decides what an error of the worker means for the job.
func (d *Daemon) failed(ctx context.Context, job journal.Job, err error) error {
	if ctx.Err() != nil {
		return err // stopping: the state on disk is where the next start goes on
	}
	var refused *outputs.Refusal
	switch {
	case errors.Is(err, outputs.ErrUnsupported), errors.Is(err, outputs.ErrNotLinked):
		return d.keep(ctx, job, err.Error())
	case errors.Is(err, outputs.ErrNeedsLogin):
		return d.wait(ctx, job, journal.JobNeedsLogin, "waiting", err.Error(), d.opt.Config.Uploads.RetryBlocked)
	case errors.As(err, &refused) && job.State == journal.JobUploading:
		return d.wait(ctx, job, journal.JobUploadBlocked, "blocked", refused.Error(), d.opt.Config.Uploads.RetryBlocked)
	}
	return d.later(ctx, job, job.Detail.Message, err)
}

func (d *Daemon) wait(ctx context.Context, job journal.Job, to journal.JobState, phase, message string, wait time.Duration) error {
	due := d.opt.Now().Add(wait)
	_, err := d.journal.PutJob(ctx, journal.Change{Key: job.JobKey, To: to, MustExist: true, Apply: func(j *journal.Job) {
		j.Due, j.Detail.UploadPhase, j.Detail.Message = due, phase, message
	}, Event: &journal.EventDraft{Type: "upload", Message: message}})
	return err
}

// later tries the same state again, each time after twice the wait, and gives the cause back for the log.
func (d *Daemon) later(ctx context.Context, job journal.Job, message string, cause error) error {
	due := d.opt.Now().Add(retryFirst << min(job.Detail.Tries, retryDoublings))
	_, err := d.journal.PutJob(ctx, journal.Change{Key: job.JobKey, MustExist: true, Apply: func(j *journal.Job) {
		j.Due, j.Detail.Message = due, message
		j.Detail.Tries++
	}})
	return errors.Join(cause, err)
}

// conclude ends a round: verified when nothing is left to send, blocked when something was refused.
func (d *Daemon) conclude(ctx context.Context, job journal.Job, m outputs.Manifest) error {
	var stored, blocked, open int
	for _, e := range m.Entries {
		switch e.Status {
		case outputs.StatusStored:
			stored++
		case outputs.StatusBlocked:
			blocked++
		case outputs.StatusFound:
			open++
		case outputs.StatusSkipped, outputs.StatusUnstable, outputs.StatusMissing:
		}
	}
	if open > 0 {
		return d.later(ctx, job, "", fmt.Errorf("%d files are not stored yet", open))
	}
	change := journal.Change{Key: job.JobKey, To: journal.JobVerified, MustExist: true}
	phase, message, due := "verified", fmt.Sprintf("%d of %d files stored and verified", stored, len(m.Entries)), time.Time{}
	if blocked > 0 {
		change.To = journal.JobUploadBlocked
		phase, message, due = "blocked", firstReason(m, blocked), d.opt.Now().Add(d.opt.Config.Uploads.RetryBlocked)
		d.opt.Log.Warn("outputs of a job are refused", "job", job.SlurmJobID, "user", job.User, "why", message, "again", due)
	}
	change.Apply = func(j *journal.Job) {
		j.Due, j.Detail.UploadPhase, j.Detail.Message, j.Detail.Tries = due, phase, message, 0
	}
	change.Event = &journal.EventDraft{Type: "manifest", Message: message, Manifest: m.Entries}
	_, err := d.journal.PutJob(ctx, change)
	return err
}

func firstReason(m outputs.Manifest, blocked int) string {
	for _, e := range m.Entries {
		if e.Status == outputs.StatusBlocked {
			return fmt.Sprintf("%d files were refused, the first because: %s", blocked, e.Reason)
		}
	}
	return ""
}

// jobFiles says where a job's files are.
func (d *Daemon) jobFiles(ctx context.Context, job journal.Job) (outputs.JobFiles, error) {
	out := outputs.JobFiles{
		JobID: job.JobID, Attempt: job.Attempt, SubmissionID: job.SubmissionID, SlurmJobID: job.SlurmJobID, JobIDRaw: job.JobIDRaw,
		UID: job.UID, User: job.User, ArrayTask: job.Detail.ArrayTask, Caps: d.opt.Config.Caps(),
		StartedAt: job.Detail.StartAt,
		Dirs:      outputs.Dirs{Work: job.Detail.WorkDir, Stdout: job.Detail.Stdout, Stderr: job.Detail.Stderr},
	}
	if f := d.facts.Load(); f != nil && f.profileDir != "" && job.User != "" {
		out.Dirs.Profile = filepath.Join(f.profileDir, filepath.Base(job.User))
	}
	if job.SubmissionID == uuid.Nil {
		return out, nil
	}
	s, err := d.journal.Submission(ctx, job.SubmissionID)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return out, err
	}
	out.GID, out.Globs, out.Dirs.Output, out.Dirs.Scratch = s.Detail.GID, s.Detail.Globs, s.Detail.Dirs.Output, s.Detail.Dirs.Scratch
	return out, nil
}
