package gormstore

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// quotaRow is what a user may store and stores.
type quotaRow struct {
	UserID                         string `gorm:"primaryKey"`
	LimitBytes, LimitObjects       int64
	UsedBytes, UsedObjects         int64
	ReservedBytes, ReservedObjects int64
}

// TableName of quotas.
func (quotaRow) TableName() string { return "quotas" }

func (q quotaRow) tally() storage.Tally {
	return storage.Tally{UsedBytes: q.UsedBytes, UsedObjects: q.UsedObjects, ReservedBytes: q.ReservedBytes, ReservedObjects: q.ReservedObjects}
}

// refusal says why so many bytes more do not fit.
func refusal(t storage.Tally, limit storage.Limit, needed int64) *apperr.Quota {
	return &apperr.Quota{
		UsedBytes: t.UsedBytes, ReservedBytes: t.ReservedBytes, LimitBytes: limit.Bytes, NeededBytes: needed,
		UsedObjects: t.UsedObjects + t.ReservedObjects, LimitObjects: limit.Objects,
	}
}

// readRows reads each row; the first that cannot be read ends it.
func readRows[R, D any](rows []R, read func(R) (D, error)) ([]D, error) {
	list := make([]D, 0, len(rows))
	for _, r := range rows {
		d, err := read(r)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// uploadRow is one reservation of the ledger.
type uploadRow struct {
	ID            string `gorm:"primaryKey"`
	UserID        string
	AgentID       *string
	JobID         *string
	Attempt       *int32
	Class, Name   string
	ObjectKey     string
	SizeBytes     int64
	Sha256        string
	ContentType   string
	Status        string
	Closed        bool
	StoreUploadID string
	StoreChecksum string
	PartSizeBytes int64
	PartCount     int32
	URLExpiresAt  Time `gorm:"column:url_expires_at"`
	CreatedAt     Time `gorm:"autoCreateTime:false"`
	UpdatedAt     Time `gorm:"autoUpdateTime:false"`
}

// TableName of uploads.
func (uploadRow) TableName() string { return "uploads" }

func uploadRowOf(u storage.Upload) uploadRow {
	r := uploadRow{
		ID: u.ID.String(), UserID: u.UserID, Class: string(u.Class), Name: u.Name, ObjectKey: u.Key, SizeBytes: u.SizeBytes,
		Sha256: u.SHA256.Hex(), ContentType: u.ContentType, Status: string(u.Status), Closed: u.Closed,
		StoreUploadID: u.StoreUploadID, StoreChecksum: u.StoreChecksum, PartSizeBytes: u.Plan.PartBytes, PartCount: u.Plan.Count,
		URLExpiresAt: At(u.ExpiresAt), CreatedAt: At(u.CreatedAt), UpdatedAt: At(u.CreatedAt),
	}
	if u.AgentID != "" {
		r.AgentID = &u.AgentID
	}
	r.JobID, r.Attempt = jobRefColumns(u.Job)
	return r
}

// uploadBulk inserts reservations; a key that is taken is an error.
var uploadBulk = bulk{table: "uploads", columns: []string{
	"id", "user_id", "agent_id", "job_id", "attempt", "class", "name", "object_key", "size_bytes", "sha256", "content_type", "status", "closed",
	"store_upload_id", "store_checksum", "part_size_bytes", "part_count", "url_expires_at", "created_at", "updated_at",
}}

func uploadArgs(d Dialect, u storage.Upload) []any {
	r := uploadRowOf(u)
	return []any{
		r.ID, r.UserID, orNull(r.AgentID), orNull(r.JobID), orNull(r.Attempt), r.Class, r.Name, r.ObjectKey, r.SizeBytes, r.Sha256, r.ContentType, r.Status, r.Closed,
		r.StoreUploadID, r.StoreChecksum, r.PartSizeBytes, r.PartCount, bind(d, &u.ExpiresAt), bind(d, &u.CreatedAt), bind(d, &u.CreatedAt),
	}
}

// orNull is what a pointer points to, or NULL.
func orNull[V any](p *V) any {
	if p == nil {
		return nil
	}
	return *p
}

func jobRefColumns(job *storage.JobRef) (id *string, attempt *int32) {
	if job == nil {
		return nil, nil
	}
	text, number := job.ID.String(), job.Attempt
	return &text, &number
}

func (r uploadRow) upload() (storage.Upload, error) {
	id, sum, job, err := identify(r.ID, r.Sha256, r.JobID, r.Attempt)
	if err != nil {
		return storage.Upload{}, err
	}
	u := storage.Upload{
		ID: id, UserID: r.UserID, Job: job, Class: storage.Class(r.Class), Name: r.Name, Key: r.ObjectKey, SizeBytes: r.SizeBytes,
		SHA256: sum, ContentType: r.ContentType, Status: storage.Status(r.Status), Closed: r.Closed,
		Plan:          storage.Plan{PartBytes: r.PartSizeBytes, Count: r.PartCount},
		StoreUploadID: r.StoreUploadID, StoreChecksum: r.StoreChecksum, ExpiresAt: r.URLExpiresAt.Time(), CreatedAt: r.CreatedAt.Time(),
	}
	if r.AgentID != nil {
		u.AgentID = *r.AgentID
	}
	return u, nil
}

// identify reads the columns that uploads and objects share; what does not parse was written by somebody else.
func identify(rawID, rawSum string, jobID *string, attempt *int32) (uuid.UUID, storage.Digest, *storage.JobRef, error) {
	id, err := uuid.Parse(rawID)
	if err != nil {
		return uuid.Nil, storage.Digest{}, nil, fmt.Errorf("reading an id of storage: %w", err)
	}
	sum, err := storage.ParseDigest(rawSum)
	if err != nil {
		return uuid.Nil, storage.Digest{}, nil, fmt.Errorf("reading the digest of %s: %w", id, err)
	}
	if jobID == nil {
		return id, sum, nil, nil
	}
	job, err := uuid.Parse(*jobID)
	if err != nil {
		return uuid.Nil, storage.Digest{}, nil, fmt.Errorf("reading the job of %s: %w", id, err)
	}
	ref := &storage.JobRef{ID: job}
	if attempt != nil {
		ref.Attempt = *attempt
	}
	return id, sum, ref, nil
}

// objectRow is one stored object.
type objectRow struct {
	ID             string `gorm:"primaryKey"`
	UserID         string
	JobID          *string
	Attempt        *int32
	Class, Name    string
	ObjectKey      string
	SizeBytes      int64
	Sha256         string
	Sha256Verified bool
	StoreChecksum  string
	ContentType    string
	ExpiresAt      *Time
	CreatedAt      Time `gorm:"autoCreateTime:false"`
}

// TableName of objects.
func (objectRow) TableName() string { return "objects" }

func objectRowOf(o storage.Object) objectRow {
	r := objectRow{
		ID: o.ID.String(), UserID: o.UserID, Class: string(o.Class), Name: o.Name, ObjectKey: o.Key, SizeBytes: o.SizeBytes,
		Sha256: o.SHA256.Hex(), Sha256Verified: o.SHA256Verified, StoreChecksum: o.StoreChecksum, ContentType: o.ContentType,
		ExpiresAt: AtPtr(o.ExpiresAt), CreatedAt: At(o.CreatedAt),
	}
	r.JobID, r.Attempt = jobRefColumns(o.Job)
	return r
}

func (r objectRow) object() (storage.Object, error) {
	id, sum, job, err := identify(r.ID, r.Sha256, r.JobID, r.Attempt)
	if err != nil {
		return storage.Object{}, err
	}
	return storage.Object{
		ID: id, UserID: r.UserID, Job: job, Class: storage.Class(r.Class), Name: r.Name, Key: r.ObjectKey, SizeBytes: r.SizeBytes,
		SHA256: sum, SHA256Verified: r.Sha256Verified, StoreChecksum: r.StoreChecksum, ContentType: r.ContentType,
		ExpiresAt: r.ExpiresAt.Ptr(), CreatedAt: r.CreatedAt.Time(),
	}, nil
}
