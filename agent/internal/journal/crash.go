package journal

// Crash is called at every boundary of the journal with the boundary's name: "<table>.<STATE>.before" when the
// transaction is about to commit, "<table>.<STATE>.after" when it is on disk. Tests kill the process there. nil is no hook.
//
// Tables and states: submission (states of SubmissionState), job (JobState), file (outputs.FileState); outbox with the
// words add, delivered, refused and offered, meta with set, prune with jobs and submissions.
type Crash func(point string)

// Boundaries of what has no state machine.
var (
	outboxAdd        = boundary{"outbox", "add"}
	outboxDelivered  = boundary{"outbox", "delivered"}
	outboxRefused    = boundary{"outbox", "refused"}
	outboxOffered    = boundary{"outbox", "offered"}
	metaSet          = boundary{"meta", "set"}
	pruneJobs        = boundary{"prune", "jobs"}
	pruneSubmissions = boundary{"prune", "submissions"}
)

func (c Crash) at(table, state, when string) {
	if c != nil {
		c(table + "." + state + "." + when)
	}
}

// CrashPoints lists every name that a Crash may be called with.
func CrashPoints() []string {
	var names []string
	add := func(table, state string) {
		names = append(names, table+"."+state+".before", table+"."+state+".after")
	}
	for s := range submissionEdges {
		add("submission", string(s))
	}
	for s := range jobEdges {
		add("job", string(s))
	}
	for s := range fileEdges {
		add("file", string(s))
	}
	for _, b := range []boundary{outboxAdd, outboxDelivered, outboxRefused, outboxOffered, metaSet, pruneJobs, pruneSubmissions} {
		add(b.table, b.state)
	}
	return withoutEmpty(names)
}
