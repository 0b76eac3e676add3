package storage

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Complete verifies the bytes in the store and turns the upload into an object. Safe to repeat, by many at once. A slow
// completion goes on after CompleteWait and the call answers busy: repeat it.
func (s *Service) Complete(ctx context.Context, c Caller, id uuid.UUID) (Object, error) {
	u, err := s.uploadOf(ctx, c, id)
	if err != nil {
		return Object{}, err
	}
	flight := s.flights.DoChan(id.String(), func() (any, error) { return s.finishDetached(u) }) //nolint:contextcheck // it shall outlive the call
	wait := time.NewTimer(s.CompleteWait)
	defer wait.Stop()
	select {
	case r := <-flight:
		if r.Err != nil {
			return Object{}, r.Err
		}
		o, _ := r.Val.(Object)
		return o, nil
	case <-ctx.Done():
		return Object{}, stillBusy()
	case <-wait.C:
		return Object{}, stillBusy()
	}
}

func stillBusy() error {
	e := apperr.New(apperr.Busy, "the store is still joining the parts").WithHint("call complete again; it goes on meanwhile")
	e.RetryAfter = 5 * time.Second
	return e
}

// finishDetached outlives the call that began it, but not the service. It takes nothing from the call's context: Gin uses
// those again.
func (s *Service) finishDetached(u Upload) (Object, error) {
	s.running.Add(1)
	defer s.running.Done()
	ctx, cancel := context.WithTimeout(s.base, completeLimit)
	defer cancel()
	return s.finish(ctx, u)
}

func (s *Service) finish(ctx context.Context, u Upload) (Object, error) {
	var err error
	switch {
	case u.Status == Stored:
		o, err := s.Ledger.Settle(ctx, u.object(s.Now()), u.Closed) // gives the object again, or says that it is gone
		return *s.dated(o), err
	case u.Status != Reserved:
		return Object{}, expired()
	case u.Plan.Multipart():
		u, err = s.join(ctx, u)
	default:
		err = s.verify(ctx, u)
	}
	if err != nil {
		return Object{}, err
	}
	o, err := s.Ledger.Settle(ctx, u.object(s.Now()), s.nothingLeft(ctx, u))
	if err != nil {
		return Object{}, err
	}
	s.stored(ctx, o)
	return *s.dated(o), nil
}

// nothingLeft says whether an upload that is complete can be closed: no URL of it works any more, and the store holds no
// second multipart that a crash left behind. Otherwise the sweeper looks again.
func (s *Service) nothingLeft(ctx context.Context, u Upload) bool {
	if !u.Plan.Multipart() {
		return false
	}
	if _, err := s.Multiparts.AbortAll(ctx, u.Key); err != nil {
		s.Log.WarnContext(ctx, "looking for multiparts that nobody uses; the sweeper will", "upload_id", u.ID, "error", err)
		return false
	}
	return true
}

// verify holds what the store has against what was declared. The signature makes a difference impossible; if there is one
// all the same, the bytes are removed and the upload ends.
func (s *Service) verify(ctx context.Context, u Upload) error {
	if u.StoreChecksum == "" { // Unannounced: there is nothing to hold its bytes against
		return apperr.New(apperr.Conflict, "this upload needs no completion: the server looks by itself whether its bytes came").
			WithHint("list your files in a moment")
	}
	info, err := s.Bytes.Head(ctx, u.Key)
	if errors.Is(err, ErrNoObject) {
		return apperr.New(apperr.UploadIncomplete, "the store does not have these bytes yet").
			WithHint("send the PUT first; if its URL has expired ask for the upload again")
	}
	if err != nil {
		return storeErr(err)
	}
	if info.SizeBytes == u.SizeBytes && info.Checksum == u.StoreChecksum {
		return nil
	}
	s.Log.ErrorContext(ctx, "the store holds other bytes than declared", "upload_id", u.ID,
		"size_bytes", info.SizeBytes, "declared_bytes", u.SizeBytes, "checksum_matches", info.Checksum == u.StoreChecksum)
	if _, err := s.Ledger.Release(ctx, u.ID, Aborted, s.Now().Add(-s.TransferAllowance)); err != nil {
		return err
	}
	if err := s.Bytes.Delete(ctx, u.Key); err != nil { // the sweeper will
		s.Log.WarnContext(ctx, "deleting bytes that do not match", "upload_id", u.ID, "error", err)
	}
	return apperr.New(apperr.ChecksumMismatch, "the store holds other bytes than you declared; they were removed").
		WithHint("compute size and SHA-256 again and ask for a new upload")
}

// join completes a multipart: what the store must answer is written down before it is asked to join the parts, so that
// whoever repeats this after a crash knows whether it was done.
func (s *Service) join(ctx context.Context, u Upload) (Upload, error) {
	if u.StoreUploadID == "" {
		return u, incomplete(missing(u, nil), u)
	}
	parts, err := s.Multiparts.Parts(ctx, u.Key, u.StoreUploadID)
	if errors.Is(err, ErrNoUpload) {
		return u, s.joinedBefore(ctx, u)
	}
	if err != nil {
		return u, storeErr(err)
	}
	if gaps := missing(u, parts); len(gaps) > 0 || len(parts) != int(u.Plan.Count) {
		return u, s.partlyJoined(ctx, u, gaps)
	}
	u.StoreChecksum = Composite(parts)
	if err := s.Book.ExpectChecksum(ctx, u.ID, u.StoreChecksum); err != nil {
		return u, err
	}
	err = s.Multiparts.Complete(ctx, u.Key, u.StoreUploadID, parts)
	switch {
	case errors.Is(err, ErrParts):
		return u, apperr.Wrap(apperr.UploadIncomplete, "a part changed while the upload was completed", err).WithHint("call complete again")
	case err != nil && !errors.Is(err, ErrNoUpload) && !errors.Is(err, ErrExists):
		return u, storeErr(err)
	}
	return u, s.verify(ctx, u)
}

// joinedBefore: no such multipart, and an object that answers what was written down, means that it was completed.
func (s *Service) joinedBefore(ctx context.Context, u Upload) error {
	info, err := s.Bytes.Head(ctx, u.Key)
	if err == nil && u.StoreChecksum != "" && info.Checksum == u.StoreChecksum && info.SizeBytes == u.SizeBytes {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNoObject) {
		return storeErr(err)
	}
	if _, err := s.Ledger.Release(ctx, u.ID, Expired, s.Now()); err != nil {
		return err
	}
	return expired()
}

// partlyJoined: parts are missing because they were never sent, or because the store was killed while it removed them
// after it had joined them. The object tells.
func (s *Service) partlyJoined(ctx context.Context, u Upload, gaps []int32) error {
	if u.StoreChecksum == "" { // nobody has asked to join them yet
		return incomplete(gaps, u)
	}
	info, err := s.Bytes.Head(ctx, u.Key)
	switch {
	case errors.Is(err, ErrNoObject):
		return incomplete(gaps, u)
	case err != nil:
		return storeErr(err)
	case info.Checksum != u.StoreChecksum || info.SizeBytes != u.SizeBytes:
		return incomplete(gaps, u)
	}
	return nil
}

func incomplete(gaps []int32, u Upload) error {
	e := apperr.Newf(apperr.UploadIncomplete, "the store does not have all %d parts; the first that are missing: %v", u.Plan.Count, gaps)
	return e.WithHint("GET the upload to see which parts are there, send the others, then complete it")
}

// Abort gives an upload up and releases its reservation. Safe to repeat. What was sent is removed by the sweeper at the
// latest.
func (s *Service) Abort(ctx context.Context, c Caller, id uuid.UUID) error {
	u, err := s.uploadOf(ctx, c, id)
	if err != nil {
		return err
	}
	if u.Status == Reserved {
		due := u.ExpiresAt
		if u.Plan.Multipart() {
			due = s.Now().Add(s.URLLifetime) // its part URLs die with it
		}
		done, err := s.Ledger.Release(ctx, id, Aborted, due)
		if err != nil {
			return err
		}
		if done {
			s.drop(ctx, u)
			return nil
		}
		if u, err = s.Book.Upload(ctx, id); err != nil {
			return err
		}
	}
	if u.Status == Stored {
		return apperr.New(apperr.Conflict, "this upload is complete already").WithHint("delete the file instead")
	}
	return nil
}

// drop removes what the store has of an upload that was given up; what fails is left to the sweeper.
func (s *Service) drop(ctx context.Context, u Upload) {
	if err := s.purge(ctx, u); err != nil {
		s.Log.WarnContext(ctx, "removing what was sent of an upload; the sweeper will", "upload_id", u.ID, "error", err)
	}
}

func (s *Service) purge(ctx context.Context, u Upload) error {
	if err := s.abortMultiparts(ctx, u); err != nil {
		return err
	}
	return s.Bytes.Delete(ctx, u.Key)
}
