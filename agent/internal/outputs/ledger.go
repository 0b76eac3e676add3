package outputs

import (
	"context"

	"github.com/google/uuid"
)

// FileState is where one file is on its way to the store (design 02).
//
//	HASHED ► RESERVED ► PUT | PARTS ► COMPLETED ► VERIFIED
type FileState string

// States of a file. Advance is called with a state before the effect that the state names is started, except
// FileVerified, which is told after the server said so.
const (
	// FileHashed: size, identity and SHA256 are known.
	FileHashed FileState = "HASHED"
	// FileReserved: the server reserved quota and gave an upload id.
	FileReserved FileState = "RESERVED"
	// FilePut: a single PUT is about to be sent. FileParts: parts are about to be sent.
	FilePut   FileState = "PUT"
	FileParts FileState = "PARTS"
	// FileCompleted: all bytes were accepted by the store; Complete is about to be asked.
	FileCompleted FileState = "COMPLETED"
	// FileVerified: the server's HEAD agreed in length and checksum.
	FileVerified FileState = "VERIFIED"
	// FileBlocked: quota or another refusal; goes back to FileHashed when tried again.
	FileBlocked FileState = "BLOCKED"
	// FileUnstable: the file kept changing while it was read; kept on disk, never cleaned.
	FileUnstable FileState = "UNSTABLE"
)

// FileKey names one file of one attempt in the journal.
type FileKey struct {
	JobID   uuid.UUID
	Attempt int32
	Class   Class
	Path    string
}

// FileRow is what the journal knows of a file.
type FileRow struct {
	Key      FileKey
	State    FileState
	Entry    Entry
	UploadID uuid.UUID
	PartSize int64
	// Tries counts how often the file went back to FileHashed.
	Tries int
	// Reason is set for FileBlocked and FileUnstable.
	Reason string
}

// Step is a request to advance a file. Zero fields keep what the row has.
type Step struct {
	To       FileState
	Entry    *Entry
	UploadID uuid.UUID
	PartSize int64
	Reason   string
}

// Ledger keeps upload states durably: when Advance returns nil the row is on disk. It refuses an edge that the state
// machine does not have (ErrEdge); advancing to the state that a file already has is allowed and changes only the
// fields given. A file goes back to FileHashed from any state but FileVerified when its content, or the reservation,
// is no longer good.
type Ledger interface {
	// Files lists the rows of one attempt.
	Files(ctx context.Context, jobID uuid.UUID, attempt int32) ([]FileRow, error)
	// Advance moves one file. The first step of a file is FileHashed with its Entry.
	Advance(ctx context.Context, key FileKey, step Step) error
}
