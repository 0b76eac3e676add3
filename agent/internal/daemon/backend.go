package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/google/uuid"
)

// backend is what the socket may ask of the daemon.
type backend Daemon

func refuse(status int, format string, args ...any) error {
	return &socket.Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// Limits of what an intent may hold.
const (
	maxGlobs    = 256
	maxPath     = 4096
	maxBaseID   = 20
	uuidVersion = 7
)

func checkIntent(in socket.Intent) error {
	if in.SubmissionID.Version() != uuidVersion {
		return refuse(http.StatusBadRequest, "submission_id must be a UUIDv7")
	}
	if len(in.Globs) > maxGlobs {
		return refuse(http.StatusBadRequest, "more than %d output patterns", maxGlobs)
	}
	if in.Script != nil && !in.Script.Valid() || in.InputBytes < 0 {
		return refuse(http.StatusBadRequest, "script is no digest with numbers, or input_bytes is negative")
	}
	for _, text := range append([]string{in.Dirs.Output, in.Dirs.Scratch, in.Dirs.Work}, in.Globs...) {
		if len(text) > maxPath || strings.ContainsRune(text, 0) {
			return refuse(http.StatusBadRequest, "a path is too long")
		}
	}
	for _, dir := range []string{in.Dirs.Output, in.Dirs.Scratch, in.Dirs.Work} {
		if dir != "" && !filepath.IsAbs(dir) {
			return refuse(http.StatusBadRequest, "a directory is not absolute")
		}
	}
	return nil
}

// own gives the submission as it is, a new one when there is none, and refuses to touch another user's.
func (b *backend) own(ctx context.Context, peer socket.Peer, id uuid.UUID) (journal.Submission, error) {
	s, err := b.journal.Submission(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return journal.Submission{}, nil
	}
	if err == nil && s.UID != peer.UID {
		err = refuse(http.StatusForbidden, "this submission is another user's")
	}
	return s, err
}

// fill writes what the wrapper said into the row. Only these directories are taken from it: where the job itself writes
// is asked of Slurm. The name is what is remembered: sbatch waits.
func (b *backend) fill(peer socket.Peer, in socket.Intent) func(*journal.Submission) {
	name, _ := b.names.remembered(peer.UID)
	return func(s *journal.Submission) {
		s.UID, s.Detail.GID = peer.UID, peer.GID
		if name != "" {
			s.User = name
		}
		s.Detail.Dirs.Output, s.Detail.Dirs.Scratch, s.Detail.Globs = in.Dirs.Output, in.Dirs.Scratch, in.Globs
		if in.Script != nil {
			s.Detail.Script = in.Script
		}
		s.Detail.InputBytes = max(s.Detail.InputBytes, in.InputBytes)
		s.Detail.Adopted = false // from now on we were told
	}
}

// Intent writes INTENT and SUBMITTING: when the answer leaves, sbatch may run.
func (b *backend) Intent(ctx context.Context, peer socket.Peer, in socket.Intent) error {
	if err := checkIntent(in); err != nil {
		return err
	}
	if err := b.journal.Ready(); err != nil {
		return refuse(http.StatusInsufficientStorage, "%s", err.Error())
	}
	s, err := b.journal.BeginSubmission(ctx, in.SubmissionID, b.fill(peer, in))
	switch {
	case errors.Is(err, journal.ErrEdge): // there is one already, and it is further: nothing was written
		_, err = b.own(ctx, peer, in.SubmissionID)
		return err
	case err != nil:
		return b.full(err)
	}
	(*Daemon)(b).nameLater(s)
	return nil
}

func (b *backend) full(err error) error {
	if errors.Is(err, journal.ErrDiskFull) {
		return refuse(http.StatusInsufficientStorage, "%s", journal.ErrDiskFull.Error())
	}
	return err
}

// Result writes what sbatch answered. An id is acceptance. Without one only a refusal in so many words is certain ("Socket
// timed out" may have been accepted): everything else is decided by the tag.
func (b *backend) Result(ctx context.Context, peer socket.Peer, r socket.Result) error {
	if err := checkIntent(r.Intent); err != nil {
		return err
	}
	if len(r.BaseID) > maxBaseID || strings.Trim(r.BaseID, "0123456789") != "" {
		return refuse(http.StatusBadRequest, "base_id must be a job number")
	}
	before, err := b.own(ctx, peer, r.SubmissionID)
	if err != nil {
		return err
	}
	fill := b.fill(peer, r.Intent)
	if before.State == "" { // its intent never arrived
		if before, err = b.journal.PutSubmission(ctx, r.SubmissionID, journal.SubmissionIntent, fill); err != nil {
			return b.full(err)
		}
	}
	s, err := b.journal.PutSubmission(ctx, r.SubmissionID, became(r), func(s *journal.Submission) {
		fill(s)
		s.Detail.ExitCode, s.Detail.Signal = &r.ExitCode, r.Signal
		if r.BaseID != "" && s.BaseID == "" {
			s.BaseID = r.BaseID
		}
	})
	switch {
	case errors.Is(err, journal.ErrEdge): // tracking was faster, or the tag stands on several jobs
		s, err = b.journal.PutSubmission(ctx, r.SubmissionID, "", fill)
	case err == nil && s.State == journal.SubmissionTracked:
		(*Daemon)(b).noteSubmission(s)
	}
	if err != nil {
		return b.full(err)
	}
	(*Daemon)(b).nameLater(s)
	// what is claimed is told with its description
	return errors.Join(b.describe(ctx, s, !before.Detail.Adopted), b.claim(ctx, before), b.recollect(ctx, before, r.Intent))
}

// describe writes what the wrapper said of script and inputs to jobs that tracking began before it did. The control plane is
// told with the next event of the job; there is one at its end at the latest. Of a job whose end is told already one is made,
// where tell says that no other is.
func (b *backend) describe(ctx context.Context, s journal.Submission, tell bool) error {
	jobs, err := b.journal.JobsOfSubmission(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		if (job.Detail.Script != nil || s.Detail.Script == nil) && job.Detail.InputBytes == s.Detail.InputBytes {
			continue
		}
		change := journal.Change{Key: job.JobKey, MustExist: true, Apply: func(j *journal.Job) {
			j.Detail.Script, j.Detail.InputBytes = s.Detail.Script, s.Detail.InputBytes
		}}
		if tell && ended(job.State) && (*Daemon)(b).tell(job.UID) {
			change.Event = &journal.EventDraft{Type: "state", Offer: true}
		}
		if _, err := b.journal.PutJob(ctx, change); err != nil {
			return b.full(err)
		}
	}
	return nil
}

// ended says that the end of an attempt may be told already.
func ended(s journal.JobState) bool { return !s.Active() || s == journal.JobSettling }

// claim makes the jobs of a submission that was found by its tag ours: the wrapper has spoken to us, so we know what was
// declared, and another agent that has found them too gives way.
func (b *backend) claim(ctx context.Context, before journal.Submission) error {
	if !before.Detail.Adopted {
		return nil
	}
	jobs, err := b.journal.JobsOfSubmission(ctx, before.ID)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		change := journal.Change{Key: job.JobKey, MustExist: true, Apply: func(j *journal.Job) { j.Detail.Told = true }}
		if (*Daemon)(b).tell(job.UID) {
			change.Event = &journal.EventDraft{Type: "state", Offer: true}
		}
		if _, err := b.journal.PutJob(ctx, change); err != nil {
			return b.full(err)
		}
	}
	return nil
}

// became is what a result says of its submission.
func became(r socket.Result) journal.SubmissionState {
	switch {
	case r.BaseID != "":
		return journal.SubmissionTracked
	case r.NotStarted, r.Refused:
		return journal.SubmissionRejected
	}
	return journal.SubmissionUnknown
}

// recollect looks again at jobs whose outputs were collected before anybody knew what was declared: their wrapper could
// not reach an agent, and its result came late.
func (b *backend) recollect(ctx context.Context, before journal.Submission, in socket.Intent) error {
	if len(before.Detail.Globs) > 0 || len(in.Globs) == 0 {
		return nil
	}
	jobs, err := b.journal.JobsOfSubmission(ctx, in.SubmissionID)
	if err != nil {
		return err
	}
	again := map[journal.JobState]journal.JobState{journal.JobVerified: journal.JobUploading, journal.JobKept: journal.JobCollecting}
	for _, job := range jobs {
		to, closed := again[job.State]
		if !closed {
			continue
		}
		if _, err := b.journal.PutJob(ctx, journal.Change{Key: job.JobKey, To: to, MustExist: true}); err != nil {
			return b.full(err)
		}
	}
	return nil
}

// Link answers a challenge for the peer that the kernel has proven.
func (b *backend) Link(ctx context.Context, peer socket.Peer, challenge string) (socket.Linked, error) {
	c := b.client.Load()
	if c == nil {
		return socket.Linked{}, refuse(http.StatusConflict, "this agent is not enrolled at a server yet; ask your administrators, or run your own: ergon agent enrol")
	}
	if challenge == "" || len(challenge) > 128 {
		return socket.Linked{}, refuse(http.StatusBadRequest, "a challenge of 1 to 128 characters is needed")
	}
	who, err := (*Daemon)(b).account(ctx, peer.UID)
	if err != nil {
		return socket.Linked{}, err
	}
	link, err := c.ConfirmLink(ctx, challenge, who)
	if err != nil {
		return socket.Linked{}, visible(err)
	}
	if err := (*Daemon)(b).refreshLinks(ctx); err != nil {
		b.opt.Log.Warn("asking for the links after a new one", "error", err)
	}
	return socket.Linked{Cluster: link.Cluster, UID: peer.UID, UnixName: who.Name}, nil
}

// visible lets the peer read what the server said to the agent about his own request.
func visible(err error) error {
	var p *outbound.Problem
	switch {
	case errors.As(err, &p) && !p.Temporary():
		return refuse(http.StatusConflict, "%s", p.Error())
	case errors.Is(err, outbound.ErrUnreachable), errors.As(err, &p):
		return refuse(http.StatusBadGateway, "the agent cannot reach the server just now: %s", err.Error())
	case errors.Is(err, cloud.ErrRevoked):
		return refuse(http.StatusConflict, "%s", cloud.ErrRevoked.Error())
	}
	return err
}

// Unlink removes the peer's link, without any credentials of the platform.
func (b *backend) Unlink(ctx context.Context, peer socket.Peer) error {
	c := b.client.Load()
	if c == nil {
		return refuse(http.StatusConflict, "this agent is not enrolled, so nothing is linked here")
	}
	if err := c.Unlink(ctx, peer.UID); err != nil {
		return visible(err)
	}
	if err := (*Daemon)(b).refreshLinks(ctx); err != nil {
		b.opt.Log.Warn("asking for the links after an unlink", "error", err)
	}
	return nil
}

// maxJobs is how many attempts Jobs and Status look at.
const maxJobs = 1000

// Status tells how the agent is, and how the peer stands.
func (b *backend) Status(ctx context.Context, peer socket.Peer) (socket.Status, error) {
	d := (*Daemon)(b)
	out := socket.Status{Version: b.opt.Version, Mode: "user", Cluster: d.cluster(), UID: peer.UID, Uploads: d.uploadsEnabled(), Revoked: b.revoked.Load()}
	if b.opt.System {
		out.Mode = "system"
	}
	if id := b.id.Load(); id != nil {
		out.Enrolled, out.Server = true, id.Server
	}
	out.UnixName, _ = b.names.of(ctx, peer.UID) // unknown stays ""
	if linked, known := d.linked(peer.UID); known {
		out.Linked = &linked
	}
	if c := b.client.Load(); c != nil {
		if offset, ok := c.Skew(); ok {
			seconds := offset.Seconds()
			out.ClockOffset = &seconds
		}
	}
	d.problems(&out)
	events, since, err := b.journal.OutboxSize(ctx)
	if err != nil {
		return out, err
	}
	out.OutboxEvents, out.OutboxSince = events, moment(since)
	jobs, err := b.journal.JobsOf(ctx, peer.UID, maxJobs)
	if err != nil {
		return out, err
	}
	out.Jobs = map[string]int{}
	for _, j := range jobs {
		out.Jobs[string(j.State)]++
		if p, sending := d.progress(j.JobKey); sending {
			out.Sending = append(out.Sending, socket.Sending{
				SlurmJobID: j.SlurmJobID, Files: p.Files, FilesTotal: p.FilesTotal, Bytes: p.Bytes, BytesTotal: p.BytesTotal, Current: term.Clean(p.Current),
			})
		}
	}
	return out, nil
}

// progress tells how far an upload is; a job without files to send, or not yet sending, has none.
func (d *Daemon) progress(key journal.JobKey) (outputs.Progress, bool) {
	v, _ := d.busy.Load(key)
	p, _ := v.(outputs.Progress)
	return p, p.FilesTotal > 0
}

func (d *Daemon) problems(out *socket.Status) {
	tracking := d.tracker.Status()
	out.SlurmAnsweredAt = moment(tracking.Answered)
	if tracking.Problem != "" && tracking.Problem != errNoServer.Error() {
		out.Problems = append(out.Problems, tracking.Problem)
	}
	if err := d.journal.Ready(); err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	if d.journal.Rebuilt() {
		out.Problems = append(out.Problems, "the journal was corrupt and has been rebuilt; cleanup is off")
	}
	if f := d.facts.Load(); f != nil && f.limited != "" {
		out.Problems = append(out.Problems, f.limited)
	}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Jobs lists the peer's newest attempts.
func (b *backend) Jobs(ctx context.Context, peer socket.Peer) ([]socket.Job, error) {
	found, err := b.journal.JobsOf(ctx, peer.UID, maxJobs)
	if err != nil {
		return nil, err
	}
	out := make([]socket.Job, 0, len(found))
	for _, j := range found {
		out = append(out, socket.Job{
			JobID: j.JobID, SubmissionID: j.SubmissionID, Attempt: j.Attempt, SlurmJobID: j.SlurmJobID, Name: j.Detail.Name,
			State: string(j.State), SlurmState: j.Detail.SlurmState, UploadPhase: j.Detail.UploadPhase, Message: j.Detail.Message,
			SubmitAt: j.SubmitAt, StaleSince: moment(j.Detail.StaleSince),
		})
	}
	return out, nil
}

var _ outputs.Tickets = (*cloud.Client)(nil)
