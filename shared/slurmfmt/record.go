package slurmfmt

import (
	"slices"
	"time"
)

// Columns is the resolved header of a dump. It is shared by all its records and
// must not be changed.
type Columns struct {
	names []string
	index map[string]int
}

// NewColumns resolves names once. Lookup ignores case, as sacct's --format does;
// of a name that occurs twice the first counts.
func NewColumns(names ...string) *Columns { return newColumns(names) }

// Names lists the columns in order. The slice must not be changed.
func (c *Columns) Names() []string { return c.names }

// Index gives a column's position, or −1.
func (c *Columns) Index(name string) int { return c.find(name) }

// Record is one row of sacct (or sstat, squeue) as named columns.
type Record struct {
	// Line is the number of the row's first line, from 1; 0 outside dumps.
	Line   int
	cols   *Columns
	fields []string
	loc    *time.Location
	// damaged are free-text columns that a repair could not tell apart.
	damaged []int
}

// NewRecord makes a record by hand; fields beyond the columns are dropped and
// absent ones are empty. Times are read in loc (nil: UTC).
func NewRecord(cols *Columns, fields []string, loc *time.Location) *Record {
	f := make([]string, len(cols.names))
	copy(f, fields)
	return &Record{cols: cols, fields: f, loc: loc}
}

// Clone gives a record that outlives the Reader's next call.
func (r *Record) Clone() *Record {
	c := *r
	c.fields = slices.Clone(r.fields)
	return &c
}

// Replaced gives a copy in which the column at position i of Columns holds text.
func (r *Record) Replaced(i int, text string) *Record {
	c := r.Clone()
	if i >= 0 && i < len(c.fields) {
		c.fields[i] = text
	}
	return c
}

// Damaged names the free-text columns whose text got mixed up with that of their
// neighbors because it held the delimiter; Get gives "" for them. nil: none.
func (r *Record) Damaged() []string {
	var names []string
	for _, i := range r.damaged {
		names = append(names, r.cols.names[i])
	}
	return names
}

// Columns gives the record's header.
func (r *Record) Columns() *Columns { return r.cols }

// At gives the text of the column at position i of Columns; "" when i is −1.
func (r *Record) At(i int) string {
	if i < 0 || i >= len(r.fields) {
		return ""
	}
	return r.fields[i]
}

// Has says whether the dump has the column at all, whatever its value.
func (r *Record) Has(name string) bool { return r.cols.find(name) >= 0 }

// Get gives the text of a named column; "" when absent.
func (r *Record) Get(name string) string { return r.At(r.cols.find(name)) }

// Text gives a text column; ok is false when it is absent, empty or "(null)",
// squeue's word for no value.
func (r *Record) Text(name string) (text string, ok bool) {
	text = r.Get(name)
	return text, text != "" && text != "(null)"
}

// ID parses JobID.
func (r *Record) ID() (JobID, error) { return ParseJobID(r.Get("JobID")) }

// RawID parses JobIDRaw: the job's own number, with the step where it is one.
func (r *Record) RawID() (JobID, error) { return ParseJobID(r.Get("JobIDRaw")) }

// Duration reads a column in clock form (TotalCPU, AveCPU, Suspended, Timelimit).
func (r *Record) Duration(name string) Duration { return ParseDuration(r.Get(name)) }

// Elapsed gives the run time without suspension: ElapsedRaw, else Elapsed.
func (r *Record) Elapsed() Duration {
	if d := ParseSeconds(r.Get("ElapsedRaw")); d.Kind == Known {
		return d
	}
	return ParseDuration(r.Get("Elapsed"))
}

// TimeLimit gives TimelimitRaw (minutes), else Timelimit.
func (r *Record) TimeLimit() Duration {
	if d := ParseMinutes(r.Get("TimelimitRaw")); d.Kind != Missing && d.Kind != Invalid {
		return d
	}
	return ParseDuration(r.Get("Timelimit"))
}

// Size reads a column whose bare number is bytes (MaxRSS, AveRSS, MaxDiskRead).
func (r *Record) Size(name string) Size { return ParseSize(r.Get(name)) }

// Count reads a whole number (AllocCPUS, NNodes, NTasks, ConsumedEnergyRaw).
func (r *Record) Count(name string) Count { return ParseCount(r.Get(name)) }

// ReqMem decodes the ReqMem column.
func (r *Record) ReqMem() ReqMem { return ParseReqMem(r.Get("ReqMem")) }

// TRES reads a TRES list (AllocTRES, TRESUsageInTot, …).
func (r *Record) TRES(name string) TRES { return ParseTRES(r.Get(name)) }

// State reads State.
func (r *Record) State() State { return ParseState(r.Get("State")) }

// ExitCode reads ExitCode or DerivedExitCode.
func (r *Record) ExitCode(name string) ExitCode { return ParseExitCode(r.Get(name)) }

// Time reads a time column (Submit, Eligible, Start, End) in the record's zone.
func (r *Record) Time(name string) Time { return ParseTime(r.Get(name), r.loc) }

// NeverStarted says that the job got no node: NodeList is "None assigned" or
// Start is None or Unknown. Start and End may be set all the same.
func (r *Record) NeverStarted() bool { return r.neverStarted() }
