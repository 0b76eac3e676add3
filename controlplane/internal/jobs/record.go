package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// aliases maps the names that other tools and older versions give to sacct's columns (lower case, without "_" and blanks).
var aliases = map[string]string{
	"nodecount": "NNodes", "nodes": "NNodes", "numnodes": "NNodes",
	"ncpus": "AllocCPUS", "numcpus": "AllocCPUS", "cpus": "AllocCPUS", "cores": "AllocCPUS",
	"name": "JobName", "username": "User", "groupname": "Group", "acct": "Account", "queue": "Partition",
	"nodelist": "NodeList", "clustername": "Cluster", "submittime": "Submit", "eligibletime": "Eligible",
	"starttime": "Start", "endtime": "End", "tresalloc": "AllocTRES", "tresreq": "ReqTRES", "timelimitraw": "TimelimitRaw",
	"jobstate": "State", "exit": "ExitCode", "rawjobid": "JobIDRaw",
}

// canonical is what sacct itself calls its columns, by lower-cased name.
var canonical = byLower(strings.Fields(`Account AdminComment AllocCPUS AllocGRES AllocNodes AllocTRES AssocID AveCPU
	AveDiskRead AveDiskWrite AveRSS AveVMSize Cluster Comment Constraints ConsumedEnergy ConsumedEnergyRaw CPUTime CPUTimeRAW
	DBIndex DerivedExitCode Elapsed ElapsedRaw Eligible End ExitCode Flags GID Group JobID JobIDRaw JobName MaxDiskRead
	MaxDiskWrite MaxRSS MaxRSSNode MaxRSSTask MaxVMSize MinCPU NNodes NodeList NTasks Partition Planned Priority QOS QOSRAW
	Reason ReqCPUS ReqGRES ReqMem ReqNodes ReqTRES Reservation Reserved Restarts Start State Submit SubmitLine Suspended
	SystemComment SystemCPU Timelimit TimelimitRaw TotalCPU TRESUsageInAve TRESUsageInMax TRESUsageInTot TRESUsageOutAve
	TRESUsageOutMax TRESUsageOutTot UID User UserCPU WCKey WorkDir`))

func byLower(names []string) map[string]string {
	m := make(map[string]string, len(names))
	for _, n := range names {
		m[strings.ToLower(n)] = n
	}
	return m
}

// CanonicalColumns gives sacct's own spelling of the names of a dump. Unknown names stay as they are; of two columns with
// the same meaning the second keeps its own name.
func CanonicalColumns(names []string) []string {
	out := make([]string, len(names))
	used := make(map[string]bool, len(names))
	for i, n := range names {
		out[i] = canonicalName(strings.TrimSpace(n))
		if used[out[i]] {
			out[i] = n
		}
		used[out[i]] = true
	}
	return out
}

func canonicalName(name string) string {
	flat := strings.NewReplacer("_", "", " ", "", "-", "").Replace(strings.ToLower(name))
	if c, ok := canonical[flat]; ok {
		return c
	}
	if c, ok := aliases[flat]; ok {
		return c
	}
	return name
}

// timeColumns are stored as unix seconds, so that a stored row needs no zone.
var timeColumns = []string{"Submit", "Eligible", "Start", "End"}

// encode writes the columns that hold something as one JSON object, in the order of the dump.
func encode(r *slurmfmt.Record) []byte {
	b := make([]byte, 0, 512)
	b = append(b, '{')
	for i, name := range r.Columns().Names() {
		v := r.At(i)
		if v == "" || name == "" {
			continue
		}
		if slices.Contains(timeColumns, name) {
			v = unixText(r, name, v)
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, name), ':')
		b = appendJSON(b, v)
	}
	return append(b, '}')
}

func unixText(r *slurmfmt.Record, name, v string) string {
	if t, ok := r.Time(name).Value(); ok {
		return strconv.FormatInt(t.Unix(), 10)
	}
	return v
}

// appendJSON writes a JSON string; most of sacct's text needs no escape.
func appendJSON(b []byte, s string) []byte {
	if plain(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	q, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...)
	}
	return append(b, q...)
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// Decode makes a stored row a record again; its times are unix seconds.
func Decode(fields []byte) (*slurmfmt.Record, error) {
	d := json.NewDecoder(bytes.NewReader(fields))
	var m map[string]string
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("reading a stored accounting row: %w", err)
	}
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = m[n]
	}
	return slurmfmt.NewRecord(slurmfmt.NewColumns(names...), values, nil), nil
}
