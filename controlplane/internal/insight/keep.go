package insight

import (
	"slices"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// outlives says that a stored analysis knows more than one that is made now: its profiles are gone (kept for a time only, or
// removed by the user), and the job is the same still. Another end or attempt is more than old numbers.
func (a Analysis) outlives(now Analysis) bool {
	return profiled(a.Report) && !profiled(now.Report) && sameRun(a.Report, now.Report)
}

func profiled(r efficiency.Report) bool {
	return slices.Contains(r.Sources, efficiency.SourceProfile) || slices.ContainsFunc(r.Attempts, profiled)
}

func sameRun(a, b efficiency.Report) bool {
	return a.Job.SlurmState == b.Job.SlurmState && len(a.Attempts) == len(b.Attempts) &&
		equal(a.Job.Start, b.Job.Start) && equal(a.Job.End, b.Job.End) && equal(a.Job.ElapsedSeconds, b.Job.ElapsedSeconds)
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
