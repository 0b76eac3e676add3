package profile

// State says whether a sound file holds samples yet.
type State int

const (
	// Empty is a file without any sample: the step has just begun (such a file
	// has 2256 bytes), or profiling was on with nothing to record.
	Empty State = iota
	// HasData is a file with at least one row in at least one series.
	HasData
)

// String names the state for people.
func (s State) String() string {
	if s == HasData {
		return "has data"
	}
	return "empty"
}

// Profile is the content of one file.
type Profile struct {
	State  State
	Merged bool // made by sh5util: several steps
	Steps  []Step
	// Damage lists what could not be read although the rest could: a series named
	// here is absent from its Node or holds only its first rows. Empty for a sound
	// file. Whoever computes from a damaged file must say so.
	Damage []Damage
}

// Damage is one part of the file that could not be read in full.
type Damage struct {
	Path string // for example "/n1/Tasks/0"
	Rows int    // rows that were read before the fault
	Err  error  // wraps an error of package hdf5
}

// Step is one step of the job. In a node-step file there is exactly one, and
// its Name is empty: it stands in the file's name only, see ParseFileName.
type Step struct {
	Name  string // "batch", "0", "1" …
	Nodes []Node
}

// Node is what one node recorded in one step. A series that the file does not
// have is nil.
type Node struct {
	Name        string // "Node Name"; the name of the group when there is no such attribute
	Index       *int64 // "Node Index" within the step
	CPUsPerTask *int64 // "CPUs per Task"
	TaskCount   *int64 // "Number of Tasks" on this node
	// StartTime is the attribute as written, "Mon Nov 23 08:19:34 2026": local time
	// of the node, no zone. For people only; align series by EpochS.
	StartTime  string
	Tasks      []TaskSeries // in numeric order of ID
	Energy     *EnergySeries
	Network    *NetworkSeries
	Filesystem *FilesystemSeries
	Unread     []string // children that this package does not know, by name
}
