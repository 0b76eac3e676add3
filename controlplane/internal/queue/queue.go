package queue

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// Config says where the tables are and how much is worked on at once.
type Config struct {
	PostgresURL string  // a secret; empty for SQLite
	SQLite      *sql.DB // the pool below gorm
	Workers     int
	Sweep       time.Duration
	Disabled    bool // only hand out: this process works on nothing
	Tasks       []Task
	Log         *slog.Logger
}

// Queue hands due work to workers.
type Queue struct {
	client client
	work   Analyser
	cfg    Config
	hints  chan struct{}
	close  func()
	full   atomic.Bool  // the last sweep found more than it hands out
	worked atomic.Int64 // jobs done

	endTasks context.CancelFunc
}

// client is a River client of either database.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	InsertMany(ctx context.Context, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
}

// New opens the queue; Close it after Run has returned. The tables must be there: see Migrate.
func New(ctx context.Context, cfg Config, work Analyser) (*Queue, error) {
	tasks, endTasks := context.WithCancel(context.WithoutCancel(ctx))
	q := &Queue{work: work, cfg: cfg, hints: make(chan struct{}, 1), close: func() {}, endTasks: endTasks}
	workers := workersOf{analyseWorker{work: work, done: q.done}, newUpkeep(tasks, cfg.Tasks)}
	var err error
	if cfg.PostgresURL == "" {
		q.client, err = newClient(riversqlite.New(cfg.SQLite), cfg, workers)
		return q, err
	}
	pool, err := openPool(ctx, cfg.PostgresURL)
	if err != nil {
		return nil, err
	}
	q.close = pool.Close
	if q.client, err = newClient(riverpgxv5.New(pool), cfg, workers); err != nil {
		pool.Close()
	}
	return q, err
}

// openPool: the parse error of pgx quotes the URL with its password, so it is not passed on.
func openPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("opening the queue's database: the URL cannot be used")
	}
	return pool, nil
}

// completedKept is how long finished jobs stay for a look.
const completedKept = time.Hour

// workersOf are all kinds of work.
type workersOf struct {
	analyse analyseWorker
	upkeep  upkeepWorker
}

func newClient[Tx any](driver riverdriver.Driver[Tx], cfg Config, w workersOf) (client, error) {
	rc := &river.Config{Logger: cfg.Log, CompletedJobRetentionPeriod: completedKept, JobTimeout: analyseTimeout}
	// On SQLite River would look for notifications every 50 ms, which is most of what an idle server does. Looking for jobs
	// once a second is enough for work that nobody waits for at a prompt.
	rc.PollOnly = cfg.PostgresURL == ""
	// Rebuilding indexes every night wants the owner of the tables, which the server is not under the role of docs/security.md, and
	// a queue of some thousand jobs does without.
	rc.ReindexerIndexNames = []string{}
	if !cfg.Disabled {
		rc.Workers = river.NewWorkers()
		river.AddWorker(rc.Workers, w.analyse)
		river.AddWorker(rc.Workers, w.upkeep)
		rc.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Workers}, upkeep: {MaxWorkers: upkeepWorkers}}
		rc.PeriodicJobs = periodic(cfg.Tasks)
	} else {
		rc.SkipUnknownJobCheck = true
	}
	c, err := river.NewClient(driver, rc)
	if err != nil {
		return nil, fmt.Errorf("making the queue: %w", err)
	}
	return c, nil
}

// Close releases the queue's own connections.
func (q *Queue) Close() error {
	q.endTasks()
	q.close()
	return nil
}

// Migrate makes or updates River's own tables. It may be repeated.
func Migrate(ctx context.Context, cfg Config) error {
	if cfg.PostgresURL == "" {
		return migrateWith[*sql.Tx](ctx, riversqlite.New(cfg.SQLite), cfg.Log)
	}
	pool, err := openPool(ctx, cfg.PostgresURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	// Two replicas that start at once would both try: the second waits here.
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('ergon river migrations', 7))"); err != nil {
			return fmt.Errorf("waiting for the queue's migration lock: %w", err)
		}
		return migrateWith[pgx.Tx](ctx, riverpgxv5.New(pool), cfg.Log)
	})
}

func migrateWith[Tx any](ctx context.Context, driver riverdriver.Driver[Tx], log *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err != nil {
		return fmt.Errorf("preparing the queue's migrations: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the queue's tables: %w", err)
	}
	return nil
}
