package benchwrap

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// State is how far an upload is.
type State string

// The states; see the package comment.
const (
	Issued  State = "issued"
	Waiting State = "waiting"
	Done    State = "done"
	Lost    State = "lost"
)

// Upload is what is remembered of one upload beside the books of storage. ID is the upload's, and its object's.
type Upload struct {
	ID         uuid.UUID
	UserID     string
	ObjectName string
	Benchmark  string
	SlurmJobID string // the number in a profile's name; empty: no profile
	State      State
	CheckedAt  time.Time
	CreatedAt  time.Time
}

// Store remembers uploads.
type Store interface {
	// Note inserts an upload, or begins it anew under the same id.
	Note(ctx context.Context, u Upload) error
	// Open gives uploads in a state that were last looked at before, those longest ago first; of all users when userID is
	// empty.
	Open(ctx context.Context, state State, userID string, before time.Time, limit int) ([]Upload, error)
	// Mark notes that an upload was looked at, and its state.
	Mark(ctx context.Context, id uuid.UUID, to State, now time.Time) error
	// Benchmarks gives the names of benchmarks by object; those without one are left out.
	Benchmarks(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]string, error)
	// OwnJob finds the newest job with Slurm's own number that belongs to the user. NotFound, and Conflict when jobs on
	// several clusters have it.
	OwnJob(ctx context.Context, userID, slurmJobID string) (Job, error)
}

// Job is the attempt of a job that a profile belongs to.
type Job struct {
	ID      uuid.UUID
	Attempt int32
}

// Signed is a request that the client may send as it is. URL is a secret.
type Signed struct {
	Key, URL string
	Headers  map[string]string
}

// Object is one stored file.
type Object struct {
	ID        uuid.UUID
	Key, Name string
	SizeBytes int64
	StoredAt  time.Time
}

// Vault is storage as this package needs it.
type Vault interface {
	// Presign reserves and signs an upload. QuotaExceeded, InvalidRequest.
	Presign(ctx context.Context, userID, name string) (id uuid.UUID, put Signed, err error)
	// Settle books what came of it. UploadIncomplete while something may still come; UploadExpired, Gone and TooLarge when
	// it is over.
	Settle(ctx context.Context, id uuid.UUID) error
	// Attach makes a stored file a profile of a job. NotFound when it was deleted.
	Attach(ctx context.Context, id uuid.UUID, job Job) error
	// Find gives the newest file of the user whose key or name that is. NotFound.
	Find(ctx context.Context, userID, keyOrName string) (Object, error)
	// Download signs its GET.
	Download(ctx context.Context, userID string, id uuid.UUID) (Signed, error)
	// List gives a page of the user's files; next is empty on the last.
	List(ctx context.Context, userID, cursor string) (page []Object, next string, err error)
}
