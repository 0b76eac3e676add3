package outputs

import "time"

// Class says what a file is to the job; the words are those of the API's FileClass.
type Class string

// Classes of a job's files.
const (
	ClassOutput  Class = "output"
	ClassProfile Class = "profile"
	ClassStdout  Class = "stdout"
	ClassStderr  Class = "stderr"
)

// Status says what became of an entry; the words are those of the API's ManifestEntry.
type Status string

// What becomes of an entry.
const (
	StatusFound    Status = "found"
	StatusStored   Status = "stored"
	StatusSkipped  Status = "skipped"
	StatusUnstable Status = "unstable"
	StatusMissing  Status = "missing"
	StatusBlocked  Status = "blocked"
)

// Entry is one file that was found or expected. Reason says why an entry is not stored, in words for the user.
type Entry struct {
	// Path is relative to the directory named by Base and goes to the control plane as it is.
	Path  string `json:"path"`
	Base  Base   `json:"base"`
	Class Class  `json:"class"`
	// Size is in bytes; for stdout and stderr that were cut to their ends it is the size of what is uploaded, and
	// FullSize the file's own. Otherwise FullSize equals Size.
	Size     int64     `json:"size"`
	FullSize int64     `json:"full_size"`
	ModTime  time.Time `json:"mod_time"`
	// Dev, Inode and Links identify the file itself; cleanup compares them again.
	Dev   uint64 `json:"dev"`
	Inode uint64 `json:"inode"`
	Links uint64 `json:"links"`
	// SHA256 is lower-case hex of exactly the bytes that are uploaded; "" before it was hashed.
	SHA256 string `json:"sha256,omitempty"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// Base says which directory of Dirs an entry's path is relative to.
type Base string

// The directories of a job.
const (
	BaseOutput  Base = "output"
	BaseWork    Base = "work"
	BaseStdout  Base = "stdout" // the directory that holds the stdout file
	BaseStderr  Base = "stderr"
	BaseProfile Base = "profile"
)

// Manifest is what a walk found. Entries are in a stable order and their (Class, Path) is unique.
type Manifest struct {
	Entries []Entry `json:"entries"`
	// Truncated says that a cap ended the walk; what was not listed is neither uploaded nor cleaned.
	Truncated bool `json:"truncated,omitempty"`
	// At is when the walk ended.
	At time.Time `json:"at"`
}
