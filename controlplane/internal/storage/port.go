package storage

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// What a store answers; everything else means that it cannot be reached or failed.
var (
	ErrNoObject = errors.New("no such object in the store")
	ErrNoUpload = errors.New("no such multipart upload in the store")
	ErrExists   = errors.New("the store has an object under this key")
	ErrParts    = errors.New("the store does not accept these parts")
	ErrFull     = errors.New("the store has no room left")
)

// PutOrder asks for a signed PUT of one whole object. All of it is bound by the signature, and that nothing is overwritten.
type PutOrder struct {
	Key, ContentType string
	SizeBytes        int64
	SHA256           Digest
	Lifetime         time.Duration
}

// PartOrder asks for a signed PUT of one part; length and digest are bound.
type PartOrder struct {
	Key, StoreUploadID string
	Number             int32
	SizeBytes          int64
	SHA256             Digest
	Lifetime           time.Duration
}

// GetOrder asks for a signed GET that downloads as an attachment named FileName.
type GetOrder struct {
	Key, FileName string
	Lifetime      time.Duration
}

// Signer makes presigned requests, with identities that can do nothing else. It talks to nobody.
type Signer interface {
	SignPut(ctx context.Context, o PutOrder) (Presigned, error)
	SignPart(ctx context.Context, o PartOrder) (Presigned, error)
	SignGet(ctx context.Context, o GetOrder) (Presigned, error)
}

// Info is what the store says about an object.
type Info struct {
	Key       string
	SizeBytes int64
	Checksum  string // base64 SHA-256, with -N for a multipart; empty in listings and where the store has none
	ModTime   time.Time
}

// Bytes is the store as the server itself uses it.
type Bytes interface {
	// Head asks with checksum mode. ErrNoObject when there is none.
	Head(ctx context.Context, key string) (Info, error)
	// Open reads an object; the caller closes it and bounds what it reads. ErrNoObject.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	// Delete removes an object; that there is none is success.
	Delete(ctx context.Context, key string) error
	// List gives up to limit objects below prefix whose key is greater than after, in byte order.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)
}

// Part is one part as the store holds it.
type Part struct {
	Number    int32
	SizeBytes int64
	SHA256    Digest
	ETag      string
}

// Multiparts is the server's side of multipart uploads.
type Multiparts interface {
	// Create begins one that demands SHA-256 of every part.
	Create(ctx context.Context, key, contentType string) (storeUploadID string, err error)
	// Parts gives all parts in order of their numbers. ErrNoUpload.
	Parts(ctx context.Context, key, storeUploadID string) ([]Part, error)
	// Complete joins the parts, refusing to overwrite. ErrNoUpload, ErrExists, ErrParts.
	Complete(ctx context.Context, key, storeUploadID string, parts []Part) error
	// Abort drops the parts; that there is no such upload is success.
	Abort(ctx context.Context, key, storeUploadID string) error
	// AbortAll drops every multipart upload of exactly this key that the store knows, also those whose id was never
	// written down, and tells how many.
	AbortAll(ctx context.Context, key string) (int, error)
}

// Eraser empties a prefix of the store, whatever the books say of it.
type Eraser interface {
	// Erase removes up to limit entries below prefix: objects, their old versions, delete markers. Nothing is left when it
	// removed none.
	Erase(ctx context.Context, prefix string, limit int) (removed int, err error)
	// AbortBelow drops the multipart uploads below prefix as far as the store lists them (MinIO lists none by prefix).
	AbortBelow(ctx context.Context, prefix string) (int, error)
}

// Draft is an upload that wants to be reserved. PlainKey is its key unless that was given out before; then it is SpareKey.
// A draft of a user's own file, whose keys hold its id, has only a PlainKey.
type Draft struct {
	Upload   Upload
	PlainKey string
	SpareKey string
}

// Reservation answers a Draft: the object if exactly this is stored for the job, else the upload (an earlier one of the
// same identity, or a new one), else why the quota refuses it: the user's, or the job's when ByJob.
type Reservation struct {
	Object  *Object
	Upload  *Upload
	Refused *apperr.Quota
	ByJob   bool
}

// Ledger changes uploads, objects and quotas together. Every method is one transaction.
type Ledger interface {
	// Reserve works through drafts of one user in order; what the quota does not admit is refused and the rest goes on.
	// Reservations that are found again get the expiry of their draft. Forbidden when the account is disabled.
	Reserve(ctx context.Context, userID string, quotas Quotas, drafts []Draft) ([]Reservation, error)
	// Settle turns a reserved upload into o. Repeated, it gives the object again. UploadExpired when the upload was
	// aborted or has expired, Gone when the object was deleted since.
	Settle(ctx context.Context, o Object, closed bool) (Object, error)
	// Release ends a reservation as to (Aborted or Expired), to be swept after due. It reports whether it did so: false
	// means that the upload is not reserved any more.
	Release(ctx context.Context, id uuid.UUID, to Status, due time.Time) (bool, error)
	// Remove takes an object out of the books and opens its upload again, so that Sweep makes sure of its bytes once no URL
	// can be in use. NotFound.
	Remove(ctx context.Context, userID string, id uuid.UUID, now time.Time) (Object, error)
}

// Book reads and annotates uploads.
type Book interface {
	Upload(ctx context.Context, id uuid.UUID) (Upload, error)
	// AttachMultipart writes the store's id unless there is one; it returns the one that counts.
	AttachMultipart(ctx context.Context, id uuid.UUID, storeUploadID string) (string, error)
	ExtendUpload(ctx context.Context, id uuid.UUID, until time.Time) error
	// ExpectChecksum writes what the store must answer once the upload is completed.
	ExpectChecksum(ctx context.Context, id uuid.UUID, checksum string) error
	// DueUploads gives uploads that are not closed and whose expiry is before, oldest first, after the cursor.
	DueUploads(ctx context.Context, before time.Time, after DueCursor, limit int) ([]Upload, error)
	CloseUpload(ctx context.Context, id uuid.UUID) error
}

// DueCursor is where a sweep goes on.
type DueCursor struct {
	ExpiresAt time.Time
	ID        uuid.UUID
}

// Recounter holds the sums of the books against their rows and lets the rows win.
type Recounter interface {
	// Accounts gives ids of users that have books, in order, after one.
	Accounts(ctx context.Context, after string, limit int) ([]string, error)
	// Recount computes the sums of a user and of the user's jobs anew, while nobody else changes them, and writes those that
	// differ. off is books minus rows as it was; jobs counts jobs whose sums differed.
	Recount(ctx context.Context, userID string) (off Tally, jobs int, err error)
	// Reopen hands an upload that was closed to the sweeper again. False when it is open, reserved or has an object.
	Reopen(ctx context.Context, id uuid.UUID, now time.Time) (bool, error)
}

// Census reads across users: for recounting, retention and erasing. No route leads here.
type Census interface {
	// ByKeys gives the uploads of keys, each with the length of its object (nil when there is none).
	ByKeys(ctx context.Context, keys []string) ([]Counted, error)
	// ObjectCounts gives how many objects each user has that were stored before.
	ObjectCounts(ctx context.Context, before time.Time) (map[string]int64, error)
	// Outdated gives objects of a class that were stored before, oldest first.
	Outdated(ctx context.Context, class Class, before time.Time, limit int) ([]Object, error)
	// ObjectsBelow gives objects whose key begins with prefix, in byte order, after one.
	ObjectsBelow(ctx context.Context, prefix, after string, limit int) ([]Object, error)
	// OpenBelow is the same for uploads that are not closed.
	OpenBelow(ctx context.Context, prefix, after string, limit int) ([]Upload, error)
}

// Counted is an upload as the recount sees it.
type Counted struct {
	Upload Upload
	Object *int64 // length of the stored object, bytes
}

// Query selects objects of one user, in byte order of their keys.
type Query struct {
	UserID     string
	After      string // keys greater than this
	Prefix     string // whole key prefix
	JobID      *uuid.UUID
	Class      Class
	Name       string
	NamePrefix string
	Limit      int
}

// Catalogue reads objects.
type Catalogue interface {
	Objects(ctx context.Context, q Query) ([]Object, error)
	Object(ctx context.Context, id uuid.UUID) (Object, error) // NotFound
	// JobObjects gives the objects of one class of a job's attempt, oldest first.
	JobObjects(ctx context.Context, job JobRef, class Class) ([]Object, error)
}

// JobOwner says whose job it is and who may send its outputs.
type JobOwner struct {
	UserID    string // empty while nobody is linked
	ClusterID string
	Linked    bool // UserID is linked, and not suspended, to the job's uid on its cluster
}

// Owners finds the owner of a job. NotFound while the server does not know it.
type Owners interface {
	JobOwner(ctx context.Context, jobID uuid.UUID) (JobOwner, error)
}

// Observer is told of every object right after it was stored. It may be told twice, or not at all after a crash: what is
// due must also be found in the rows.
type Observer interface {
	Stored(ctx context.Context, o Object) error
}
