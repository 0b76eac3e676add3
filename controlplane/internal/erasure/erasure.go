package erasure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Step is what is to be done next.
type Step string

// The steps, in order.
const (
	StepRevoke   Step = "revoke" // freezing is done when the row exists
	StepFiles    Step = "files"
	StepRows     Step = "rows"
	StepNames    Step = "names"
	StepLastLook Step = "last_look"
	StepDone     Step = "done"
)

// Erasure is the deletion of one account, and its receipt.
type Erasure struct {
	ID          string
	UserID      string
	RequestedBy string // self, or command line
	Step        Step
	Objects     int64 // files removed
	Jobs        int64 // jobs that lost their person
	LastError   string
	QuietAt     time.Time // when no URL that was given out before can be in use any more
	RequestedAt time.Time
	UpdatedAt   time.Time
	FinishedAt  *time.Time
}

// Store keeps sagas, and removes rows.
type Store interface {
	// Begin freezes the account and writes the saga, in one transaction. If there is one already it gives that. quiet is when
	// it is quiet if the account has uploads whose URLs may be in use, or an export is being made; else it is quiet at once.
	// NotFound.
	Begin(ctx context.Context, e Erasure, quiet time.Time) (Erasure, error)
	Erasure(ctx context.Context, id string) (Erasure, error) // NotFound
	// OpenErasures gives those that are not done, oldest first.
	OpenErasures(ctx context.Context, limit int) ([]Erasure, error)
	// SaveErasure writes step, counts, error and times.
	SaveErasure(ctx context.Context, e Erasure) error
	// DetachJobs takes the person out of some of the account's jobs and removes their details; 0: there is none left.
	DetachJobs(ctx context.Context, userID string, limit int) (int, error)
	// DeleteAccount removes the account and everything that refers to it. That there is none is success.
	DeleteAccount(ctx context.Context, userID string) error
}

// Access ends everything by which an account acts.
type Access interface {
	Shut(ctx context.Context, userID string) error
}

// Files empties what the object store holds of an account, with all versions, and the books of it.
type Files interface {
	EraseFiles(ctx context.Context, userID string) (objects int, err error)
}

// Names makes names and addresses in the audit log unreadable, and records that an account was deleted.
type Names interface {
	Forget(ctx context.Context, userID string) error
	Record(ctx context.Context, action, subject string, detail map[string]string) error
}

// Config is what the feature needs. Kick tells that there is work; it may be nil.
type Config struct {
	Store   Store
	Exports ExportStore
	Archive Archive
	Access  Access
	Files   Files
	Names   Names
	Log     *slog.Logger
	Now     func() time.Time
	NewID   func() uuid.UUID
	Kick    func(ctx context.Context)

	URLLife    time.Duration // how long a request that was begun before, and its URLs, may be in use: URL and transfer
	ExportLife time.Duration // how long an archive stays; default 7 days
	TempDir    string        // for archives while they are made; empty: the system's
}

// Service is the feature.
type Service struct{ Config }

// New checks the configuration.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Exports == nil || cfg.Archive == nil || cfg.Access == nil || cfg.Files == nil || cfg.Names == nil ||
		cfg.Log == nil || cfg.Now == nil || cfg.NewID == nil || cfg.URLLife <= 0 {
		return nil, errors.New("making the erasure feature: a port, the log, the clock, the ids or the life of URLs are missing")
	}
	if cfg.Kick == nil {
		cfg.Kick = func(context.Context) {}
	}
	if cfg.ExportLife == 0 {
		cfg.ExportLife = 7 * 24 * time.Hour
	}
	return &Service{cfg}, nil
}

// Begin freezes an account and begins to delete it. Whoever begins it again gets the same receipt. There is no way back.
func (s *Service) Begin(ctx context.Context, userID, by string) (Erasure, error) {
	now := s.Now()
	e := Erasure{ID: s.NewID().String(), UserID: userID, RequestedBy: by, Step: StepRevoke, QuietAt: now, RequestedAt: now, UpdatedAt: now}
	begun, err := s.Store.Begin(ctx, e, now.Add(s.URLLife))
	if err != nil {
		return Erasure{}, err
	}
	if begun.ID == e.ID {
		if err := s.Names.Record(ctx, "user.erase", userID, map[string]string{"receipt": e.ID, "by": by}); err != nil {
			return begun, err
		}
	}
	if err := s.Access.Shut(ctx, userID); err != nil { // again in its step
		s.Log.WarnContext(ctx, "ending the sessions of an account that is deleted; its saga will", "receipt", begun.ID, "error", err)
	}
	s.Kick(ctx)
	return begun, nil
}

// Receipt gives a saga by its id.
func (s *Service) Receipt(ctx context.Context, id string) (Erasure, error) {
	e, err := s.Store.Erasure(ctx, id)
	if apperr.Is(err, apperr.NotFound) {
		err = apperr.New(apperr.NotFound, "there is no such receipt")
	}
	return e, err
}

const sagasAtOnce = 100

// Run goes on with every saga that is not done, as far as it can now. A failing one holds up no other.
func (s *Service) Run(ctx context.Context) error {
	open, err := s.Store.OpenErasures(ctx, sagasAtOnce)
	if err != nil {
		return err
	}
	var failures []error
	for _, e := range open {
		if _, err := s.Continue(ctx, e); err != nil {
			failures = append(failures, fmt.Errorf("deleting the account of receipt %s: %w", e.ID, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

// Continue works on one saga until it is done, waits for URLs to end, or fails; then the error stands in its row, and the
// next call goes on.
func (s *Service) Continue(ctx context.Context, e Erasure) (Erasure, error) {
	for e.Step != StepDone {
		if e.Step == StepLastLook && s.Now().Before(e.QuietAt) {
			return e, nil
		}
		next, err := s.step(ctx, e)
		if err != nil {
			e.LastError, e.UpdatedAt = string(apperr.CodeOf(err))+" at "+string(e.Step), s.Now()
			return e, errors.Join(err, s.Store.SaveErasure(context.WithoutCancel(ctx), e))
		}
		next.LastError, next.UpdatedAt = "", s.Now()
		if err := s.Store.SaveErasure(ctx, next); err != nil {
			return e, err
		}
		e = next
	}
	return e, nil
}

// step does the next step and says which one follows.
func (s *Service) step(ctx context.Context, e Erasure) (Erasure, error) {
	var err error
	switch e.Step {
	case StepRevoke:
		e.Step, err = StepFiles, s.Access.Shut(ctx, e.UserID)
	case StepFiles:
		err = s.eraseFiles(ctx, &e)
		e.Step = StepRows
	case StepRows:
		err = s.eraseRows(ctx, &e)
		e.Step = StepNames
	case StepNames:
		e.Step, err = StepLastLook, s.Names.Forget(ctx, e.UserID)
	case StepLastLook:
		if err = s.eraseFiles(ctx, &e); err == nil {
			now := s.Now()
			e.Step, e.FinishedAt = StepDone, &now
		}
	default:
		err = fmt.Errorf("this build knows no step %q", e.Step)
	}
	return e, err
}

func (s *Service) eraseFiles(ctx context.Context, e *Erasure) error {
	n, err := s.Files.EraseFiles(ctx, e.UserID)
	e.Objects += int64(n)
	return err
}

// jobsAtOnce bounds a transaction: SQLite has one writer.
const jobsAtOnce = 200

func (s *Service) eraseRows(ctx context.Context, e *Erasure) error {
	for {
		n, err := s.Store.DetachJobs(ctx, e.UserID, jobsAtOnce)
		e.Jobs += int64(n)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.Store.DeleteAccount(ctx, e.UserID)
		}
	}
}
