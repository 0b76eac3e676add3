package efficiency

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// attemptRows are the rows of one incarnation. job is nil when only steps are known.
type attemptRows struct {
	job   *slurmfmt.Record
	steps []*slurmfmt.Record
	// dbIndex, start and submit are the job row's; start is -1 when not known.
	dbIndex string
	start   int64
	submit  int64
	byStep  map[string]int
}

func (a attemptRows) rows() []*slurmfmt.Record {
	if a.job == nil {
		return a.steps
	}
	return append([]*slurmfmt.Record{a.job}, a.steps...)
}

// splitAttempts assigns rows to incarnations, oldest first. A step belongs to the
// job row with the same DBIndex, else to the last one that started before it, else
// (no times) to the job row before it in the input.
func splitAttempts(rows []*slurmfmt.Record) []attemptRows {
	p := incarnations{byKey: make(map[string]int), waiting: make(map[int64]int), bySubmit: make(map[int64]int)}
	var steps []*slurmfmt.Record
	behind := make(map[*slurmfmt.Record]*slurmfmt.Record)
	var current *slurmfmt.Record
	for _, r := range rows {
		if rowID(r).step != "" {
			steps = append(steps, r)
			behind[r] = current
			continue
		}
		current = r
		p.addAttempt(newAttemptRows(r))
	}
	if len(p.attempts) == 0 {
		p.attempts = []attemptRows{{start: -1, submit: -1}}
	}
	slices.SortStableFunc(p.attempts, byTime)
	for _, s := range steps {
		ownerOf(p.attempts, s, behind[s]).addStep(s)
	}
	return p.attempts
}

// incarnations collects incarnations by key.
type incarnations struct {
	attempts []attemptRows
	byKey    map[string]int
	// waiting is the incarnation of a submit time that has no start yet, bySubmit the first of that time.
	waiting, bySubmit map[int64]int
}

func newAttemptRows(r *slurmfmt.Record) attemptRows {
	a := attemptRows{job: r, dbIndex: r.Get("DBIndex"), start: -1, submit: -1}
	if t, ok := unix(r.Time("Start")); ok {
		a.start = t
	}
	if t, ok := unix(r.Time("Submit")); ok {
		a.submit = t
	}
	return a
}

// byTime orders incarnations. Unknown times compare as equal, so that the order of
// the input stands.
func byTime(x, y attemptRows) int {
	if x.submit >= 0 && y.submit >= 0 && x.submit != y.submit {
		return cmp.Compare(x.submit, y.submit)
	}
	if x.start >= 0 && y.start >= 0 {
		return cmp.Compare(x.start, y.start)
	}
	return 0
}

// addAttempt keeps one row per incarnation: the same incarnation may have been read
// twice, first running and later ended.
func (p *incarnations) addAttempt(a attemptRows) {
	i, seen := p.find(a)
	if !seen {
		i = len(p.attempts)
		p.attempts = append(p.attempts, a)
	}
	if seen && p.attempts[i].olderThan(a) {
		p.attempts[i] = a
	}
	p.note(i)
}

// find is the rule of the import (jobs.Facts.sameRun): an incarnation that waits has no start time, so that its row and
// the later one with a start are views of the same where Submit is the same. One that ended without a start never ran.
func (p *incarnations) find(a attemptRows) (i int, seen bool) {
	if i, seen = p.byKey[a.key()]; seen || a.submit < 0 {
		return i, seen
	}
	if i, seen = p.waiting[a.submit]; seen && (a.start < 0 || !ended(p.attempts[i].job)) {
		return i, p.attempts[i].sameIndex(a)
	}
	if i, seen = p.bySubmit[a.submit]; seen && a.start < 0 && !ended(a.job) {
		return i, p.attempts[i].sameIndex(a)
	}
	return 0, false
}

// note remembers an incarnation under all that it is found by.
func (p *incarnations) note(i int) {
	a := p.attempts[i]
	p.byKey[a.key()] = i
	if a.submit < 0 {
		return
	}
	if _, seen := p.bySubmit[a.submit]; !seen {
		p.bySubmit[a.submit] = i
	}
	if j, seen := p.waiting[a.submit]; a.start < 0 && !seen {
		p.waiting[a.submit] = i
	} else if seen && i == j && a.start >= 0 {
		delete(p.waiting, a.submit)
	}
}

// sameIndex: a DBIndex on both sides decides.
func (a attemptRows) sameIndex(o attemptRows) bool {
	return a.dbIndex == "" || o.dbIndex == "" || a.dbIndex == o.dbIndex
}

// olderThan: a row with a start is a later view than one without.
func (a attemptRows) olderThan(o attemptRows) bool {
	if (a.start < 0) != (o.start < 0) {
		return a.start < 0
	}
	return newer(a.job, o.job)
}

// key is equal for two views of one incarnation.
func (a attemptRows) key() string {
	switch {
	case a.dbIndex != "":
		return "db " + a.dbIndex
	case a.start >= 0:
		return "at " + itoa(a.start) + " " + itoa(a.submit)
	default:
		return strings.Join(text(a.job), "|")
	}
}

// newer tells whether b is a later view of the same row than a.
func newer(a, b *slurmfmt.Record) bool {
	if ended(a) != ended(b) {
		return ended(b)
	}
	ea, _ := a.Elapsed().Seconds()
	eb, _ := b.Elapsed().Seconds()
	if ea != eb {
		return eb > ea
	}
	// Any rule will do, so long as the order of the rows does not matter.
	return strings.Join(text(b), "|") > strings.Join(text(a), "|")
}

func ended(r *slurmfmt.Record) bool { return r.State().Terminal() || r.State().Word == "REQUEUED" }

// text gives the fields as "name=value", without the empty ones, sorted.
func text(r *slurmfmt.Record) []string {
	var out []string
	for i, name := range r.Columns().Names() {
		if v := r.At(i); v != "" {
			out = append(out, strings.ToLower(name)+"="+v)
		}
	}
	slices.Sort(out)
	return out
}

func ownerOf(attempts []attemptRows, step, before *slurmfmt.Record) *attemptRows {
	if db := step.Get("DBIndex"); db != "" {
		for i := range attempts {
			if attempts[i].dbIndex == db {
				return &attempts[i]
			}
		}
	}
	if owner := ownerByStart(attempts, step); owner != nil {
		return owner
	}
	for i := range attempts {
		if attempts[i].job == before {
			return &attempts[i]
		}
	}
	return &attempts[0]
}

func ownerByStart(attempts []attemptRows, step *slurmfmt.Record) *attemptRows {
	start, ok := unix(step.Time("Start"))
	if !ok {
		return nil
	}
	var owner *attemptRows
	if attempts[0].start >= 0 {
		owner = &attempts[0]
	}
	for i := range attempts {
		// A step may carry the second before its job's start.
		if a := &attempts[i]; a.start >= 0 && a.start <= start+1 {
			owner = a
		}
	}
	return owner
}

// addStep drops a second view of the same step.
func (a *attemptRows) addStep(s *slurmfmt.Record) {
	if a.byStep == nil {
		a.byStep = make(map[string]int)
	}
	id := rowID(s).step
	i, seen := a.byStep[id]
	if !seen {
		a.byStep[id] = len(a.steps)
		a.steps = append(a.steps, s)
		return
	}
	if newer(a.steps[i], s) {
		a.steps[i] = s
	}
}
