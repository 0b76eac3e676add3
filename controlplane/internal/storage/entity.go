package storage

import (
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// Class says what an object is for; it decides retention and what is analysed.
type Class string

// The classes of the contract.
const (
	ClassUpload  Class = "upload"
	ClassInput   Class = "input"
	ClassOutput  Class = "output"
	ClassProfile Class = "profile"
	ClassStdout  Class = "stdout"
	ClassStderr  Class = "stderr"
)

// Status of an upload; see the package comment.
type Status string

// The states of an upload.
const (
	Reserved Status = "reserved"
	Stored   Status = "stored"
	Aborted  Status = "aborted"
	Expired  Status = "expired"
)

// Upload is one row of the ledger. Its id becomes the id of the object.
type Upload struct {
	ID      uuid.UUID
	UserID  string
	AgentID string // who reserved it; empty for the user's own
	Job     *JobRef
	Class   Class
	Name    string // the original name or relative path
	Key     string

	SizeBytes   int64
	SHA256      Digest // of the whole; for a multipart object the client's claim
	ContentType string

	Status        Status
	Closed        bool
	Plan          Plan
	StoreUploadID string // of a multipart that the store has begun
	StoreChecksum string // what the store must answer; of a multipart known when its completion begins
	ExpiresAt     time.Time
	CreatedAt     time.Time
}

// JobRef names the attempt of a job that an object belongs to.
type JobRef struct {
	ID      uuid.UUID
	Attempt int32
}

// Object is one stored object; its bytes were verified by the store.
type Object struct {
	ID             uuid.UUID
	UserID         string
	Job            *JobRef
	Class          Class
	Name           string
	Key            string
	SizeBytes      int64
	SHA256         Digest
	SHA256Verified bool   // the store checked SHA256 itself; else it is the client's claim (multipart)
	StoreChecksum  string // what the store answers: base64, with -N for a multipart object
	ContentType    string
	ExpiresAt      *time.Time // retention
	CreatedAt      time.Time
}

// object is what an upload becomes.
func (u Upload) object(now time.Time) Object {
	return Object{
		ID: u.ID, UserID: u.UserID, Job: u.Job, Class: u.Class, Name: u.Name, Key: u.Key, SizeBytes: u.SizeBytes,
		SHA256: u.SHA256, SHA256Verified: !u.Plan.Multipart(), StoreChecksum: u.StoreChecksum, ContentType: u.ContentType, CreatedAt: now,
	}
}

// Presigned is a request that the client may send as it is. The URL is a secret.
type Presigned struct {
	Method    string
	URL       secret.Secret
	Headers   map[string]string // signed: to be sent exactly so
	ExpiresAt time.Time
}

// Ticket is the answer to a wish to upload: exactly one of Put, Plan (of Upload), Object and Refused says how to go on.
type Ticket struct {
	Name    string
	Upload  *Upload // reserved: a single PUT, or a multipart when its Plan says so
	Put     *Presigned
	Object  *Object // stored already
	Refused *apperr.Error
}
