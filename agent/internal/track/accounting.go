package track

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// fromAccounting looks at every active attempt that squeue does not show alive. partial says that squeue rows were
// unreadable: then not being shown proves nothing, and no cycle is counted.
func (t *Tracker) fromAccounting(ctx context.Context, alive map[journal.JobKey]bool, partial bool) error {
	var gone []journal.Job
	for job, err := range t.opt.Journal.ActiveJobs(ctx) {
		if err != nil {
			return err
		}
		if alive[job.JobKey] {
			delete(t.absent, job.JobKey)
			continue
		}
		if !t.sees(job.UID) {
			continue
		}
		if !partial {
			t.absent[job.JobKey]++
		}
		gone = append(gone, job)
	}
	var faults []error
	for _, view := range t.views {
		mine := slices.DeleteFunc(slices.Clone(gone), func(job journal.Job) bool { v, _ := t.viewOf(job.UID); return v != view })
		for batch := range slices.Chunk(mine, slurm.MaxIDs) {
			if err := t.lookUp(ctx, view, batch); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(faults...)
}

func (t *Tracker) lookUp(ctx context.Context, view View, jobs []journal.Job) error {
	ids := make([]string, 0, len(jobs))
	for _, job := range jobs {
		if !slices.Contains(ids, job.JobIDRaw) {
			ids = append(ids, job.JobIDRaw)
		}
	}
	table, err := t.opt.Slurm.ByID(ctx, view.User, ids)
	if err != nil {
		return fmt.Errorf("asking sacct for %d jobs: %w", len(ids), err)
	}
	if err := t.takeEnds(ctx, table); err != nil {
		return err
	}
	if err := t.settle(ctx, jobs); err != nil {
		return err
	}
	if err := t.send(ctx, table); err != nil {
		t.opt.Log.Info("accounting waits for the control plane", "error", err)
	}
	return nil
}

// takeEnds writes terminal rows down, oldest incarnation first.
func (t *Tracker) takeEnds(ctx context.Context, table slurm.Table) error {
	var rows []observation
	for o, err := range t.assign(ctx, pileOf(table.Rows), fromAccountingRow) {
		if err != nil {
			return err
		}
		rows = append(rows, o)
	}
	known, err := t.openBook(ctx, rows)
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b observation) int { return a.submit.Compare(b.submit) })
	for _, o := range rows {
		if o.set() {
			continue
		}
		id := o.jobID(t.opt.Cluster())
		job, found := known.find(id)
		var err error
		switch {
		case !found:
			job, err = t.begin(ctx, journal.JobKey{JobID: id}, o, known)
		case later(o, job):
			job, err = t.requeue(ctx, job, o, known)
		case !sameIncarnation(o, job):
			continue // an earlier one
		}
		if err != nil {
			return err
		}
		if err := t.end(ctx, job, o); err != nil {
			return err
		}
	}
	return nil
}

// sameIncarnation compares submit times, to the second as Slurm prints them.
func sameIncarnation(o observation, job journal.Job) bool {
	return o.submit.Unix() == job.SubmitAt.Unix()
}

// end moves an attempt to SETTLING when its row is terminal, and refreshes what a settling one knows. An attempt whose
// own incarnation was requeued is superseded by the next, which squeue or a later row shows.
func (t *Tracker) end(ctx context.Context, job journal.Job, o observation) error {
	if !o.state.Terminal() || o.end.IsZero() || !job.State.Active() && job.State != journal.JobLost {
		return nil
	}
	if t.absent[job.JobKey] == 0 && job.State != journal.JobSettling && job.State != journal.JobLost {
		return nil // this cycle's squeue has shown it alive, or could not be read
	}
	next := merged(job.Detail, o.detail)
	event := ""
	if job.State != journal.JobSettling || next.SlurmState != job.Detail.SlurmState {
		event = "state"
	}
	if event == "" && next.EndAt.Equal(job.Detail.EndAt) {
		return nil
	}
	_, err := t.put(ctx, journal.Change{Key: job.JobKey, To: journal.JobSettling, MustExist: true, Apply: o.over(t.opt.Now())}, job.UID, event)
	return err
}

// settle ends attempts that accounting has closed and squeue has not shown for two cycles, and gives up those of which
// there has been no trace for a week.
func (t *Tracker) settle(ctx context.Context, jobs []journal.Job) error {
	for _, before := range jobs {
		job, err := t.opt.Journal.Job(ctx, before.JobKey)
		if err != nil {
			return err
		}
		switch {
		case job.State == journal.JobSettling && t.absent[job.JobKey] >= absentCycles:
			err = t.finish(ctx, job)
		case job.State.Active() && job.State != journal.JobSettling && t.counts(job.UID) && t.lost(job):
			_, err = t.put(ctx, journal.Change{Key: job.JobKey, To: journal.JobLost, MustExist: true, Apply: func(j *journal.Job) {
				j.Detail.SlurmState, j.Detail.APIState = "LOST", string(slurmfmt.StateFailed)
			}}, job.UID, "state")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lost counts only while Slurm answers: a cycle that fails never comes here.
func (t *Tracker) lost(job journal.Job) bool {
	return !job.Detail.SeenAt.IsZero() && t.opt.Now().Sub(job.Detail.SeenAt) > t.opt.Timing.LostAfter
}

func (t *Tracker) finish(ctx context.Context, job journal.Job) error {
	upload := t.opt.Upload(job.UID)
	due := t.opt.Now().Add(t.opt.Timing.Settle)
	_, err := t.put(ctx, journal.Change{Key: job.JobKey, To: journal.JobEnded, MustExist: true, Apply: func(j *journal.Job) {
		j.Due, j.Detail.UploadPhase = due, "none"
		if upload {
			j.Detail.UploadPhase = "waiting"
		}
	}}, job.UID, "upload")
	if err == nil {
		delete(t.absent, job.JobKey)
	}
	return err
}

const metaThrough = "accounting_through"

// ingest asks by each view for the next accounting window and hands it on.
func (t *Tracker) ingest(ctx context.Context) error {
	due := t.opt.Now().Sub(t.window) >= t.opt.Timing.WindowEvery
	var faults []error
	for _, view := range t.views {
		faults = append(faults, t.ingestView(ctx, view, due))
	}
	return errors.Join(faults...)
}

// ingestView moves the view's watermark only when the control plane has the window.
func (t *Tracker) ingestView(ctx context.Context, view View, due bool) error {
	now := t.opt.Now()
	through, err := t.opt.Journal.MetaTime(ctx, view.through())
	if err != nil {
		return err
	}
	if through.IsZero() {
		through = now.Add(-t.opt.Timing.Lookback + t.opt.Timing.Overlap)
	}
	caughtUp := now.Sub(through) < t.opt.Timing.Overlap
	if caughtUp && !due {
		return nil
	}
	from := through.Add(-t.opt.Timing.Overlap)
	to := now
	if to.Sub(from) > slurm.MaxWindow {
		to = from.Add(slurm.MaxWindow)
	}
	t.window = now
	table, err := t.opt.Slurm.Window(ctx, from, to, view.User)
	if err != nil {
		return fmt.Errorf("asking sacct for a window%s: %w", view.as(), err)
	}
	if err := t.takeEnds(ctx, table); err != nil {
		return err
	}
	if err := t.send(ctx, table); err != nil {
		return fmt.Errorf("handing on accounting: %w", err)
	}
	return t.opt.Journal.SetMetaTime(ctx, view.through(), to)
}

// maxBatch is how many rows one call of the API may carry.
const maxBatch = 5000

// maxSent bounds what is remembered of what was sent; forgetting only means sending again.
const maxSent = 200_000

// send hands on the rows of jobs that have changed since they were last sent. All rows of a job go together. After a
// failure nothing more is sent in the same cycle: a server that hangs would hold up polling for a timeout at each call.
// What is left comes again, because the watermark of the window stays where it is.
func (t *Tracker) send(ctx context.Context, table slurm.Table) error {
	if table.Bad > 0 {
		t.opt.Log.Warn("sacct rows could not be read", "rows", table.Bad, "examples", table.BadText)
	}
	var rows [][]string
	var marks []uint64
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		if t.unsent != nil {
			return t.unsent
		}
		if err := t.opt.Sink.Accounting(ctx, table.Columns, rows); err != nil {
			t.unsent = err
			return err
		}
		t.remember(marks)
		rows, marks = nil, nil
		return nil
	}
	for _, group := range groups(table.Rows) {
		mark := t.hash(group)
		if _, known := t.sent[mark]; known {
			continue
		}
		if len(rows)+len(group) > maxBatch {
			if err := flush(); err != nil {
				return err
			}
		}
		rows, marks = append(rows, group...), append(marks, mark)
	}
	return flush()
}

func (t *Tracker) remember(marks []uint64) {
	if len(t.sent)+len(marks) > maxSent {
		clear(t.sent)
	}
	for _, m := range marks {
		t.sent[m] = struct{}{}
	}
}

// groups puts the rows of one job together: a job's own row and the steps that follow it. A job with more rows than a
// batch holds is cut.
func groups(rows []*slurmfmt.Record) [][][]string {
	var out [][][]string
	last := ""
	for _, rec := range rows {
		name := rec.Get("JobID")
		if id, err := rec.ID(); err == nil {
			name = id.Job().String()
			if !id.IsStep() {
				last = "" // a row of a job begins a group, also of another incarnation
			}
		}
		if n := len(out); n > 0 && name == last && len(out[n-1]) < maxBatch {
			out[n-1] = append(out[n-1], slurm.Fields(rec))
			continue
		}
		out, last = append(out, [][]string{slurm.Fields(rec)}), name
	}
	return out
}

func (t *Tracker) hash(group [][]string) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, row := range group {
		for _, field := range row {
			_, _ = h.WriteString(field)
			_ = h.WriteByte(0)
		}
		_ = h.WriteByte(1)
	}
	return h.Sum64()
}

// capture limits: slurmctld knows paths only until MinJobAge after the end.
const (
	capturesPerCycle = 20
	captureTries     = 5
)

// capturePaths asks for the files of attempts that do not know theirs yet.
func (t *Tracker) capturePaths(ctx context.Context) error {
	var unknown []journal.Job
	for job, err := range t.opt.Journal.ActiveJobs(ctx) {
		if err != nil {
			return err
		}
		if job.Detail.Stdout == "" && job.Detail.PathsAsked < captureTries {
			unknown = append(unknown, job)
		}
		if len(unknown) == capturesPerCycle {
			break
		}
	}
	for _, job := range unknown {
		if err := t.captureJob(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) captureJob(ctx context.Context, job journal.Job) error {
	id, err := slurmfmt.ParseJobID(job.SlurmJobID)
	if err != nil {
		return nil // an id that another version wrote is left alone
	}
	ctx2, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	paths, err := t.opt.Slurm.JobPaths(ctx2, id)
	if err != nil {
		paths = slurm.Paths{}
	}
	_, err = t.opt.Journal.PutJob(ctx, journal.Change{Key: job.JobKey, MustExist: true, Apply: func(j *journal.Job) {
		j.Detail.PathsAsked++
		if !unresolved(paths) {
			j.Detail.Stdout, j.Detail.Stderr = paths.Stdout, paths.Stderr
		}
		keep(&j.Detail.WorkDir, paths.WorkDir)
	}})
	return err
}
