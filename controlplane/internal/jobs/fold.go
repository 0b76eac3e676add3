package jobs

import (
	"maps"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// folded is an attempt on its way: what accounting says, completed by what agents say.
type folded struct {
	Facts
	apiState   slurmfmt.APIState
	slurmState string
	matched    bool // a snapshot belongs to it
	closed     bool // accounting has told its end; a start time that an agent guessed is not taken
}

// fold computes everything that is shown of a job from its rows and snapshots. It depends on nothing else, above all not
// on the order in which they came.
func (e *Entry) fold() {
	list := make([]*folded, 0, len(e.Runs)+1)
	e.measured = false
	slices.SortStableFunc(e.Runs, func(a, b *Run) int { return a.Facts.before(b.Facts) })
	for i, r := range e.Runs {
		r.Number = i
		e.measured = e.measured || r.Facts.Measured || len(r.Stamps) > 1
		list = append(list, &folded{
			Facts: r.Facts, apiState: stateOf(r.Facts), slurmState: word(r.Facts.State), closed: r.Facts.stage == stageEnded,
		})
	}
	for _, n := range slices.Sorted(maps.Keys(e.Snapshots)) {
		list = overlay(list, e.Snapshots[n])
	}
	e.Attempts = e.Attempts[:0]
	for i, f := range list {
		e.Attempts = append(e.Attempts, f.attempt(i))
	}
	e.identity(list)
	e.current(list)
}

// stateOf keeps to the state that is certain when the word is unknown: it goes on.
func stateOf(f Facts) slurmfmt.APIState {
	switch {
	case f.State.API != slurmfmt.StateUnknown:
		return f.State.API
	case f.State.Raw == "" && f.stage == stageEnded && orZero(f.ExitCode) == 0 && orZero(f.ExitSignal) == 0:
		return slurmfmt.StateDone
	case f.State.Raw == "" && f.stage == stageEnded:
		return slurmfmt.StateFailed
	case f.stage == stageRunning:
		return slurmfmt.StateRunning
	}
	return slurmfmt.StatePending
}

func word(s slurmfmt.State) string {
	if s.Word != "" {
		return s.Word
	}
	return clean(s.Raw, 64)
}

// overlay completes the attempt that the snapshot is about, or adds one that accounting has not told of yet.
func overlay(list []*folded, s Snapshot) []*folded {
	f := matching(list, s)
	if f == nil {
		f = &folded{Facts: Facts{SlurmJobID: s.SlurmJobID, Submit: s.Submit}}
		list = append(list, f)
	}
	f.matched = true
	if st := s.stage(); f.slurmState == "" || st > f.stage {
		f.stage, f.apiState, f.slurmState = st, slurmfmt.APIState(s.State), s.SlurmState
		f.ExitCode, f.ExitSignal = firstOf(s.ExitCode, f.ExitCode), firstOf(s.ExitSignal, f.ExitSignal)
		f.Reason = s.Reason
	}
	if !f.closed {
		f.Start, f.End = firstOf(f.Start, s.Start), firstOf(f.End, s.End)
	}
	f.Nodes, f.CPUs = firstOf(f.Nodes, s.Nodes), firstOf(f.CPUs, s.CPUs)
	f.UID = firstOf(f.UID, &s.UID)
	for _, p := range []struct {
		to   *string
		from string
	}{{&f.Name, s.Name}, {&f.User, s.UnixUser}, {&f.Account, s.Account}, {&f.Partition, s.Partition}, {&f.QOS, s.QOS}, {&f.NodeList, s.NodeList}} {
		if *p.to == "" {
			*p.to = p.from
		}
	}
	return list
}

// matching finds the attempt of a snapshot: by submit time, of several with the same one (older Slurm keeps it over a requeue)
// by its number, and where none is of its time by its number alone.
func matching(list []*folded, s Snapshot) *folded {
	var best *folded
	for i, f := range list {
		d := abs(f.Submit - s.Submit)
		if d <= requeueSlack && (best == nil || d < abs(best.Submit-s.Submit) || d == abs(best.Submit-s.Submit) && i == s.Attempt) {
			best = f
		}
	}
	if best == nil && s.Attempt >= 0 && s.Attempt < len(list) && !list[s.Attempt].matched {
		best = list[s.Attempt]
	}
	return best
}

func abs(n int64) int64 { return max(n, -n) }

func (f *folded) attempt(n int) Attempt {
	return Attempt{
		Number: n, Account: f.Account, Partition: f.Partition, QOS: f.QOS, SlurmState: f.slurmState, SubmitAt: time.Unix(f.Submit, 0).UTC(), EligibleAt: at(f.Eligible), StartAt: at(f.Start), EndAt: at(firstOf(f.End, f.EndSeen)),
		ElapsedS: f.ElapsedS, SuspendedS: f.SuspendedS, WallS: f.WallS, WaitS: f.WaitS,
		Nodes: small(f.Nodes), CPUs: small(f.CPUs), GPUs: f.GPUs, MemoryBytes: f.MemoryBytes, ExitCode: f.ExitCode, ExitSignal: f.ExitSignal,
	}
}

// identity takes the names from the newest attempt that has them.
func (e *Entry) identity(list []*folded) {
	j := &e.Job
	j.ArrayJobID, j.UnixUser, j.Account, j.Partition, j.QOS, j.Name, j.NodeList = "", "", "", "", "", "", ""
	j.UID, j.LimitS = nil, nil
	for _, f := range list {
		for _, p := range []struct {
			to   *string
			from string
		}{
			{&j.SlurmJobID, f.SlurmJobID},
			{&j.ArrayJobID, f.ArrayJobID},
			{&j.UnixUser, f.User},
			{&j.Account, f.Account},
			{&j.Partition, f.Partition},
			{&j.QOS, f.QOS},
			{&j.Name, f.Name},
			{&j.NodeList, f.NodeList},
		} {
			if p.from != "" {
				*p.to = p.from
			}
		}
		j.UID = firstOf(f.UID, j.UID)
		j.LimitS = firstOf(f.LimitS, j.LimitS)
	}
	var latest Snapshot
	for _, s := range e.Snapshots {
		if s.Seq >= latest.Seq && s.UploadPhase != "" {
			latest = s
		}
		j.EventSeq = max(j.EventSeq, s.Seq)
	}
	if latest.UploadPhase != "" {
		j.UploadPhase = latest.UploadPhase
	}
}

// current takes the state and the sizes from the last attempt.
func (e *Entry) current(list []*folded) {
	if len(list) == 0 {
		return
	}
	j, last := &e.Job, list[len(list)-1]
	j.Attempt, j.State, j.SlurmState, j.Reason = len(list)-1, last.apiState, last.slurmState, last.Reason
	j.ExitCode, j.ExitSignal = last.ExitCode, last.ExitSignal
	j.SubmitAt = time.Unix(list[0].Submit, 0).UTC()
	j.EligibleAt, j.StartAt, j.EndAt = at(last.Eligible), at(last.Start), at(firstOf(last.End, last.EndSeen))
	j.ElapsedS, j.SuspendedS = last.ElapsedS, last.SuspendedS
	j.Nodes, j.CPUs, j.GPUs, j.MemoryBytes = small(last.Nodes), small(last.CPUs), last.GPUs, last.MemoryBytes
}

// ended says that accounting, not only an agent, has told the end of the last attempt.
func (e *Entry) ended() bool {
	if len(e.Runs) == 0 || len(e.Runs) < len(e.Attempts) {
		return false
	}
	f := e.Runs[len(e.Runs)-1].Facts
	return f.stage == stageEnded && f.State.Word != "REQUEUED"
}

func at(unix *int64) *time.Time {
	if unix == nil {
		return nil
	}
	return ptr(time.Unix(*unix, 0).UTC())
}
