package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/safename"
)

// OpenSigner signs a PUT of a key that overwrites nothing; length, type and content are up to the client.
type OpenSigner interface {
	SignOpenPut(ctx context.Context, key string, lifetime time.Duration) (Presigned, error)
}

// OpenLedger keeps the books of uploads whose facts are known only once their bytes are there.
type OpenLedger interface {
	// SettleAs is Ledger.Settle for an upload that reserved another length: length and digest of o go into the upload too.
	SettleAs(ctx context.Context, o Object) (Object, error)
	// Attach makes an object of the user part of a job, in a class, charges the job, and makes the job's analysis due.
	// NotFound when the object is gone.
	Attach(ctx context.Context, id uuid.UUID, job JobRef, class Class, now time.Time) (Object, error)
}

// Unannounced takes files of clients that say neither length nor checksum beforehand and never complete an upload: the
// original client (package benchwrap). Each reserves the largest length; Settle reads what came, hashes it in the server,
// and books what it is. The signature still binds the key and that nothing is overwritten, so what was settled stays.
//
// Such an upload has the zero Digest until it is settled, and an expiry far beyond its URL's: the sweeper, which cannot
// settle it, must not take away what Settle has not seen yet.
type Unannounced struct {
	svc    *Service
	signer OpenSigner
	ledger OpenLedger
	most   int64
}

// NewUnannounced adds this way to a service. mostBytes is the largest file.
func NewUnannounced(svc *Service, signer OpenSigner, ledger OpenLedger, mostBytes int64) *Unannounced {
	return &Unannounced{svc: svc, signer: signer, ledger: ledger, most: mostBytes}
}

// Presign reserves the largest length under a relative path and signs its PUT. Asked again before the first upload of that
// name was settled, it gives the same upload a fresh URL.
func (a *Unannounced) Presign(ctx context.Context, userID, name string) (Upload, Presigned, error) {
	if _, err := safename.Parse(name); err != nil {
		return Upload{}, Presigned{}, invalid("object_name", err.Error())
	}
	now := a.svc.Now()
	u := Upload{
		ID: a.svc.NewID(), UserID: userID, Class: ClassUpload, Name: name, SizeBytes: a.most, ContentType: defaultContentType,
		Status: Reserved, CreatedAt: now, ExpiresAt: now.Add(a.svc.MultipartIdle),
	}
	draft := Draft{Upload: u, PlainKey: userKey(userID, u.ID, name)}
	got, err := a.svc.reservations(ctx, userID, []Draft{draft})
	if err != nil {
		return Upload{}, Presigned{}, err
	}
	if got[0].Refused != nil {
		return Upload{}, Presigned{}, overQuota(got[0].Refused, false)
	}
	u = *got[0].Upload
	put, err := a.signer.SignOpenPut(ctx, u.Key, a.svc.URLLifetime)
	return u, put, err
}

// Settle books what came of an upload. UploadIncomplete while nothing has come and something still may, UploadExpired when
// nothing came, TooLarge when too much did; the last two release what was reserved. Content that the user has under the
// same name already is not stored twice: the older object is the answer. Safe to repeat, by many at once.
func (a *Unannounced) Settle(ctx context.Context, id uuid.UUID) (Object, error) {
	u, err := a.svc.Book.Upload(ctx, id)
	if err != nil {
		return Object{}, err
	}
	switch u.Status {
	case Reserved:
	case Stored:
		return a.svc.Catalogue.Object(ctx, id)
	default:
		return Object{}, expired()
	}
	info, err := a.svc.Bytes.Head(ctx, u.Key)
	switch {
	case errors.Is(err, ErrNoObject):
		return Object{}, a.missing(ctx, u)
	case err != nil:
		return Object{}, storeErr(err)
	case info.SizeBytes > a.most:
		return Object{}, a.refuse(ctx, u, info)
	}
	return a.take(ctx, u, info)
}

// missing gives an upload up once its URL and whatever was begun with it are over.
func (a *Unannounced) missing(ctx context.Context, u Upload) error {
	issued := u.ExpiresAt.Add(-a.svc.MultipartIdle)
	if a.svc.Now().Before(issued.Add(a.svc.URLLifetime + a.svc.TransferAllowance)) {
		return apperr.New(apperr.UploadIncomplete, "the store does not have these bytes yet")
	}
	if _, err := a.svc.Ledger.Release(ctx, u.ID, Expired, a.svc.Now()); err != nil {
		return err
	}
	return expired()
}

func (a *Unannounced) refuse(ctx context.Context, u Upload, info Info) error {
	released, err := a.svc.Ledger.Release(ctx, u.ID, Aborted, a.svc.Now().Add(a.svc.URLLifetime))
	if err != nil {
		return err
	}
	if released {
		a.svc.drop(ctx, u)
	}
	return apperr.Newf(apperr.TooLarge, "%s has %d bytes, %d are allowed this way; it was removed", u.Name, info.SizeBytes, a.most).
		WithHint("send it with `ergon files put`")
}

// take hashes what came and books it.
func (a *Unannounced) take(ctx context.Context, u Upload, info Info) (Object, error) {
	sum, err := a.hash(ctx, u.Key, info.SizeBytes)
	if err != nil {
		return Object{}, err
	}
	if same, found, err := a.same(ctx, u, sum); err != nil || found {
		return same, err
	}
	u.SizeBytes, u.SHA256, u.StoreChecksum = info.SizeBytes, sum, info.Checksum
	o, err := a.ledger.SettleAs(ctx, u.object(a.svc.Now()))
	if err != nil {
		return Object{}, err
	}
	a.svc.stored(ctx, o)
	return o, nil
}

func (a *Unannounced) hash(ctx context.Context, key string, size int64) (sum Digest, err error) {
	body, err := a.svc.Bytes.Open(ctx, key)
	if err != nil {
		return sum, storeErr(err)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(body, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("hashing an object: the store gave %d bytes of %d", n, size)
	}
	return Digest(h.Sum(nil)), storeErr(err)
}

// samePage bounds the search for the same content; a name with more versions is stored once more.
const samePage = 1000

// same looks for another object of that name with that content and drops the new one for it.
func (a *Unannounced) same(ctx context.Context, u Upload, sum Digest) (Object, bool, error) {
	objects, err := a.svc.Catalogue.Objects(ctx, Query{UserID: u.UserID, Prefix: u.UserID + "/", Name: u.Name, Limit: samePage})
	if err != nil {
		return Object{}, false, err
	}
	for _, o := range objects {
		if o.SHA256 != sum || o.ID == u.ID { // its own object: another caller was faster
			continue
		}
		released, err := a.svc.Ledger.Release(ctx, u.ID, Aborted, a.svc.Now().Add(a.svc.URLLifetime))
		if err != nil {
			return Object{}, false, err
		}
		if released { // else the bytes are another caller's to judge
			a.svc.drop(ctx, u)
		}
		return o, true, nil
	}
	return Object{}, false, nil
}

// Attach makes an object part of a job, as a profile, and tells whoever wants to know.
func (a *Unannounced) Attach(ctx context.Context, id uuid.UUID, job JobRef) error {
	o, err := a.ledger.Attach(ctx, id, job, ClassProfile, a.svc.Now())
	if err != nil {
		return err
	}
	a.svc.stored(ctx, o)
	return nil
}
