package slurmfmt

// APIState is the state of a job in Ergon's API.
type APIState string

// The API's states. StateUnknown is no API value: it tells the caller to keep
// the last state.
const (
	StatePending APIState = "PENDING"
	StateRunning APIState = "RUNNING"
	StateDone    APIState = "DONE"
	StateFailed  APIState = "FAILED"
	StateUnknown APIState = ""
)

// State is a parsed state column.
type State struct {
	// Raw is the column's text, unchanged.
	Raw string
	// Word is the state's full word (CANCELLED for "CANCELLED by 1000" and
	// "CANCELLED+"); "" when the word is unknown.
	Word string
	// API is the state for the API; StateUnknown when the word is unknown.
	API APIState
	// CancelledBy is the uid of "CANCELLED by 1000"; valid with HasUID.
	CancelledBy uint32
	// HasUID says that CancelledBy is valid.
	HasUID bool
	// Truncated marks text that a column width cut ("CANCELLED+").
	Truncated bool
}

// ParseState reads a state of sacct, squeue or scontrol, long or compact form
// (CD, PD), and Ergon's own words INTENT, SUBMITTING, REJECTED, LOST and so on.
func ParseState(s string) State { return parseState(s) }

// Known says whether the word is in the table.
func (s State) Known() bool { return s.Word != "" }

// Terminal says that the job's run has ended. REQUEUED ends an attempt, not the
// job: it is not terminal.
func (s State) Terminal() bool { return s.API == StateDone || s.API == StateFailed }
