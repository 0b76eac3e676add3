package efficiency

import "github.com/ergon-hpc/ergon/shared/slurmfmt"

// timeEfficiency = elapsed / limit × 100. More than 100 is Slurm's grace time
// (OverTimeLimit, KillWait).
func (a *attempt) timeEfficiency() amount {
	if a.unlimited() {
		return none(Unlimited)
	}
	if a.job.LimitSeconds == nil || a.job.ElapsedSeconds == nil {
		return none(MissingField)
	}
	v, ok := ratio(a.elapsed(), *a.job.LimitSeconds)
	if !ok {
		return none(MissingField)
	}
	m := whole(v, Exact, SourceElapsed)
	if a.running {
		m.bound = Lower
	}
	if v > 100 {
		m = m.because(OverLimit)
	}
	return m
}

func (a *attempt) unlimited() bool {
	if a.rec == nil {
		return false
	}
	switch a.rec.TimeLimit().Kind {
	case slurmfmt.Unlimited:
		return true
	case slurmfmt.PartitionLimit:
		p, ok := a.in.Cluster.partition(a.job.Partition)
		return ok && p.Unlimited
	default:
		return false
	}
}
