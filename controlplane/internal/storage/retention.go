package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Retention says how long objects of a class are kept after they were stored; a class without an entry, or with 0, is kept
// until its owner deletes it. The classes of design 04 are outputs (with stdout and stderr), profiles, inputs and uploads.
type Retention map[Class]time.Duration

// NewRetention gives each class its time; 0 keeps.
func NewRetention(outputs, profiles, inputs, uploads time.Duration) Retention {
	return Retention{
		ClassOutput: outputs, ClassStdout: outputs, ClassStderr: outputs,
		ClassProfile: profiles, ClassInput: inputs, ClassUpload: uploads,
	}
}

// until is when an object may be removed; nil: never by itself.
func (r Retention) until(o Object) *time.Time {
	keep := r[o.Class]
	if keep <= 0 {
		return nil
	}
	at := o.CreatedAt.Add(keep)
	return &at
}

// dated is the object with the day on which it will be removed, as the site has set it now.
func (s *Service) dated(o Object) *Object {
	o.ExpiresAt = s.Retention.until(o)
	return &o
}

// Expire removes objects that are older than their class is kept: from the books first and then from the store, as Delete
// does, so that a kill at any point leaves what the next run or the sweeper finishes. It tells how many it removed.
func (s *Service) Expire(ctx context.Context) (removed int, err error) {
	var failures []error
	for class, keep := range s.Retention {
		if keep <= 0 {
			continue
		}
		n, err := s.expireClass(ctx, class, s.Now().Add(-keep))
		removed += n
		if err != nil {
			failures = append(failures, fmt.Errorf("removing old files of the class %s: %w", class, err))
		}
	}
	return removed, errors.Join(failures...)
}

func (s *Service) expireClass(ctx context.Context, class Class, before time.Time) (removed int, err error) {
	for removed < sweepMax {
		old, err := s.Census.Outdated(ctx, class, before, sweepPage)
		if err != nil || len(old) == 0 {
			return removed, err
		}
		for _, o := range old {
			if ctx.Err() != nil {
				return removed, ctx.Err()
			}
			if err := s.Delete(ctx, o.UserID, o.ID); err != nil && !apperr.Is(err, apperr.NotFound) {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}
