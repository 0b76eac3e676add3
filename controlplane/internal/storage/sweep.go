package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

const (
	sweepPage = 200
	sweepMax  = 10_000 // uploads a run; the next run goes on
)

// Swept counts what a sweep did, by outcome.
type Swept struct {
	Settled  int // the bytes were there: stored without a completion call
	Expired  int // nothing came: reservation released
	Purged   int // bytes of uploads that were given up, or of deleted objects, are removed for sure
	Closed   int // stored, and their URLs have expired
	Failed   int // the store or the database did not answer; they stay due
	Examined int
}

// Sweep works through uploads whose URLs expired more than TransferAllowance ago. Run it every few minutes; several at once
// do no harm. It returns the failures joined, after all others were done.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var done Swept
	var failures []error
	before := s.Now().Add(-s.TransferAllowance)
	for cursor := (DueCursor{}); done.Examined < sweepMax; {
		due, err := s.Book.DueUploads(ctx, before, cursor, sweepPage)
		if err != nil {
			return done, errors.Join(append(failures, err)...)
		}
		if len(due) == 0 {
			break
		}
		for _, u := range due {
			if ctx.Err() != nil {
				return done, errors.Join(append(failures, ctx.Err())...)
			}
			done.Examined++
			if err := s.sweepOne(ctx, u, &done); err != nil {
				done.Failed++
				failures = append(failures, fmt.Errorf("sweeping upload %s: %w", u.ID, err))
			}
			cursor = DueCursor{ExpiresAt: u.ExpiresAt, ID: u.ID}
		}
	}
	return done, errors.Join(failures[:min(len(failures), 10)]...)
}

func (s *Service) sweepOne(ctx context.Context, u Upload, done *Swept) error {
	switch u.Status {
	case Reserved:
		return s.sweepReserved(ctx, u, done)
	case Stored:
		return s.sweepStored(ctx, u, done)
	}
	if err := s.purge(ctx, u); err != nil {
		return err
	}
	done.Purged++
	return s.Book.CloseUpload(ctx, u.ID)
}

// sweepReserved settles what was sent without a completion call, and releases the rest.
func (s *Service) sweepReserved(ctx context.Context, u Upload, done *Swept) error {
	info, err := s.Bytes.Head(ctx, u.Key)
	if err != nil && !errors.Is(err, ErrNoObject) {
		return err
	}
	if err == nil && u.StoreChecksum != "" && info.SizeBytes == u.SizeBytes && info.Checksum == u.StoreChecksum {
		o, err := s.Ledger.Settle(ctx, u.object(s.Now()), !u.Plan.Multipart() || s.nothingLeft(ctx, u))
		if err != nil {
			return err
		}
		s.stored(ctx, o)
		done.Settled++
		return nil
	}
	released, err := s.Ledger.Release(ctx, u.ID, Expired, u.ExpiresAt)
	if err != nil || !released { // somebody else was faster: it is theirs
		return err
	}
	done.Expired++
	if err := s.purge(ctx, u); err != nil {
		return err
	}
	return s.Book.CloseUpload(ctx, u.ID)
}

// sweepStored closes a stored upload. If its object was deleted, the bytes may have come back by a replay while the URL
// lived, or the deletion may have failed: remove them now that no URL is left.
func (s *Service) sweepStored(ctx context.Context, u Upload, done *Swept) error {
	if err := s.abortMultiparts(ctx, u); err != nil {
		return err
	}
	_, err := s.Catalogue.Object(ctx, u.ID)
	switch {
	case err == nil:
		done.Closed++
	case apperr.Is(err, apperr.NotFound):
		if err := s.Bytes.Delete(ctx, u.Key); err != nil {
			return err
		}
		done.Purged++
	default:
		return err
	}
	return s.Book.CloseUpload(ctx, u.ID)
}
