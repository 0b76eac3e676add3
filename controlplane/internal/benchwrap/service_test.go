package benchwrap

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is storage and jobs as a test wants them.
type world struct {
	t        *testing.T
	now      time.Time
	uploads  map[uuid.UUID]Upload
	outcome  map[uuid.UUID]error // of Settle; missing means that nothing has come
	settled  []uuid.UUID
	attached map[uuid.UUID]Job
	jobs     map[string]Job // by user and number
	jobErr   error
	refusals int // how many Presigns the quota refuses
	names    []string

	mu      sync.Mutex
	slow    map[uuid.UUID]chan struct{} // whose bytes are many: Settle waits
	begun   chan uuid.UUID              // Settles of those
	running int
	most    int // Settles at once
}

func newWorld(t *testing.T) (*world, *Service) {
	w := &world{
		t: t, now: epoch, uploads: map[uuid.UUID]Upload{}, outcome: map[uuid.UUID]error{}, attached: map[uuid.UUID]Job{}, jobs: map[string]Job{},
	}
	return w, New(w, w, func() time.Time { return w.now }, slog.New(slog.DiscardHandler))
}

func (w *world) Note(_ context.Context, u Upload) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uploads[u.ID] = u
	return nil
}

func (w *world) Open(_ context.Context, state State, userID string, before time.Time, limit int) (list []Upload, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.uploads {
		if u.State == state && (userID == "" || u.UserID == userID) && !u.CheckedAt.After(before) {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b Upload) int { return a.CheckedAt.Compare(b.CheckedAt) })
	return list[:min(len(list), limit)], nil
}

func (w *world) Mark(_ context.Context, id uuid.UUID, to State, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.uploads[id]
	u.State, u.CheckedAt = to, now
	w.uploads[id] = u
	return nil
}

func (w *world) Benchmarks(_ context.Context, ids []uuid.UUID) (map[uuid.UUID]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[uuid.UUID]string{}
	for _, id := range ids {
		if u, ok := w.uploads[id]; ok {
			out[id] = u.Benchmark
		}
	}
	return out, nil
}

func (w *world) OwnJob(_ context.Context, userID, number string) (Job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobErr != nil {
		return Job{}, w.jobErr
	}
	if j, ok := w.jobs[userID+" "+number]; ok {
		return j, nil
	}
	return Job{}, apperr.New(apperr.NotFound, "no job")
}

func (w *world) Presign(_ context.Context, _, name string) (uuid.UUID, Signed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusals > 0 {
		w.refusals--
		return uuid.Nil, Signed{}, apperr.New(apperr.QuotaExceeded, "full")
	}
	w.names = append(w.names, name)
	id := uuid.New()
	return id, Signed{Key: id.String(), URL: "u"}, nil
}

func (w *world) Settle(_ context.Context, id uuid.UUID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if held := w.slow[id]; held != nil {
		w.running++
		w.most = max(w.most, w.running)
		w.mu.Unlock()
		w.begun <- id
		<-held
		w.mu.Lock()
		w.running--
	}
	err, known := w.outcome[id]
	if !known {
		return apperr.New(apperr.UploadIncomplete, "not yet")
	}
	if err == nil {
		w.settled = append(w.settled, id)
	}
	return err
}

func (w *world) Attach(_ context.Context, id uuid.UUID, job Job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attached[id] = job
	return nil
}

func (w *world) Find(_ context.Context, _, name string) (Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.settled {
		if w.uploads[id].ObjectName == name {
			return Object{ID: id, Key: id.String(), Name: name}, nil
		}
	}
	return Object{}, apperr.New(apperr.NotFound, "no file")
}

func (w *world) Download(_ context.Context, _ string, id uuid.UUID) (Signed, error) {
	return Signed{URL: "get " + id.String()}, nil
}

func (w *world) List(context.Context, string, string) (list []Object, next string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.settled {
		list = append(list, Object{ID: id, Name: w.uploads[id].ObjectName})
	}
	return list, "", nil
}

// upload issues one and gives its id.
func (w *world) upload(s *Service, user, name string) uuid.UUID {
	w.t.Helper()
	g, err := s.Upload(w.t.Context(), user, name, "stream_triad")
	if err != nil {
		w.t.Fatal(err)
	}
	return uuid.MustParse(g.Key)
}

func (w *world) want(id uuid.UUID, state State) {
	w.t.Helper()
	if got := w.uploads[id].State; got != state {
		w.t.Errorf("the upload is %s, want %s", got, state)
	}
}

func TestAnUploadIsSettledWhenItsBytesCame(t *testing.T) {
	w, s := newWorld(t)
	id := w.upload(s, "alice", "stream_triad/job_1/out.txt")
	w.now = w.now.Add(issuedEvery)
	s.pass(t.Context())
	w.want(id, Issued)
	w.outcome[id] = nil
	s.pass(t.Context())
	w.want(id, Issued) // it was looked at just now
	w.now = w.now.Add(issuedEvery)
	s.pass(t.Context())
	w.want(id, Done)
	if len(w.attached) != 0 {
		t.Error("an output that is no profile was given to a job")
	}
}

func TestAProfileGoesToItsJobAndWaitsForIt(t *testing.T) {
	w, s := newWorld(t)
	job := Job{ID: uuid.New(), Attempt: 1}
	w.jobs["bob 7"] = job
	known, later := w.upload(s, "bob", "7_batch_n1.h5"), w.upload(s, "alice", "profiles/7_0_n1.h5")
	w.outcome[known], w.outcome[later] = nil, nil
	w.now = w.now.Add(issuedEvery)
	s.pass(t.Context())
	w.want(known, Done)
	w.want(later, Waiting)
	if w.attached[known] != job || len(w.attached) != 1 {
		t.Errorf("attached: %v", w.attached)
	}
	mine := Job{ID: uuid.New()}
	w.jobs["alice 7"] = mine
	w.now = w.now.Add(waitingEvery)
	s.pass(t.Context())
	w.want(later, Done)
	if w.attached[later] != mine {
		t.Errorf("the profile went to %v", w.attached[later])
	}
}

func TestAProfileWithoutAJobWaitsForThirtyDays(t *testing.T) {
	for name, jobErr := range map[string]error{"no job": nil, "jobs on two clusters": apperr.New(apperr.Conflict, "two")} {
		w, s := newWorld(t)
		w.jobErr = jobErr
		id := w.upload(s, "alice", "7_batch_n1.h5")
		w.outcome[id] = nil
		for _, step := range []struct {
			after time.Duration
			want  State
		}{{issuedEvery, Waiting}, {patience - time.Hour, Waiting}, {2 * time.Hour, Done}} {
			w.now = w.now.Add(step.after)
			s.pass(t.Context())
			w.want(id, step.want)
		}
		if len(w.attached) != 0 {
			t.Errorf("%s: attached all the same", name)
		}
	}
}

func TestWhatCameToNothingIsLostAndWhatFailedIsTriedAgain(t *testing.T) {
	for code, want := range map[apperr.Code]State{
		apperr.UploadExpired: Lost, apperr.TooLarge: Lost, apperr.Gone: Lost, apperr.StoreUnavailable: Issued, apperr.Internal: Issued,
	} {
		w, s := newWorld(t)
		id := w.upload(s, "alice", "x")
		w.outcome[id] = apperr.New(code, "because")
		w.now = w.now.Add(issuedEvery)
		s.pass(t.Context())
		w.want(id, want)
	}
}

func TestListingSettlesFirstAndTellsTheBenchmark(t *testing.T) {
	w, s := newWorld(t)
	a, b := w.upload(s, "alice", "a/x"), w.upload(s, "alice", "b/y")
	w.outcome[a], w.outcome[b] = nil, nil
	list, _, err := s.List(t.Context(), "alice", "b/", "")
	if err != nil || len(list) != 1 || list[0].Name != "b/y" || list[0].Benchmark != "stream_triad" {
		t.Fatalf("%+v, %v", list, err)
	}
	w.want(a, Done)
	got, err := s.Download(t.Context(), "alice", "a/x")
	if err != nil || got.URL != "get "+a.String() || got.Key != a.String() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Download(t.Context(), "alice", ""); !apperr.Is(err, apperr.InvalidRequest) {
		t.Errorf("without a name: %v", err)
	}
}

func TestAQuotaFullOfReservationsIsSettledBeforeItRefuses(t *testing.T) {
	w, s := newWorld(t)
	first := w.upload(s, "alice", "a")
	w.outcome[first] = nil
	w.refusals = 1
	w.upload(s, "alice", "b")
	w.want(first, Done)
	w.refusals = 2
	if _, err := s.Upload(t.Context(), "alice", "c", ""); !apperr.Is(err, apperr.QuotaExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestTheSameNameAgainSettlesTheFirst(t *testing.T) {
	w, s := newWorld(t)
	first, other := w.upload(s, "alice", "a"), w.upload(s, "alice", "b")
	w.outcome[first], w.outcome[other] = nil, nil
	w.upload(s, "alice", "a")
	w.want(first, Done)
	w.want(other, Issued)
}

func TestBenchmarkNamesAreBounded(t *testing.T) {
	_, s := newWorld(t)
	for _, name := range []string{strings.Repeat("x", maxBenchmarkBytes+1), "a\nb", "\x1b[2J", "\xff"} {
		if _, err := s.Upload(t.Context(), "alice", "a", name); !apperr.Is(err, apperr.InvalidRequest) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheNameTellsTheJob(t *testing.T) {
	for name, want := range map[string]string{
		"14001040_batch_agq007.h5": "14001040", "14001040_0_agq007.h5": "14001040", "a/b/5_extern_n.h5": "5", "job_9.h5": "9",
		"14001040_batch_agq007.h5.gz": "", "14001040.h5": "", "x_batch_n.h5": "", "0_batch_n.h5": "", "5_batch_n.h5/x": "", "": "",
	} {
		if got := jobOf(name); got != want {
			t.Errorf("jobOf(%q) = %q, want %q", name, got, want)
		}
	}
}

// What is hashed is read whole: an upload that takes long holds up neither the next nor another user, and no more than some
// are read at once.
func TestSlowUploadsHoldUpNobodyAndOnlySomeAreReadAtOnce(t *testing.T) {
	w, s := newWorld(t)
	w.slow, w.begun = map[uuid.UUID]chan struct{}{}, make(chan uuid.UUID, 10)
	free := make(chan struct{})
	var large []uuid.UUID
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		id := w.upload(s, "alice", name)
		large, w.slow[id], w.outcome[id] = append(large, id), free, nil
	}
	small := w.upload(s, "bob", "small")
	w.outcome[small] = nil
	var passes sync.WaitGroup
	for _, id := range large[:settlers-1] { // as many lists as leave one turn
		passes.Go(func() { s.settleOf(t.Context(), "alice", func(u Upload) bool { return u.ID == id }) })
		<-w.begun
	}
	if list, _, err := s.List(t.Context(), "bob", "", ""); err != nil || len(list) != 1 {
		t.Errorf("bob is held up: %+v, %v", list, err)
	}
	w.now = w.now.Add(issuedEvery)
	passes.Go(func() { s.pass(t.Context()) })
	<-w.begun
	select {
	case <-w.begun:
		t.Errorf("more than %d are read at once", settlers)
	case <-time.After(100 * time.Millisecond):
	}
	close(free)
	passes.Wait()
	for _, id := range large {
		w.want(id, Done)
	}
	if w.most != settlers {
		t.Errorf("%d were read at once, want %d", w.most, settlers)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	_, s := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}
