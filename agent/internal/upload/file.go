package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// maxChanges is how often a file may change under our hands before it is called unstable (design 03, T5).
const maxChanges = 3

// tries repeats the way from the hash on while the file changes, and from the reservation on while the upload is lost at
// the other end: a store that was killed may come back without what it held.
func (r *run) tries(ctx context.Context, t task) error {
	changes := 0
	for n := 0; ; n++ {
		err := r.once(ctx, t)
		t.ticket = nil
		switch {
		case errors.Is(err, safefs.ErrChanged):
			if changes++; changes >= maxChanges {
				return err
			}
			t.row = outputs.FileRow{} // what was reserved is for other content
		case lost(err) && n+1 < r.settings.Attempts:
			t.row = outputs.FileRow{Entry: *t.entry}
			if err := r.wait(ctx, n, 0); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// lost says that the upload is not, or not wholly, where it was sent: asking for it again tells what is to be sent.
func lost(err error) bool {
	refusal, refused := errors.AsType[*outputs.Refusal](err)
	return refused && slices.Contains([]string{"upload_expired", "upload_incomplete", "conflict"}, refusal.Code)
}

// noUpload says that the store does not know the multipart upload (any more).
func noUpload(err error) bool {
	store, answered := errors.AsType[*helper.StoreError](err)
	return answered && store.Status == http.StatusNotFound
}

// once is one pass: HASHED, RESERVED, PUT or PARTS, COMPLETED, VERIFIED. A ticket that was got ahead saves the first two.
func (r *run) once(ctx context.Context, t task) error {
	e := t.entry
	if t.ticket == nil {
		if err := r.ask(ctx, &t); err != nil {
			return err
		}
	}
	ticket, err := r.reserved(ctx, *e, *t.ticket)
	if err != nil || ticket.Kind == outputs.TicketStored {
		return err
	}
	if ticket.Kind == outputs.TicketMultipart {
		if err = r.parts(ctx, *e, ticket); noUpload(err) {
			err = nil // joined by an earlier completion, or gone: the server finds out which
		}
	} else {
		err = r.single(ctx, *e, ticket)
	}
	if err != nil {
		return err
	}
	return r.complete(ctx, *e, ticket.UploadID)
}

// ask hashes one file and asks for its ticket.
func (r *run) ask(ctx context.Context, t *task) error {
	hashed, err := r.hash(ctx, *t.entry, t.row)
	if err != nil {
		return err
	}
	*t.entry = hashed
	if err := r.advance(ctx, hashed, outputs.Step{To: outputs.FileHashed, Entry: t.entry}); err != nil {
		return err
	}
	tickets, err := r.env.Tickets.Presign(ctx, r.job, []outputs.Entry{hashed})
	if err != nil {
		return fmt.Errorf("asking for an upload: %w", err)
	}
	if len(tickets) != 1 {
		return fmt.Errorf("asking for an upload: the server sent %d tickets for one file", len(tickets))
	}
	t.ticket = &tickets[0]
	return nil
}

// reserved writes down what the server answered. A refusal comes back as *outputs.Refusal.
func (r *run) reserved(ctx context.Context, e outputs.Entry, t outputs.Ticket) (outputs.Ticket, error) {
	switch t.Kind {
	case outputs.TicketRefused:
		if t.Refusal == nil {
			return t, &outputs.Refusal{Code: "internal", Detail: "the server refused without a reason"}
		}
		return t, t.Refusal
	case outputs.TicketStored:
		return t, r.advance(ctx, e, outputs.Step{To: outputs.FileVerified, UploadID: t.UploadID})
	default:
		return t, r.advance(ctx, e, outputs.Step{To: outputs.FileReserved, UploadID: t.UploadID, PartSize: t.PartSize})
	}
}

func (r *run) single(ctx context.Context, e outputs.Entry, t outputs.Ticket) error {
	if t.Put == nil {
		return errors.New("the server sent a ticket without a URL")
	}
	if err := r.advance(ctx, e, outputs.Step{To: outputs.FilePut}); err != nil {
		return err
	}
	fresh := func(ctx context.Context) (outputs.Request, error) { return r.freshPut(ctx, e) }
	if err := r.put(ctx, e, piece{to: *t.Put, size: e.Size, fresh: fresh}); err != nil {
		return err
	}
	r.progress.sent(e.Size)
	return nil
}

// freshPut is a new URL for a single PUT whose old one has expired.
func (r *run) freshPut(ctx context.Context, e outputs.Entry) (outputs.Request, error) {
	tickets, err := r.env.Tickets.Presign(ctx, r.job, []outputs.Entry{e})
	if err != nil {
		return outputs.Request{}, err
	}
	if len(tickets) != 1 || tickets[0].Put == nil {
		return outputs.Request{}, errors.New("the server gave no fresh URL")
	}
	return *tickets[0].Put, nil
}

func (r *run) complete(ctx context.Context, e outputs.Entry, id uuid.UUID) error {
	if err := r.advance(ctx, e, outputs.Step{To: outputs.FileCompleted}); err != nil {
		return err
	}
	if err := r.env.Tickets.Complete(ctx, id); err != nil {
		return fmt.Errorf("completing the upload: %w", err)
	}
	return r.advance(ctx, e, outputs.Step{To: outputs.FileVerified})
}

func (r *run) advance(ctx context.Context, e outputs.Entry, step outputs.Step) error {
	if err := r.env.Ledger.Advance(ctx, r.key(e), step); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// settle turns the end of the tries into the entry's status. What concerns the whole job stays an error.
func (r *run) settle(ctx context.Context, e *outputs.Entry, err error) error {
	refusal, refused := errors.AsType[*outputs.Refusal](err)
	switch {
	case err == nil:
		e.Status = outputs.StatusStored
		return nil
	case refused:
		e.Status, e.Reason = outputs.StatusBlocked, refusal.Error()
		return r.advance(ctx, *e, outputs.Step{To: outputs.FileBlocked, Reason: e.Reason})
	case ofTheFile(err):
		e.Status, e.Reason = outputs.StatusBlocked, err.Error()
		return r.advance(ctx, *e, outputs.Step{To: outputs.FileBlocked, Entry: e, Reason: e.Reason})
	case errors.Is(err, safefs.ErrChanged):
		e.Status, e.Reason = outputs.StatusUnstable, "kept changing while it was read; it stays where it is"
		return r.advance(ctx, *e, outputs.Step{To: outputs.FileUnstable, Entry: e, Reason: e.Reason})
	case errors.Is(err, fs.ErrNotExist):
		e.Status, e.Reason = outputs.StatusMissing, "gone before it was uploaded"
		return nil
	case errors.Is(err, helper.ErrRefused):
		e.Status, e.Reason = outputs.StatusSkipped, err.Error()
		return nil
	default:
		return err
	}
}

// ofTheFile says that a fault concerns this one file and that waiting a little will not help: the store refuses it for
// good, or it cannot be read. The others go on; the job is blocked, and this file is tried again with it.
func ofTheFile(err error) bool {
	if errors.Is(err, safefs.ErrChanged) {
		return false
	}
	store, answered := errors.AsType[*helper.StoreError](err)
	return answered && !store.Temporary() || errors.Is(err, helper.ErrFailed)
}

// wait sleeps before try number n of a temporary fault: exponential, at most 30 s, and what the store asked for.
func (r *run) wait(ctx context.Context, n int, retryAfter time.Duration) error {
	pause := min(r.settings.Backoff<<n, 30*time.Second)
	timer := time.NewTimer(max(jitter(pause), retryAfter))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
