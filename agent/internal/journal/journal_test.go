package journal

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/google/uuid"
)

var testClock = func() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func options(dir string) Options {
	return Options{Dir: dir, Now: testClock, Log: slog.New(slog.DiscardHandler), ReserveBytes: 4096}
}

func open(t *testing.T, opt Options) *Journal {
	t.Helper()
	j, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// stateDir is below t.TempDir, which others may enter.
func stateDir(t *testing.T) string { t.Helper(); return filepath.Join(t.TempDir(), "state") }

func fresh(t *testing.T) *Journal { t.Helper(); return open(t, options(stateDir(t))) }

func reopen(t *testing.T, j *Journal) *Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, j.opt)
}

// walk gives every path to every state: from "" along the machine to each edge.
func pathTo[S ~string](m edges[S], target S) []S {
	type node struct {
		at   S
		path []S
	}
	seen := map[S]bool{"": true}
	for queue := []node{{}}; len(queue) > 0; queue = queue[1:] {
		if queue[0].at == target {
			return queue[0].path
		}
		for _, next := range m[queue[0].at] {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, node{next, append(append([]S{}, queue[0].path...), next)})
			}
		}
	}
	return nil
}

// walkEdges drives put along each pair of states, legal or not, on a fresh subject.
func walkEdges[S ~string](t *testing.T, m edges[S], put func(t *testing.T, subject int, to S) error) {
	t.Helper()
	subject := 0
	for from := range m {
		path := pathTo(m, from)
		if from != "" && path == nil {
			t.Errorf("state %q cannot be reached", from)
		}
		for to := range m {
			if to == "" {
				continue
			}
			subject++
			for _, s := range path {
				if err := put(t, subject, s); err != nil {
					t.Fatalf("on the way to %q: %v", from, err)
				}
			}
			legal := from == to
			for _, next := range m[from] {
				legal = legal || next == to
			}
			if err := put(t, subject, to); (err == nil) != legal || err != nil && !errors.Is(err, ErrEdge) {
				t.Errorf("%q to %q: got %v, legal is %v", from, to, err, legal)
			}
		}
	}
}

func TestSubmissionsTakeEveryEdgeAndNoOther(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	ids := map[int]uuid.UUID{}
	walkEdges(t, submissionEdges, func(t *testing.T, n int, to SubmissionState) error {
		if ids[n] == uuid.Nil {
			ids[n] = uuid.New()
		}
		got, err := j.PutSubmission(t.Context(), ids[n], to, nil)
		if err == nil && got.State != to {
			t.Errorf("stored %q, want %q", got.State, to)
		}
		return err
	})
}

func TestJobsTakeEveryEdgeAndNoOther(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	ids := map[int]uuid.UUID{}
	walkEdges(t, jobEdges, func(t *testing.T, n int, to JobState) error {
		if ids[n] == uuid.Nil {
			ids[n] = uuid.New()
		}
		_, err := j.PutJob(t.Context(), Change{Key: JobKey{JobID: ids[n]}, To: to})
		return err
	})
}

func TestFilesTakeEveryEdgeAndNoOther(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	job := uuid.New()
	walkEdges(t, fileEdges, func(t *testing.T, n int, to outputs.FileState) error {
		key := outputs.FileKey{JobID: job, Class: outputs.ClassOutput, Path: strings.Repeat("x", n)}
		return j.Advance(t.Context(), key, outputs.Step{To: to})
	})
}

func TestARefusedStepChangesNothing(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	key := JobKey{JobID: uuid.New()}
	if _, err := j.PutJob(t.Context(), Change{Key: key, To: JobPending}); err != nil {
		t.Fatal(err)
	}
	_, err := j.PutJob(t.Context(), Change{
		Key: key, To: JobVerified,
		Apply: func(job *Job) { job.Detail.Name = "changed" }, Event: &EventDraft{Type: "state"},
	})
	if !errors.Is(err, ErrEdge) {
		t.Fatalf("got %v", err)
	}
	job, err := j.Job(t.Context(), key)
	if err != nil || job.State != JobPending || job.Detail.Name != "" {
		t.Fatalf("got %+v, %v", job, err)
	}
	if n, _, _ := j.OutboxSize(t.Context()); n != 0 {
		t.Fatalf("%d events were stored", n)
	}
}

func TestRowsAndEventsSurviveReopening(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	ctx := t.Context()
	key := JobKey{JobID: uuid.New()}
	code := int32(3)
	put := func(to JobState) {
		t.Helper()
		_, err := j.PutJob(ctx, Change{Key: key, To: to, Apply: func(job *Job) {
			job.UID, job.User, job.SlurmJobID, job.JobIDRaw = 1000, "alice", "7_1", "8"
			job.SubmitAt, job.Detail.ExitCode, job.Detail.Name = testClock(), &code, "näme\n|x"
		}, Event: &EventDraft{Type: "state", Message: string(to)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(JobPending)
	put(JobRunning)
	j = reopen(t, j)
	job, err := j.Job(ctx, key)
	if err != nil || job.State != JobRunning || *job.Detail.ExitCode != 3 || job.Detail.Name != "näme\n|x" || job.Seq != 2 || !job.SubmitAt.Equal(testClock()) {
		t.Fatalf("got %+v, %v", job, err)
	}
	events, err := j.Pending(ctx, 10)
	if err != nil || len(events) != 2 || events[0].Seq != 0 || events[1].Seq != 1 || events[1].Job.State != JobRunning || events[0].ID == events[1].ID {
		t.Fatalf("got %+v, %v", events, err)
	}
	if err := j.Delivered(ctx, events[:1]); err != nil {
		t.Fatal(err)
	}
	if rest, _ := j.Pending(ctx, 10); len(rest) != 1 || rest[0].ID != events[1].ID {
		t.Fatalf("got %+v", rest)
	}
}

func TestEventsAreNumberedAcrossAttempts(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	id := uuid.New()
	for attempt := range int32(3) {
		if _, err := j.PutJob(t.Context(), Change{Key: JobKey{id, attempt}, To: JobPending, Event: &EventDraft{Type: "state"}}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := j.Pending(t.Context(), 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v; want 3", len(events), err)
	}
	for i, e := range events {
		if e.Seq != int64(i) {
			t.Fatalf("event %d has number %d", i, e.Seq)
		}
	}
}

func TestALongManifestBecomesSeveralEvents(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	manifest := make([]outputs.Entry, 2*manifestChunk+1)
	_, err := j.PutJob(t.Context(), Change{Key: JobKey{JobID: uuid.New()}, To: JobPending, Event: &EventDraft{Type: "manifest", Manifest: manifest}})
	if err != nil {
		t.Fatal(err)
	}
	events, err := j.Pending(t.Context(), 10)
	if err != nil || len(events) != 3 || len(events[2].Manifest) != 1 || events[2].Seq != 2 {
		t.Fatalf("got %d events, %v", len(events), err)
	}
}

func TestAFullOutboxKeepsTheStateAsDue(t *testing.T) {
	t.Parallel()
	opt := options(stateDir(t))
	opt.MaxOutboxBytes = 1
	j := open(t, opt)
	key := JobKey{JobID: uuid.New()}
	for _, to := range []JobState{JobPending, JobRunning} { // the first passes the bound, the second meets it
		if _, err := j.PutJob(t.Context(), Change{Key: key, To: to, Event: &EventDraft{Type: "state"}}); err != nil {
			t.Fatal(err)
		}
	}
	events, _ := j.Pending(t.Context(), 10)
	due, err := j.EventsDue(t.Context(), everybody, 10)
	if err != nil || len(events) != 1 || len(due) != 1 || due[0].State != JobRunning {
		t.Fatalf("%d events, due %+v, %v", len(events), due, err)
	}
	if err := j.Delivered(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if _, err := j.PutJob(t.Context(), Change{Key: key, Event: &EventDraft{Type: "state"}}); err != nil {
		t.Fatal(err)
	}
	if due, _ := j.EventsDue(t.Context(), everybody, 10); len(due) != 0 {
		t.Fatalf("still due: %+v", due)
	}
	if n, _, _ := j.OutboxSize(t.Context()); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
}

func TestASecondAgentIsRefused(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*lockRetry)
	defer cancel()
	if second, err := Open(ctx, j.opt); !errors.Is(err, ErrLocked) {
		if err == nil {
			_ = second.Close()
		}
		t.Fatalf("got %v", err)
	}
}

func TestADowngradeIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	if _, err := j.db.ExecContext(t.Context(), `PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	dir := j.opt.Dir
	_ = j.Close()
	before, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), options(dir)); !errors.Is(err, ErrNewer) {
		t.Fatalf("got %v", err)
	}
	after, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil || string(before) != string(after) {
		t.Fatal("the file was changed")
	}
}

func TestACorruptJournalIsSetAsideAndRebuilt(t *testing.T) {
	t.Parallel()
	damage := map[string]func(path string) error{
		"no database":  func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("garbage ", 2000)), 0o600) },
		"damaged page": overwriteMiddle,
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := fresh(t)
			for range 200 {
				if _, err := j.PutSubmission(t.Context(), uuid.New(), SubmissionIntent, nil); err != nil {
					t.Fatal(err)
				}
			}
			dir := j.opt.Dir
			_ = j.Close()
			if err := harm(filepath.Join(dir, fileName)); err != nil {
				t.Fatal(err)
			}
			again := open(t, options(dir))
			if !again.Rebuilt() {
				t.Fatal("the journal does not say that it was rebuilt")
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "journal.db.corrupt-*")); len(left) == 0 {
				t.Fatal("the corrupt file is gone")
			}
			job, err := again.PutJob(t.Context(), Change{Key: JobKey{JobID: uuid.New()}, To: JobPending})
			if err != nil || job.Seq != testClock().Unix() {
				t.Fatalf("event numbers begin at %d, %v", job.Seq, err)
			}
			if !reopen(t, again).Rebuilt() {
				t.Fatal("forgotten after a restart")
			}
		})
	}
}

func overwriteMiddle(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte(strings.Repeat("\xff", 8192)), 4096)
	return err
}

func TestAFullDiskFreesTheReserveAndIsReportedUntilThereIsSpace(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	ctx := context.Background()
	limit := func(pages string) {
		if _, err := j.db.ExecContext(ctx, `PRAGMA max_page_count = `+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("40") // SQLITE_FULL without a disk that is really full
	var err error
	for range 500 {
		_, err = j.PutSubmission(ctx, uuid.New(), SubmissionIntent, func(s *Submission) { s.User = strings.Repeat("u", 2000) })
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(j.reservePath()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the reserve was not freed: %v", err)
	}
	limit("100000")
	if err := j.Ready(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(j.reservePath()); err != nil || info.Size() != 4096 {
		t.Fatalf("the reserve is not back: %v", err)
	}
	if _, err := j.PutSubmission(ctx, uuid.New(), SubmissionIntent, nil); err != nil {
		t.Fatal(err)
	}
}

func everybody(uint32) bool { return true }

func TestARefusedEventHoldsUpNoOtherAndIsOfferedAgainAfterARestart(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	for range 3 {
		if _, err := j.PutJob(t.Context(), Change{Key: JobKey{JobID: uuid.New()}, To: JobPending, Event: &EventDraft{Type: "state"}}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := j.Pending(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Refused(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	left, _ := j.Pending(t.Context(), 10)
	if n, _, _ := j.OutboxSize(t.Context()); n != 2 || len(left) != 2 || left[0].ID != all[1].ID {
		t.Fatalf("%d wait, the next is %+v", n, left)
	}
	j = reopen(t, j)
	if left, _ = j.Pending(t.Context(), 10); len(left) != 3 || left[0].ID != all[0].ID {
		t.Fatalf("after a restart: %+v", left)
	}
	if err := j.Refused(t.Context(), left[0]); err != nil {
		t.Fatal(err)
	}
	j.opt.Now = func() time.Time { return testClock().Add(refusedKept + time.Hour) }
	j = reopen(t, j)
	if left, _ = j.Pending(t.Context(), 10); len(left) != 2 {
		t.Fatalf("a month later: %+v", left)
	}
	if err := j.Delivered(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	if held, err := j.Meta(t.Context(), metaOutboxBytes); err != nil || held != "0" {
		t.Fatalf("%s bytes are held, %v", held, err)
	}
}

func TestUsersWhoMayNeverLinkDoNotStandBeforeTheOthers(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	due := func(uid uint32) {
		t.Helper()
		_, err := j.PutJob(t.Context(), Change{Key: JobKey{JobID: uuid.New()}, To: JobPending, Apply: func(job *Job) { job.UID, job.EventDue = uid, true }})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		due(7)
	}
	due(8)
	got, err := j.EventsDue(t.Context(), func(uid uint32) bool { return uid == 8 }, 5)
	if err != nil || len(got) != 1 || got[0].UID != 8 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got, err = j.EventsDue(t.Context(), func(uint32) bool { return false }, 5); err != nil || len(got) != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestALargeArrayDelaysNobodyElsesOutputs(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	ended := func(uid uint32, after time.Duration) {
		t.Helper()
		key := JobKey{JobID: uuid.New()}
		for _, to := range []JobState{JobSettling, JobEnded} {
			if _, err := j.PutJob(t.Context(), Change{Key: key, To: to, Apply: func(job *Job) {
				job.UID, job.Due = uid, testClock().Add(after-time.Hour)
			}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 30 {
		ended(7, time.Duration(i)*time.Second)
	}
	ended(8, time.Minute)
	ended(9, 2*time.Minute)
	ended(9, 3*time.Hour) // not due yet
	got, err := j.DueUploads(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	var order []uint32
	for _, job := range got {
		order = append(order, job.UID)
	}
	if !slices.Equal(order, []uint32{7, 8, 9, 7}) || !got[0].Due.Before(got[3].Due) {
		t.Fatalf("got %v", order)
	}
}

// A journal of the first version, as released ones are, must open with all that it holds.
func TestAJournalOfTheFirstVersionIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), migrations[0]+`PRAGMA user_version = 1;
		INSERT INTO outbox (event_id, job_id, body, created_us) VALUES ('e', 'j', CAST('{"seq":5,"type":"state"}' AS BLOB), 1);`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	left, err := open(t, options(dir)).Pending(t.Context(), 10)
	if err != nil || len(left) != 1 || left[0].Seq != 5 {
		t.Fatalf("got %+v, %v", left, err)
	}
}
