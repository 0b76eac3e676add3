package jobs

import "github.com/ergon-hpc/ergon/shared/slurmfmt"

// stage says how far an incarnation has come; it never goes back.
type stage int64

const (
	stageWaiting stage = iota
	stageRunning
	stageEnded
)

// stageOf reads a stage from the state's word; an unknown word counts by its times, but never as an end, because a newer
// Slurm's word for something that goes on must not end a job.
func stageOf(r *slurmfmt.Record) stage {
	s := r.State()
	switch {
	case s.Raw == "" && r.Time("End").Kind == slurmfmt.Known:
		return stageEnded
	case s.Word == "REQUEUED" && r.Time("End").Kind == slurmfmt.Known:
		return stageEnded
	}
	return stageOfState(s, r.Time("Start").Kind == slurmfmt.Known)
}

func stageOfState(s slurmfmt.State, started bool) stage {
	switch {
	case s.Terminal():
		return stageEnded
	case s.API == slurmfmt.StateRunning, s.API == slurmfmt.StateUnknown && started:
		return stageRunning
	}
	return stageWaiting
}
