package track_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/track"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// world is a cluster in memory: what squeue and sacct show, and whether they answer.
type world struct {
	t                *testing.T
	now              time.Time
	queue, acct      []slurmtest.Row
	queueErr, dbdErr error
	paths            map[string]slurm.Paths
	j                *journal.Journal
	tracker          *track.Tracker
	posted           [][]string
	postErr          error
	posts            int
	linked           bool
	meanwhile        func() // happens between the look at a job and the step that is written
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: start, paths: map[string]slurm.Paths{}, linked: true, meanwhile: func() {}}
	var err error
	w.j, err = journal.Open(t.Context(), journal.Options{
		Dir: filepath.Join(t.TempDir(), "state"), Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler), ReserveBytes: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.j.Close() })
	w.tracker = track.New(track.Options{
		Cluster: func() string { return "lab" }, Slurm: w, Journal: w.j, Sink: w, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
		Tell: func(uint32) bool { w.meanwhile(); return w.linked }, Upload: func(uint32) bool { return true },
	})
	return w
}

func records(columns []string, rows []slurmtest.Row) slurm.Table {
	cols := slurmfmt.NewColumns(columns...)
	table := slurm.Table{Columns: columns}
	for _, row := range rows {
		fields := make([]string, len(columns))
		for i, name := range columns {
			fields[i] = row[name]
		}
		table.Rows = append(table.Rows, slurmfmt.NewRecord(cols, fields, nil))
	}
	return table
}

// EachQueued shows its rows also when it fails then, as a squeue does that breaks off.
func (w *world) EachQueued(_ context.Context, _ string, row func(*slurmfmt.Record)) (slurm.Table, error) {
	for _, rec := range records(slurmfmt.SqueueColumns(), w.queue).Rows {
		row(rec)
	}
	return slurm.Table{Columns: slurmfmt.SqueueColumns()}, w.queueErr
}

func (w *world) ByID(_ context.Context, _ string, ids []string) (slurm.Table, error) {
	var rows []slurmtest.Row
	for _, row := range w.acct {
		for _, id := range ids {
			if row["JobIDRaw"] == id {
				rows = append(rows, row)
			}
		}
	}
	return records(slurmfmt.SacctColumns(), rows), w.dbdErr
}

func (w *world) Window(context.Context, time.Time, time.Time, string) (slurm.Table, error) {
	return records(slurmfmt.SacctColumns(), w.acct), w.dbdErr
}

func (w *world) JobPaths(_ context.Context, id slurmfmt.JobID) (slurm.Paths, error) {
	p, ok := w.paths[id.String()]
	if !ok {
		return p, &slurm.CommandError{Command: "scontrol", Fault: slurmfmt.FaultInvalidJob, Exit: 1}
	}
	return p, nil
}

func (w *world) Accounting(_ context.Context, _ []string, rows [][]string) error {
	w.posts++
	if w.postErr == nil {
		w.posted = append(w.posted, rows...)
	}
	return w.postErr
}

// cycle lets half a minute pass and polls.
func (w *world) cycle() error {
	w.t.Helper()
	w.now = w.now.Add(30 * time.Second)
	return w.tracker.Cycle(w.t.Context())
}

func (w *world) cycles(n int) {
	w.t.Helper()
	for range n {
		if err := w.cycle(); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) attempts(submission uuid.UUID, suffix string) []journal.Job {
	w.t.Helper()
	jobs, err := w.j.Attempts(w.t.Context(), jobkey.Tagged(submission, suffix))
	if err != nil {
		w.t.Fatal(err)
	}
	return jobs
}

func (w *world) only(submission uuid.UUID) journal.Job {
	w.t.Helper()
	jobs := w.attempts(submission, "")
	if len(jobs) != 1 {
		w.t.Fatalf("%d attempts, want 1: %+v", len(jobs), jobs)
	}
	return jobs[0]
}

func at(d time.Duration) string { return strconv.FormatInt(start.Add(d).Unix(), 10) }

// job is one row, for squeue and sacct alike.
func job(id, raw, state string, submission uuid.UUID) slurmtest.Row {
	return slurmtest.Row{
		"JobID": id, "JobIDRaw": raw, "UID": "1000", "User": "alice", "State": state, "Submit": at(0), "JobName": "train",
		"Comment": jobkey.Tag(submission, "own"), "NNodes": "1", "AllocCPUS": "2", "WorkDir": "/home/alice",
	}
}

func with(row slurmtest.Row, pairs ...string) slurmtest.Row {
	out := slurmtest.Row{}
	for k, v := range row {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func ended(row slurmtest.Row, state, code string) slurmtest.Row {
	return with(row, "State", state, "ExitCode", code, "Start", at(time.Minute), "End", at(2*time.Minute))
}

func submission(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAJobIsFollowedFromPendingToEnded(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	row := job("7", "7", "PENDING", s)
	w.paths["7"] = slurm.Paths{WorkDir: "/home/alice", Stdout: "/home/alice/o", Stderr: "/home/alice/e"}
	w.queue = []slurmtest.Row{with(row, "Reason", "Priority")}
	w.cycles(1)
	if got := w.only(s); got.State != journal.JobPending || got.Detail.Stdout != "/home/alice/o" || got.Detail.Reason != "Priority" {
		t.Fatalf("got %+v", got)
	}
	w.queue = []slurmtest.Row{with(row, "State", "RUNNING", "Start", at(time.Minute))}
	w.cycles(3)
	if got := w.only(s); got.State != journal.JobRunning || got.Detail.StartAt.IsZero() || got.Detail.ExitCode != nil {
		t.Fatalf("got %+v", got)
	}
	w.queue, w.acct = nil, []slurmtest.Row{ended(row, "FAILED", "3:0")}
	w.cycles(1)
	got := w.only(s)
	if got.State != journal.JobSettling || got.Detail.APIState != "FAILED" || *got.Detail.ExitCode != 3 {
		t.Fatalf("the end must be known in the cycle after it: %+v", got)
	}
	w.cycles(1)
	if got := w.only(s); got.State != journal.JobEnded || got.Detail.UploadPhase != "waiting" {
		t.Fatalf("two cycles without it in squeue end it: %+v", got)
	}
	events, err := w.j.Pending(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range events {
		told = append(told, e.Type+" "+e.Job.Detail.APIState)
	}
	want := []string{"submitted PENDING", "state RUNNING", "state FAILED", "upload FAILED"}
	if len(told) != len(want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Fatalf("told %q, want %q", told, want)
		}
	}
}

func TestNotInSqueueAloneIsNoEnd(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", s)}
	w.cycles(1)
	w.queue = nil
	w.cycles(10)
	if got := w.only(s); got.State != journal.JobRunning {
		t.Fatalf("got %s", got.State)
	}
}

func TestTerminalAccountingWhileSqueueShowsItAliveIsNoEnd(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	row := job("7", "7", "COMPLETING", s)
	w.queue, w.acct = []slurmtest.Row{row}, []slurmtest.Row{ended(row, "COMPLETED", "0:0")}
	w.cycles(5)
	if got := w.only(s); got.State != journal.JobRunning {
		t.Fatalf("got %s", got.State)
	}
}

func TestCommandsThatFailChangeNoState(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	row := job("7", "7", "RUNNING", s)
	w.queue = []slurmtest.Row{row}
	w.cycles(1)
	w.queue, w.queueErr = nil, errors.New("controller down")
	w.acct = []slurmtest.Row{ended(row, "COMPLETED", "0:0")}
	for range 4 {
		if w.cycle() == nil {
			t.Fatal("a failed squeue must be an error")
		}
	}
	if got := w.only(s); got.State != journal.JobRunning || got.Detail.StaleSince.IsZero() {
		t.Fatalf("got %+v", got)
	}
	w.queueErr, w.dbdErr = nil, errors.New("database down")
	for range 4 {
		if w.cycle() == nil {
			t.Fatal("a failed sacct must be an error")
		}
	}
	if got := w.only(s); got.State != journal.JobRunning {
		t.Fatalf("got %s", got.State)
	}
	w.dbdErr = nil
	w.cycles(2)
	if got := w.only(s); got.State != journal.JobEnded || !got.Detail.StaleSince.IsZero() {
		t.Fatalf("got %+v", got)
	}
}

func TestARequeueIsANewAttempt(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	row := job("7", "7", "RUNNING", s)
	w.queue = []slurmtest.Row{row}
	w.cycles(1)
	again := with(row, "State", "PENDING", "Submit", at(3*time.Minute))
	w.queue = []slurmtest.Row{again}
	w.cycles(1)
	jobs := w.attempts(s, "")
	if len(jobs) != 2 || jobs[0].State != journal.JobRequeued || jobs[1].State != journal.JobPending {
		t.Fatalf("got %+v", jobs)
	}
	w.queue = nil
	w.acct = []slurmtest.Row{with(row, "State", "NODE_FAIL", "ExitCode", "0:0", "End", at(2*time.Minute)), with(ended(again, "COMPLETED", "0:0"), "Start", at(4*time.Minute), "End", at(5*time.Minute))}
	w.cycles(2)
	jobs = w.attempts(s, "")
	if jobs[0].State != journal.JobRequeued || jobs[1].State != journal.JobEnded || jobs[1].Detail.APIState != "DONE" {
		t.Fatalf("got %+v", jobs)
	}
}

func TestARequeueAfterTheEndIsANewAttemptToo(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	row := job("7", "7", "RUNNING", s)
	w.queue = []slurmtest.Row{row}
	w.cycles(1)
	w.queue, w.acct = nil, []slurmtest.Row{ended(row, "COMPLETED", "0:0")}
	w.cycles(2)
	w.queue = []slurmtest.Row{with(row, "State", "PENDING", "Submit", at(10*time.Minute))}
	w.cycles(1)
	if jobs := w.attempts(s, ""); len(jobs) != 2 || jobs[0].State != journal.JobRequeued || jobs[1].State != journal.JobPending {
		t.Fatalf("got %+v", jobs)
	}
}

func TestAJobThatEndedWhileTheAgentWasDownIsAdoptedByItsTag(t *testing.T) {
	t.Parallel()
	for name, carrier := range map[string]string{"comment": "Comment", "submit line": "SubmitLine"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorld(t), submission(t)
			row := ended(job("7", "7", "", s), "COMPLETED", "0:0")
			delete(row, "Comment")
			row[carrier] = map[string]string{"Comment": jobkey.Tag(s, ""), "SubmitLine": "sbatch --comment=" + jobkey.Tag(s, "") + " x.sh"}[carrier]
			w.acct = []slurmtest.Row{row}
			w.cycles(3)
			if got := w.only(s); got.State != journal.JobEnded || got.UID != 1000 {
				t.Fatalf("got %+v", got)
			}
			sub, err := w.j.Submission(t.Context(), s)
			if err != nil || sub.State != journal.SubmissionTracked || !sub.Detail.Adopted || sub.BaseID != "7" {
				t.Fatalf("got %+v, %v", sub, err)
			}
		})
	}
}

func TestArrayTasksAppearAsTheySplitAndHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	set := job("7_[1-2]", "7", "PENDING", s)
	w.queue = []slurmtest.Row{set}
	w.cycles(1)
	if n := len(w.attempts(s, "")); n != 0 {
		t.Fatalf("the set itself became %d jobs", n)
	}
	w.queue = []slurmtest.Row{job("7_1", "8", "RUNNING", s), job("7_2", "7", "RUNNING", s)}
	w.cycles(1)
	one, two := w.attempts(s, "_1"), w.attempts(s, "_2")
	if len(one) != 1 || len(two) != 1 || one[0].JobIDRaw != "8" || two[0].Detail.ArrayTask != "2" {
		t.Fatalf("got %+v and %+v", one, two)
	}
	sub, err := w.j.Submission(t.Context(), s)
	if err != nil || sub.State != journal.SubmissionTracked {
		t.Fatalf("tasks share a base id: %+v, %v", sub, err)
	}
}

func TestHetComponentsAreJobsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	w.queue = []slurmtest.Row{job("21+0", "21", "RUNNING", s), job("21+1", "22", "RUNNING", s)}
	w.cycles(1)
	if len(w.attempts(s, "+0")) != 1 || len(w.attempts(s, "+1")) != 1 {
		t.Fatal("both components must be tracked")
	}
}

func TestTwoBaseIDsWithOneTagAreReportedAndBothFollowed(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	second := with(job("9", "9", "RUNNING", s), "Submit", at(time.Second))
	w.queue = []slurmtest.Row{second, job("7", "7", "RUNNING", s)}
	w.cycles(2)
	sub, err := w.j.Submission(t.Context(), s)
	if err != nil || sub.State != journal.SubmissionAmbiguous || sub.BaseID != "7" || len(sub.Detail.Others) != 1 || sub.Detail.Others[0] != "9" {
		t.Fatalf("got %+v, %v", sub, err)
	}
	other, err := w.j.Attempts(t.Context(), jobkey.Untagged("lab", "9", start.Add(time.Second).Unix()))
	if err != nil || len(other) != 1 || w.only(s).JobIDRaw != "7" {
		t.Fatalf("got %+v, %v", other, err)
	}
}

func TestAStolenTagBelongsToTheFirstOwner(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	mine := job("7", "7", "RUNNING", s)
	thief := with(job("8", "8", "RUNNING", s), "UID", "1001", "User", "bob", "Submit", at(time.Minute))
	w.queue = []slurmtest.Row{thief, mine}
	w.cycles(1)
	sub, err := w.j.Submission(t.Context(), s)
	if err != nil || sub.UID != 1000 || sub.State != journal.SubmissionTracked {
		t.Fatalf("got %+v, %v", sub, err)
	}
	if jobs, _ := w.j.JobsOf(t.Context(), 1001, 10); len(jobs) != 0 {
		t.Fatalf("bob got %+v", jobs)
	}
}

func TestAJobWhoseTagWasRemovedIsKnownByItsID(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	put := func(to journal.SubmissionState, base string) {
		_, err := w.j.PutSubmission(t.Context(), s, to, func(n *journal.Submission) { n.UID, n.User, n.BaseID = 1000, "alice", base })
		if err != nil {
			t.Fatal(err)
		}
	}
	put(journal.SubmissionIntent, "")
	put(journal.SubmissionTracked, "7")
	bare := job("7", "7", "RUNNING", s)
	delete(bare, "Comment")
	w.queue = []slurmtest.Row{bare, with(bare, "JobID", "8", "JobIDRaw", "8")}
	w.cycles(1)
	if got := w.only(s); got.State != journal.JobRunning || got.SlurmJobID != "7" {
		t.Fatalf("got %+v", got)
	}
}

func TestAnIDThatIsUsedAgainIsAnotherJob(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", s)}
	w.cycles(1)
	w.queue = nil
	other := with(job("7", "7", "", submission(t)), "UID", "1001", "User", "bob", "Submit", at(-24*time.Hour), "Comment", "")
	w.acct = []slurmtest.Row{ended(other, "COMPLETED", "0:0")}
	w.cycles(4)
	if got := w.only(s); got.State != journal.JobRunning {
		t.Fatalf("the other job's end was taken for ours: %s", got.State)
	}
}

func TestASubmissionWithoutResultIsUnknownAndThenFoundOrProvenAbsent(t *testing.T) {
	t.Parallel()
	for name, found := range map[string]bool{"found": true, "absent": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorld(t), submission(t)
			if _, err := w.j.PutSubmission(t.Context(), s, journal.SubmissionIntent, func(n *journal.Submission) { n.UID = 1000 }); err != nil {
				t.Fatal(err)
			}
			w.cycles(22)
			sub, _ := w.j.Submission(t.Context(), s)
			if sub.State != journal.SubmissionUnknown {
				t.Fatalf("after eleven minutes: %s", sub.State)
			}
			want := journal.SubmissionAbsent
			if found {
				want = journal.SubmissionTracked
				w.queue = []slurmtest.Row{job("7", "7", "PENDING", s)}
			}
			w.cycles(8)
			if sub, _ = w.j.Submission(t.Context(), s); sub.State != want {
				t.Fatalf("got %s, want %s", sub.State, want)
			}
		})
	}
}

func TestNothingIsProvenAbsentWhileSlurmDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	if _, err := w.j.PutSubmission(t.Context(), s, journal.SubmissionIntent, nil); err != nil {
		t.Fatal(err)
	}
	w.dbdErr = errors.New("database down")
	for range 100 {
		_ = w.cycle()
	}
	if sub, _ := w.j.Submission(t.Context(), s); sub.State != journal.SubmissionUnknown {
		t.Fatalf("got %s", sub.State)
	}
}

func TestAJobWithoutATraceForAWeekIsLost(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", s)}
	w.cycles(1)
	w.queue = nil
	w.now = w.now.Add(6 * 24 * time.Hour)
	w.cycles(1)
	if got := w.only(s); got.State != journal.JobRunning {
		t.Fatalf("lost too early: %s", got.State)
	}
	w.now = w.now.Add(25 * time.Hour)
	w.cycles(1)
	if got := w.only(s); got.State != journal.JobLost || got.Detail.APIState != "FAILED" {
		t.Fatalf("got %+v", got)
	}
}

func TestAccountingOfAllJobsIsHandedOnOnceAndTheWatermarkWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := ended(with(job("5", "5", "", uuid.New()), "Comment", ""), "COMPLETED", "0:0")
	w.acct = []slurmtest.Row{row, with(row, "JobID", "5.batch", "JobIDRaw", "5.batch")}
	w.postErr = errors.New("server down")
	if w.cycle() == nil {
		t.Fatal("want the server's error")
	}
	if through, _ := w.j.MetaTime(t.Context(), "accounting_through"); !through.IsZero() {
		t.Fatalf("the watermark moved to %s", through)
	}
	w.postErr = nil
	w.cycles(100)
	if len(w.posted) != 2 {
		t.Fatalf("%d rows were sent, want job and step once", len(w.posted))
	}
	through, err := w.j.MetaTime(t.Context(), "accounting_through")
	if err != nil || w.now.Sub(through) > 2*time.Minute {
		t.Fatalf("the watermark is %s behind, %v", w.now.Sub(through), err)
	}
	w.acct[1]["MaxRSS"] = "1000"
	w.cycles(3)
	if len(w.posted) != 4 {
		t.Fatalf("changed usage was not sent again: %d rows", len(w.posted))
	}
}

func TestAUserWhoIsNotLinkedIsToldOfLater(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	w.linked = false
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", s)}
	w.cycles(2)
	if n, _, _ := w.j.OutboxSize(t.Context()); n != 0 {
		t.Fatalf("%d events", n)
	}
	w.linked = true
	w.cycles(2)
	events, err := w.j.Pending(t.Context(), 10)
	if err != nil || len(events) != 1 || events[0].Job.State != journal.JobRunning {
		t.Fatalf("got %+v, %v", events, err)
	}
}

func TestCaptureKeepsThePathsOfAJobAndNotThoseOfAPendingArray(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cases := map[string]struct{ stdout, want string }{
		"7": {"/h/slurm-7.out", "/h/slurm-7.out"},
		"8": {"/h/slurm-8_4294967294.out", ""},
	}
	for base, c := range cases {
		s := submission(t)
		sub, err := w.j.PutSubmission(t.Context(), s, journal.SubmissionTracked, func(n *journal.Submission) { n.BaseID = base })
		if err != nil {
			t.Fatal(err)
		}
		w.paths[base] = slurm.Paths{WorkDir: "/h", Stdout: c.stdout}
		if err := w.tracker.Capture(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		got, err := w.j.Submission(t.Context(), s)
		if err != nil || got.Detail.Dirs.Stdout != c.want || got.Detail.Dirs.Work != "/h" {
			t.Fatalf("%s: got %+v, %v", base, got.Detail.Dirs, err)
		}
	}
}

// slowSink is a server that takes rows and does not answer.
type slowSink struct{ asked, release chan struct{} }

func (s slowSink) Accounting(context.Context, []string, [][]string) error {
	s.asked <- struct{}{}
	<-s.release
	return nil
}

func TestStatusIsToldWhileACycleWaitsForTheServer(t *testing.T) {
	w := newWorld(t)
	sink := slowSink{make(chan struct{}, 100), make(chan struct{})}
	s, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	w.acct = []slurmtest.Row{ended(job("7", "7", "RUNNING", s), "COMPLETED", "0:0")}
	slow := track.New(track.Options{
		Cluster: func() string { return "lab" }, Slurm: w, Journal: w.j, Sink: sink, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
		Tell: func(uint32) bool { return true }, Upload: func(uint32) bool { return true },
	})
	ended := make(chan error, 1)
	go func() { ended <- slow.Cycle(t.Context()) }()
	<-sink.asked
	told := make(chan track.Status, 1)
	go func() { told <- slow.Status() }()
	select {
	case s := <-told:
		if !s.Answered.Equal(w.now) {
			t.Errorf("got %+v", s)
		}
	case <-time.After(5 * time.Second):
		t.Error("the status waits for the cycle")
	}
	close(sink.release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// A server that hangs costs one timeout in a cycle, not one for each call.
func TestAfterAFailedSendACycleSendsNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 700 { // more active jobs than one question to sacct names, and more rows than one look-up
		id := strconv.Itoa(1000 + i)
		w.queue = append(w.queue, job(id, id, "RUNNING", submission(t)))
	}
	w.cycles(1)
	for _, row := range w.queue {
		w.acct = append(w.acct, ended(row, "COMPLETED", "0:0"))
	}
	w.queue, w.postErr, w.posts = nil, errors.New("server hangs"), 0
	for cycle := 1; cycle <= 2; cycle++ {
		if w.cycle() == nil && cycle == 1 {
			t.Error("want the server's error")
		}
		if w.posts > cycle {
			t.Fatalf("%d sends in %d cycles", w.posts, cycle)
		}
	}
	if got, err := w.j.Counts(t.Context()); err != nil || got[journal.JobEnded] != 700 {
		t.Fatalf("the ends must be known all the same: %v, %v", got, err)
	}
	w.postErr = nil
	w.cycles(3)
	if len(w.posted) != 700 {
		t.Fatalf("%d rows came in the end", len(w.posted))
	}
}

func TestTheUsersWhoAreLinkedAreToldWhateverElseIsDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tracker = track.New(track.Options{
		Cluster: func() string { return "lab" }, Slurm: w, Journal: w.j, Sink: w, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
		Tell: func(uid uint32) bool { return uid == 1001 && w.linked }, Upload: func(uint32) bool { return true },
	})
	w.linked = false
	for i := range 1200 { // more than one cycle tells
		id := strconv.Itoa(1000 + i)
		w.queue = append(w.queue, job(id, id, "RUNNING", submission(t)))
	}
	w.queue = append(w.queue, with(job("9", "9", "RUNNING", submission(t)), "UID", "1001", "User", "bob"))
	w.cycles(1)
	w.linked = true
	w.cycles(1)
	events, err := w.j.Pending(t.Context(), 10)
	if err != nil || len(events) != 1 || events[0].Job.UID != 1001 {
		t.Fatalf("%d events, %v", len(events), err)
	}
}

func TestAManifestThatMetAFullOutboxIsToldLater(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	w.queue = []slurmtest.Row{job("7", "7", "RUNNING", s)}
	w.cycles(1)
	key := w.only(s).JobKey
	for _, to := range []journal.JobState{journal.JobSettling, journal.JobEnded, journal.JobCollecting, journal.JobUploading, journal.JobUploadBlocked} {
		if _, err := w.j.PutJob(t.Context(), journal.Change{Key: key, To: to, Apply: func(j *journal.Job) {
			j.EventDue, j.Detail.Message = to == journal.JobUploadBlocked, "1 file was refused"
			j.Detail.Unsent = []outputs.Entry{{Path: "link", Class: outputs.ClassOutput, Status: outputs.StatusSkipped, Reason: "a symbolic link"}}
		}}); err != nil {
			t.Fatal(err)
		}
	}
	w.queue = nil
	file := func(path string, steps ...outputs.FileState) {
		t.Helper()
		for _, to := range steps {
			e := outputs.Entry{Path: path, Class: outputs.ClassOutput, FullSize: 9, Status: outputs.StatusFound}
			step := outputs.Step{To: to, Entry: &e}
			if to == outputs.FileBlocked {
				step.Reason = "quota"
			}
			if err := w.j.Advance(t.Context(), outputs.FileKey{JobID: key.JobID, Class: outputs.ClassOutput, Path: path}, step); err != nil {
				t.Fatal(err)
			}
		}
	}
	file("a", outputs.FileHashed, outputs.FileVerified)
	file("b", outputs.FileHashed, outputs.FileBlocked)
	w.cycles(1)
	events, err := w.j.Pending(t.Context(), 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	got := events[1]
	if got.Type != "manifest" || got.Message != "1 file was refused" || len(got.Manifest) != 3 || got.Manifest[2].Reason != "a symbolic link" {
		t.Fatalf("got %+v", got)
	}
	if a, b := got.Manifest[0], got.Manifest[1]; a.Status != outputs.StatusStored || a.FullSize != 9 || b.Status != outputs.StatusBlocked || b.Reason != "quota" {
		t.Fatalf("got %+v", got.Manifest)
	}
}

func TestWhatAccountingMayStillShowIsNotForgotten(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), submission(t)
	row := job("7", "7", "RUNNING", s)
	w.queue = []slurmtest.Row{row}
	w.cycles(1)
	w.queue, w.acct = nil, []slurmtest.Row{ended(row, "COMPLETED", "0:0")}
	w.cycles(3)
	key := w.only(s).JobKey
	if _, err := w.j.PutJob(t.Context(), journal.Change{Key: key, To: journal.JobKept}); err != nil {
		t.Fatal(err)
	}
	events, err := w.j.Pending(t.Context(), 100)
	if err == nil {
		err = w.j.Delivered(t.Context(), events)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(40 * 24 * time.Hour) // the agent was away
	if n, err := w.tracker.Prune(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d jobs were forgotten before accounting had caught up, %v", n, err)
	}
	w.acct = nil
	w.cycles(900) // an hour of accounting each
	if n, err := w.tracker.Prune(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d jobs were forgotten, %v", n, err)
	}
}

// More jobs than are compared with the journal at a time: each is taken up once, and none is lost at a page's end.
func TestEveryJobOfALongQueueIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const jobs = 503
	ids := make([]uuid.UUID, jobs)
	for i := range ids {
		var err error
		if ids[i], err = jobkey.NewSubmission(); err != nil {
			t.Fatal(err)
		}
		w.queue = append(w.queue, job(strconv.Itoa(i+1), strconv.Itoa(i+1), "RUNNING", ids[i]))
	}
	w.cycles(1)
	for _, row := range w.queue {
		row["State"] = "SUSPENDED"
	}
	w.cycles(1)
	for i, id := range ids {
		if got := w.only(id); got.State != journal.JobSuspended || got.SlurmJobID != strconv.Itoa(i+1) {
			t.Fatalf("job %d: got %+v", i+1, got)
		}
	}
}
