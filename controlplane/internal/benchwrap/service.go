package benchwrap

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// Service is the feature.
type Service struct {
	store Store
	vault Vault
	now   func() time.Time
	log   *slog.Logger
	turns chan struct{} // who settles has one: what is hashed is read whole
}

// settlers is how many uploads are settled at once, of all users: one that is large holds up nobody else's.
const settlers = 3

// New makes the feature.
func New(store Store, vault Vault, now func() time.Time, log *slog.Logger) *Service {
	return &Service{store: store, vault: vault, now: now, log: log, turns: make(chan struct{}, settlers)}
}

const maxBenchmarkBytes = 128

// Upload signs a PUT for a name. What the user's earlier uploads of that name left is settled first, and all of the user's
// when the quota is full of reservations.
func (s *Service) Upload(ctx context.Context, userID, objectName, benchmark string) (Signed, error) {
	if err := checkBenchmark(benchmark); err != nil {
		return Signed{}, err
	}
	s.settleOf(ctx, userID, func(u Upload) bool { return u.ObjectName == objectName })
	id, put, err := s.vault.Presign(ctx, userID, objectName)
	if apperr.Is(err, apperr.QuotaExceeded) {
		s.settleOf(ctx, userID, func(Upload) bool { return true })
		id, put, err = s.vault.Presign(ctx, userID, objectName)
	}
	if err != nil {
		return Signed{}, err
	}
	now := s.now()
	return put, s.store.Note(ctx, Upload{
		ID: id, UserID: userID, ObjectName: objectName, Benchmark: benchmark, SlurmJobID: jobOf(objectName),
		State: Issued, CheckedAt: now, CreatedAt: now,
	})
}

func checkBenchmark(name string) error {
	bad := len(name) > maxBenchmarkBytes || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl)
	if bad {
		return apperr.New(apperr.InvalidRequest, "benchmark_name: at most 128 bytes of UTF-8 without control characters")
	}
	return nil
}

// jobOf is Slurm's number in the name of a profile, or empty.
func jobOf(objectName string) string {
	name, err := profile.ParseFileName(path.Base(objectName))
	if err != nil {
		return ""
	}
	return strconv.FormatUint(uint64(name.JobID), 10)
}

// Download signs a GET of the newest file of that key or name.
func (s *Service) Download(ctx context.Context, userID, keyOrName string) (Signed, error) {
	if keyOrName == "" {
		return Signed{}, apperr.New(apperr.InvalidRequest, "object_name is missing")
	}
	s.settleOf(ctx, userID, func(u Upload) bool { return u.ObjectName == keyOrName })
	o, err := s.vault.Find(ctx, userID, keyOrName)
	if err != nil {
		return Signed{}, err
	}
	get, err := s.vault.Download(ctx, userID, o.ID)
	get.Key = o.Key
	return get, err
}

// Listed is a file with what the client said of it.
type Listed struct {
	Object
	Benchmark string
}

// List gives a page of the user's files whose names begin with prefix, after settling what came. A page may be short, or
// empty, before the last: next says whether there are more.
func (s *Service) List(ctx context.Context, userID, prefix, cursor string) (list []Listed, next string, err error) {
	s.settleOf(ctx, userID, func(Upload) bool { return true })
	objects, next, err := s.vault.List(ctx, userID, cursor)
	if err != nil {
		return nil, "", err
	}
	ids := make([]uuid.UUID, 0, len(objects))
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	benchmarks, err := s.store.Benchmarks(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	for _, o := range objects {
		if strings.HasPrefix(o.Name, prefix) {
			list = append(list, Listed{o, benchmarks[o.ID]})
		}
	}
	return list, next, nil
}

// What one call settles at most, and for how long; the rest is left to Run.
const (
	settleAtOnce = 200
	settleBudget = 10 * time.Second
)

// settleOf settles uploads of one user. What fails is logged and tried again by Run.
func (s *Service) settleOf(ctx context.Context, userID string, which func(Upload) bool) {
	limited, cancel := context.WithTimeout(ctx, settleBudget)
	defer cancel()
	open, err := s.store.Open(limited, Issued, userID, s.now(), settleAtOnce)
	if err != nil {
		s.log.WarnContext(ctx, "looking for uploads of benchwrap", "error", err)
	}
	for _, u := range open {
		if limited.Err() != nil {
			return
		}
		if which(u) {
			s.settle(limited, u)
		}
	}
}

// settle moves an upload on.
func (s *Service) settle(ctx context.Context, u Upload) {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return
	}
	to, err := s.next(ctx, u)
	if err == nil {
		err = s.store.Mark(ctx, u.ID, to, s.now())
	}
	if err != nil && !errors.Is(err, ctx.Err()) {
		s.log.WarnContext(ctx, "settling an upload of benchwrap; it is tried again", "upload_id", u.ID, "error", err)
	}
}

// next finds out what an upload is now.
func (s *Service) next(ctx context.Context, u Upload) (State, error) {
	if u.State == Issued {
		err := s.vault.Settle(ctx, u.ID)
		switch {
		case err == nil:
		case apperr.Is(err, apperr.UploadIncomplete):
			return Issued, nil
		case apperr.Is(err, apperr.UploadExpired), apperr.Is(err, apperr.Gone), apperr.Is(err, apperr.NotFound), apperr.Is(err, apperr.TooLarge):
			s.log.InfoContext(ctx, "an upload of benchwrap came to nothing", "upload_id", u.ID, "user", u.UserID, "reason", err)
			return Lost, nil
		default:
			return Issued, err
		}
	}
	if u.SlurmJobID == "" {
		return Done, nil
	}
	return s.attach(ctx, u)
}

// patience is how long a profile waits for its job.
const patience = 30 * 24 * time.Hour

// attach gives a profile to its job; a job of another user, or of several clusters, is none.
func (s *Service) attach(ctx context.Context, u Upload) (State, error) {
	job, err := s.store.OwnJob(ctx, u.UserID, u.SlurmJobID)
	switch {
	case err == nil:
		err = s.vault.Attach(ctx, u.ID, job)
		if apperr.Is(err, apperr.NotFound) { // deleted, or the same content was there before
			err = nil
		}
		return Done, err
	case !apperr.Is(err, apperr.NotFound) && !apperr.Is(err, apperr.Conflict):
		return u.State, err
	case s.now().Sub(u.CreatedAt) > patience:
		return Done, nil
	}
	return Waiting, nil
}

// How often uploads are looked at: those that were issued within 30 s, as the client expects (design 04).
const (
	every        = 5 * time.Second
	issuedEvery  = 10 * time.Second
	waitingEvery = time.Minute
)

// Run settles until its context ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.pass(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// pass looks once at what is due, and ends when all of it was looked at.
func (s *Service) pass(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	for state, pause := range map[State]time.Duration{Issued: issuedEvery, Waiting: waitingEvery} {
		due, err := s.store.Open(ctx, state, "", s.now().Add(-pause), settleAtOnce)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "looking for uploads of benchwrap", "error", err)
		}
		for _, u := range due {
			if ctx.Err() != nil {
				return
			}
			work.Go(func() { s.settle(ctx, u) }) // at most settleAtOnce of them, which wait for their turn
		}
	}
}
