package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
)

// ledger is due work in memory. Each job fails once.
type ledger struct {
	mu    sync.Mutex
	due   map[uuid.UUID]int
	done  map[uuid.UUID]int
	fails bool
}

func (l *ledger) Due(context.Context, int) ([]uuid.UUID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []uuid.UUID
	for id := range l.due {
		out = append(out, id)
	}
	return out, nil
}

func (l *ledger) Analyse(_ context.Context, id uuid.UUID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.due[id]++; l.fails && l.due[id] == 1 {
		return errors.New("not yet")
	}
	delete(l.due, id)
	l.done[id]++
	return nil
}

func (l *ledger) Recover(context.Context) error { return nil }

func (l *ledger) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.due[uuid.New()] = 0
	}
}

func (l *ledger) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.due)
}

func run(t *testing.T, s *gormstore.Store, work *ledger, sweep time.Duration) *queue.Queue {
	t.Helper()
	return runConfig(t, queue.Config{PostgresURL: s.PostgresURL(), SQLite: s.SQL(), Workers: 4, Sweep: sweep, Log: slog.New(slog.DiscardHandler)}, work)
}

func runConfig(t *testing.T, cfg queue.Config, work queue.Analyser) *queue.Queue {
	t.Helper()
	ctx := context.Background()
	for range 2 {
		if err := queue.Migrate(ctx, cfg); err != nil {
			t.Fatal(err)
		}
	}
	q, err := queue.New(ctx, cfg, work)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
		if err := q.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return q
}

// within waits for what must come; its limit only ends a wait that would be for ever.
func within(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("not within three minutes")
}

func TestWhatIsDueIsDoneOnceWithAndWithoutAHint(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		work := &ledger{due: map[uuid.UUID]int{}, done: map[uuid.UUID]int{}}
		q := run(t, s, work, 300*time.Millisecond)
		work.add(40)
		within(t, func() bool { return work.left() == 0 }) // no hint: swept up
		work.add(40)
		q.Hint(context.Background())
		q.Hint(context.Background())
		within(t, func() bool { return work.left() == 0 })
		for id, n := range work.done {
			if n != 1 {
				t.Errorf("job %s was done %d times", id, n)
			}
		}
		if len(work.done) != 80 {
			t.Errorf("%d done", len(work.done))
		}
	})
}

func TestFailedWorkIsTriedAgain(t *testing.T) {
	work := &ledger{due: map[uuid.UUID]int{}, done: map[uuid.UUID]int{}, fails: true}
	run(t, storetest.SQLite(t), work, time.Second)
	work.add(3)
	within(t, func() bool { return work.left() == 0 })
}

// stuck is a full batch of jobs that always fail, and one behind them.
type stuck struct {
	ids  []uuid.UUID
	last chan struct{} // closed when that one was done
	once sync.Once
}

func (w *stuck) Due(_ context.Context, limit int) ([]uuid.UUID, error) {
	return slices.Clone(w.ids[:min(limit, len(w.ids))]), nil
}

func (w *stuck) Analyse(_ context.Context, id uuid.UUID) error {
	if id != w.ids[len(w.ids)-1] {
		return errors.New("the bucket is lost")
	}
	w.once.Do(func() { close(w.last) })
	return nil
}

func (w *stuck) Recover(context.Context) error { return nil }

func TestJobsThatFailDoNotKeepOthersFromTheirTurn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		work := &stuck{last: make(chan struct{})}
		for range 501 {
			work.ids = append(work.ids, uuid.New())
		}
		runConfig(t, queue.Config{PostgresURL: s.PostgresURL(), SQLite: s.SQL(), Workers: 100, Sweep: time.Second, Log: slog.New(slog.DiscardHandler)}, work)
		select {
		case <-work.last:
		case <-time.After(3 * time.Minute): // only ends a wait that would be for ever
			t.Error("the job behind them was not analysed")
		}
	})
}

func TestWritesOfOthersGoOnBesideTheQueue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		work := &ledger{due: map[uuid.UUID]int{}, done: map[uuid.UUID]int{}}
		run(t, s, work, 100*time.Millisecond)
		g := gormstore.NewJobs(s)
		work.add(200)
		for range 50 {
			if _, _, err := g.ClusterByName(context.Background(), uuid.NewString(), true); err != nil {
				t.Fatal(err)
			}
		}
		within(t, func() bool { return work.left() == 0 })
	})
}

func TestTasksComeByThemselvesAndWhenTheyAreKicked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		var often, kicked, failed atomic.Int64
		cfg := queue.Config{
			PostgresURL: s.PostgresURL(), SQLite: s.SQL(), Workers: 1, Sweep: time.Hour, Log: slog.New(slog.DiscardHandler),
			Tasks: []queue.Task{
				{Name: "often", Every: time.Second, Run: func(context.Context) error { often.Add(1); return nil }},
				{Name: "failing", Every: time.Second, Run: func(context.Context) error { failed.Add(1); return errors.New("not today") }},
				{Name: "kicked", Every: time.Hour, Run: func(ctx context.Context) error {
					if kicked.Add(1) > 1 { // once at the start
						<-ctx.Done() // the queue's end ends it
					}
					return nil
				}},
			},
		}
		q := runConfig(t, cfg, &ledger{due: map[uuid.UUID]int{}, done: map[uuid.UUID]int{}})
		within(t, func() bool { return often.Load() >= 2 && failed.Load() >= 2 && kicked.Load() == 1 })
		q.Kick(context.Background(), "kicked")
		within(t, func() bool { return kicked.Load() >= 2 })
	})
}
