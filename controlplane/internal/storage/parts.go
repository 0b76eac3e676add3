package storage

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// MaxParts is how many parts one call presigns.
const MaxParts = 100

// PartWish is a part that the client wants to send.
type PartWish struct {
	Number    int32
	SizeBytes int64
	SHA256    Digest
}

// SignedPart is its presigned PUT.
type SignedPart struct {
	Number int32
	Put    Presigned
}

// State is an upload as a client sees it, with what the store already holds of it.
type State struct {
	Upload Upload
	Parts  []Part
	Object *Object // once it is stored
}

// Upload tells how far an upload is: the way to resume one.
func (s *Service) Upload(ctx context.Context, c Caller, id uuid.UUID) (State, error) {
	u, err := s.uploadOf(ctx, c, id)
	if err != nil {
		return State{}, err
	}
	st := State{Upload: u}
	switch {
	case u.Status == Stored:
		o, err := s.Catalogue.Object(ctx, u.ID)
		if err == nil {
			st.Object = s.dated(o)
		} else if !apperr.Is(err, apperr.NotFound) { // deleted since
			return State{}, err
		}
	case u.Status == Reserved && u.StoreUploadID != "":
		st.Parts, err = s.Multiparts.Parts(ctx, u.Key, u.StoreUploadID)
		if err != nil && !errors.Is(err, ErrNoUpload) {
			return State{}, storeErr(err)
		}
	}
	return st, nil
}

// PresignParts presigns parts of a multipart upload and begins it in the store when these are its first. Each call pushes
// the expiry of the upload away.
func (s *Service) PresignParts(ctx context.Context, c Caller, id uuid.UUID, wishes []PartWish) ([]SignedPart, error) {
	u, err := s.uploadOf(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if err := checkOpen(u); err != nil {
		return nil, err
	}
	if err := checkParts(u, wishes); err != nil {
		return nil, err
	}
	if u.StoreUploadID, err = s.beginMultipart(ctx, u); err != nil {
		return nil, err
	}
	if err := s.Book.ExtendUpload(ctx, u.ID, s.Now().Add(s.MultipartIdle)); err != nil {
		return nil, err
	}
	return s.signParts(ctx, u, wishes)
}

func (s *Service) signParts(ctx context.Context, u Upload, wishes []PartWish) ([]SignedPart, error) {
	signed := make([]SignedPart, 0, len(wishes))
	for _, w := range wishes {
		put, err := s.Signer.SignPart(ctx, PartOrder{
			Key: u.Key, StoreUploadID: u.StoreUploadID, Number: w.Number, SizeBytes: w.SizeBytes, SHA256: w.SHA256, Lifetime: s.URLLifetime,
		})
		if err != nil {
			return nil, err
		}
		signed = append(signed, SignedPart{Number: w.Number, Put: put})
	}
	return signed, nil
}

func checkOpen(u Upload) error {
	switch u.Status {
	case Reserved:
		return nil
	case Stored:
		return apperr.New(apperr.Conflict, "this upload is complete already")
	}
	return expired()
}

func expired() error {
	return apperr.New(apperr.UploadExpired, "this upload was given up or has expired").WithHint("ask for a new one and send it again")
}

func checkParts(u Upload, wishes []PartWish) error {
	if !u.Plan.Multipart() {
		return apperr.New(apperr.Conflict, "this upload is a single PUT and has no parts").WithHint("ask for the upload again to have a fresh URL")
	}
	if len(wishes) == 0 || len(wishes) > MaxParts {
		return invalid("parts", "a call takes 1 to 100 parts")
	}
	for _, w := range wishes {
		want := u.Plan.PartSize(w.Number, u.SizeBytes)
		if want == 0 {
			return apperr.Newf(apperr.InvalidRequest, "part %d: this upload has parts 1 to %d", w.Number, u.Plan.Count)
		}
		if w.SizeBytes != want {
			return apperr.Newf(apperr.InvalidRequest, "part %d has %d bytes, the plan says %d", w.Number, w.SizeBytes, want)
		}
	}
	return nil
}

// beginMultipart creates the multipart in the store once. Of two at the same time the loser drops its own. The row of the
// upload is there before: when we die between the store's answer and writing its id, closing the row drops every multipart
// of its key (abortMultiparts).
func (s *Service) beginMultipart(ctx context.Context, u Upload) (string, error) {
	if u.StoreUploadID != "" {
		return u.StoreUploadID, nil
	}
	own, err := s.Multiparts.Create(ctx, u.Key, u.ContentType)
	if err != nil {
		return "", storeErr(err)
	}
	counts, err := s.Book.AttachMultipart(ctx, u.ID, own)
	if err != nil || counts != own {
		if abortErr := s.Multiparts.Abort(context.WithoutCancel(ctx), u.Key, own); abortErr != nil {
			s.Log.WarnContext(ctx, "dropping a multipart that nobody uses", "upload_id", u.ID, "error", abortErr)
		}
	}
	return counts, err
}

// missing lists the numbers of parts that are not there in full length, at most ten.
func missing(u Upload, parts []Part) []int32 {
	var numbers []int32
	for n := int32(1); n <= u.Plan.Count && len(numbers) < 10; n++ {
		ok := slices.ContainsFunc(parts, func(p Part) bool {
			return p.Number == n && p.SizeBytes == u.Plan.PartSize(n, u.SizeBytes)
		})
		if !ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
