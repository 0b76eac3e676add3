package storage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Config is what the feature needs. All ports are required; times and limits have defaults.
type Config struct {
	Ledger     Ledger
	Book       Book
	Catalogue  Catalogue
	Signer     Signer
	Bytes      Bytes
	Multiparts Multiparts
	Owners     Owners
	Recounter  Recounter
	Census     Census
	Eraser     Eraser
	Log        *slog.Logger
	Now        func() time.Time
	NewID      func() uuid.UUID // random, version 4

	Quota             Limit         // of users for whom no rule holds; default 100 GiB and 100 000 objects
	JobQuota          Limit         // of the outputs of one job; a zero member does not restrict
	Retention         Retention     // how long files are kept; default: until their owner deletes them
	URLLifetime       time.Duration // of presigned requests; default 10 min, at most that (design 03)
	TransferAllowance time.Duration // how long a transfer may go on after its URL expired; default 1 h
	MultipartIdle     time.Duration // how long a multipart upload waits for its next part; default 7 days
	CompleteWait      time.Duration // how long a call waits for a slow completion, which then goes on; default 20 s
}

// Service is the feature. Close waits for completions that are under way.
type Service struct {
	Config
	flights singleflight.Group
	running sync.WaitGroup
	stop    context.CancelFunc
	base    context.Context //nolint:containedctx // of completions that outlive the call which began them

	observers []Observer
}

// Observe adds one who is told of stored objects. Only before the first call of anything else.
func (s *Service) Observe(o Observer) { s.observers = append(s.observers, o) }

const completeLimit = time.Hour // joining the parts of 5 TiB takes the embedded store that long, and no more

// New checks the configuration.
func New(cfg Config) (*Service, error) {
	if cfg.incomplete() {
		return nil, errors.New("making the storage feature: a port, the log, the clock or the ids are missing")
	}
	if cfg.Quota == (Limit{}) {
		cfg.Quota = Limit{Bytes: 100 << 30, Objects: 100_000}
	}
	setDefault(&cfg.URLLifetime, 10*time.Minute)
	setDefault(&cfg.TransferAllowance, time.Hour)
	setDefault(&cfg.MultipartIdle, 7*24*time.Hour)
	setDefault(&cfg.CompleteWait, 20*time.Second)
	cfg.URLLifetime = min(cfg.URLLifetime, 10*time.Minute)
	base, stop := context.WithCancel(context.Background())
	return &Service{Config: cfg, base: base, stop: stop}, nil
}

func (c Config) incomplete() bool {
	return c.Ledger == nil || c.Book == nil || c.Catalogue == nil || c.Signer == nil || c.Bytes == nil || c.Multiparts == nil ||
		c.Owners == nil || c.Recounter == nil || c.Census == nil || c.Eraser == nil || c.Log == nil || c.Now == nil || c.NewID == nil
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// Close stops completions that are under way and waits for them. Stopping one is harmless: the next call of Complete, or
// the sweeper, finds out what became of it.
func (s *Service) Close() error {
	s.stop()
	s.running.Wait()
	return nil
}

// storeErr names a failure of the store for the caller; the cause goes to the log.
func storeErr(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*apperr.Error](err); ok {
		return err
	}
	e := apperr.Wrap(apperr.StoreUnavailable, "the object store does not answer as it should", err).
		WithHint("nothing is lost; try again in a moment")
	e.RetryAfter = 5 * time.Second
	if errors.Is(err, ErrFull) {
		e.Message, e.Hint = "the disk of the object store is full", "nothing is lost; its administrators have to free space, try again then"
		e.RetryAfter = 10 * time.Second
	}
	return e
}

func (s *Service) stored(ctx context.Context, o Object) {
	for _, observer := range s.observers {
		if err := observer.Stored(ctx, o); err != nil {
			s.Log.WarnContext(ctx, "telling of a stored object; it will be found later", "object_id", o.ID, "error", err)
		}
	}
}
