package outputs

import (
	"context"
	"errors"
	"io"
)

// Worker does the file work of one job as the job's user. Every call may block on a dead file system and must return
// when ctx ends (the helper is killed). Calls for different jobs may run at the same time; the daemon bounds how many.
type Worker interface {
	// Collect walks and hashes nothing that the caps exclude. It is safe to repeat.
	Collect(ctx context.Context, job JobFiles) (Manifest, error)
	// Upload brings every entry with StatusFound into the store and returns the manifest with the final status of each.
	// It resumes from what ledger knows and is safe to repeat after a kill at any moment. An entry that cannot be stored
	// is no error: its status and reason say so. An error means that the job as a whole must be tried again.
	Upload(ctx context.Context, job JobFiles, m Manifest, env UploadEnv) (Manifest, error)
	// Tail copies at most limit bytes from the end of the job's stdout (or stderr) to w.
	Tail(ctx context.Context, job JobFiles, stream Class, limit int64, w io.Writer) error
}

// UploadEnv is what Upload needs from the daemon.
type UploadEnv struct {
	Tickets Tickets
	Ledger  Ledger
	// Progress may be nil. It is called from one goroutine at a time.
	Progress func(Progress)
}

// Progress counts one job's upload.
type Progress struct {
	Files, FilesTotal int
	Bytes, BytesTotal int64
	// Current is the path that is on its way.
	Current string
}

// Errors of a Worker that the daemon handles by name; test with errors.Is.
var (
	// ErrNeedsLogin: EACCES on the user's own directory, as on a Kerberos or AFS home without a ticket. The job waits
	// as needs_login; nothing counts as missing.
	ErrNeedsLogin = errors.New("the user's home refuses us until the user logs in")
	// ErrUnsupported: this kernel lacks openat2 or Landlock; uploads and cleanup are off on this node.
	ErrUnsupported = errors.New("this kernel cannot confine file work (openat2 and Landlock are needed)")
	// ErrNotLinked: the uid is not linked, below UID_MIN or unknown; no helper may be started for it.
	ErrNotLinked = errors.New("no helper may run for this user")
	// ErrTimeout: the helper passed its deadline and was killed (a hung mount, for one).
	ErrTimeout = errors.New("the helper passed its deadline")
)
