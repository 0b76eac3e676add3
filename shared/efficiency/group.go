package efficiency

import (
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Group sorts accounting rows into jobs, in the order in which the jobs first
// appear. Array tasks and het components are jobs of their own; the incarnations
// of a requeued job are one job; two jobs that got the same number one after the
// other are two. A row without any id is a job of its own. An id that is no Slurm
// id is kept as text, its steps (".batch", ".0") with it.
//
// An incarnation belongs to its predecessor when Submit is within two seconds of
// the predecessor's End, or when both carry the same Ergon tag, or when Submit or
// End is not known.
func Group(rows []*slurmfmt.Record) []JobRows {
	var order []string
	byID := make(map[string][]*slurmfmt.Record)
	var out []JobRows
	loose := make(map[string]*slurmfmt.Record)
	jobRows := make(map[string]int)
	for i, r := range rows {
		ident := rowID(r)
		id := ident.job
		if ident.step == "" {
			jobRows[id]++
		}
		if id == "" {
			id = "\x00" + itoa(int64(i))
			loose[id] = r
		}
		if _, seen := byID[id]; !seen {
			order = append(order, id)
		}
		byID[id] = append(byID[id], r)
	}
	for _, id := range order {
		if r := loose[id]; r != nil {
			out = append(out, JobRows{Rows: []*slurmfmt.Record{r}})
			continue
		}
		if jobRows[id] < 2 {
			out = append(out, JobRows{ID: id, Rows: byID[id]})
			continue
		}
		out = append(out, splitReused(id, byID[id])...)
	}
	return out
}

// rowIdent is what a row says about its identity.
type rowIdent struct {
	// job is the id without step; empty when the row has none.
	job    string
	step   string
	parsed slurmfmt.JobID
	bad    bool
}

func rowID(r *slurmfmt.Record) rowIdent {
	text := strings.TrimSpace(r.Get("JobID"))
	if text == "" {
		text = strings.TrimSpace(r.Get("JobIDRaw"))
	}
	if text == "" {
		return rowIdent{}
	}
	id, err := slurmfmt.ParseJobID(text)
	if err != nil {
		job, step := cutOpaque(text)
		return rowIdent{job: job, step: step, bad: true}
	}
	return rowIdent{job: id.Job().String(), step: id.Step().String(), parsed: id}
}

// cutOpaque takes the step off an id that is no Slurm id.
func cutOpaque(text string) (job, step string) {
	i := strings.LastIndexByte(text, '.')
	if i <= 0 {
		return text, ""
	}
	switch step = text[i+1:]; {
	case step == "batch", step == "extern", step == "interactive", digits(step):
		return text[:i], step
	default:
		return text, ""
	}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// splitReused separates jobs that only share their number.
func splitReused(id string, rows []*slurmfmt.Record) []JobRows {
	parts := splitAttempts(rows)
	out := []JobRows{{ID: id}}
	for i, p := range parts {
		if i > 0 && !sameJob(parts[i-1].job, p.job) {
			out = append(out, JobRows{ID: id})
		}
		last := &out[len(out)-1]
		last.Rows = append(last.Rows, p.rows()...)
	}
	return out
}

// sameJob decides whether next is a further incarnation of prev.
func sameJob(prev, next *slurmfmt.Record) bool {
	if prev == nil || next == nil {
		return true
	}
	if t := tag(prev); t != "" && t == tag(next) {
		return true
	}
	submit, okSubmit := unix(next.Time("Submit"))
	before, okBefore := unix(prev.Time("Submit"))
	end, okEnd := unix(prev.Time("End"))
	if !okSubmit || !okBefore || submit == before {
		return true
	}
	if prev.Get("JobName") != next.Get("JobName") || prev.Get("UID") != next.Get("UID") {
		return false
	}
	return !okEnd || (submit >= end-2 && submit <= end+2)
}

// tag is Ergon's mark of a submission, in the comment or in the submit line.
func tag(r *slurmfmt.Record) string {
	const mark = "ergon1:"
	const uuidLen = 36
	for _, column := range []string{"Comment", "SubmitLine"} {
		text := r.Get(column)
		i := strings.Index(text, mark)
		if i >= 0 && len(text) >= i+len(mark)+uuidLen {
			return text[i : i+len(mark)+uuidLen]
		}
	}
	return ""
}

func unix(t slurmfmt.Time) (int64, bool) {
	moment, ok := t.Value()
	if !ok {
		return 0, false
	}
	return moment.Unix(), true
}
