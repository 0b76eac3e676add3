package efficiency

import "cmp"

// merge makes the job's report out of its attempts, oldest first. All attempts count
// as consumption, so the metrics are those of all together.
func merge(attempts []Report) Report {
	if len(attempts) == 1 {
		return attempts[0]
	}
	t := AddUp(attempts)
	out := attempts[lastStarted(attempts)]
	verdict := out.Verdict
	final := attempts[len(attempts)-1]
	out.Job = final.Job
	out.Job.Restarts = len(attempts) - 1
	out.Job.ElapsedSeconds = sumElapsed(attempts)
	out.Attempts = attempts
	out.Metrics, out.Ledger = t.Metrics, t.Ledger
	// The delay product of a job that was started again: all its energy times all its time.
	out.Metrics[EnergyDelayProduct] = delayOf(out.Metrics, out.Job.ElapsedSeconds)
	out.Verdict = retold(attempts, cmp.Or(final.Verdict, verdict))
	if e, ok := out.Value(Energy); ok {
		out.Everyday = Everyday(e)
	}
	return out
}

// lastStarted is the attempt that findings and advice are about.
func lastStarted(attempts []Report) int {
	for i := len(attempts) - 1; i >= 0; i-- {
		if attempts[i].Started() {
			return i
		}
	}
	return len(attempts) - 1
}

func sumElapsed(reports []Report) *float64 {
	var sum float64
	known := false
	for i := range reports {
		if v, ok := value(reports[i].Job.ElapsedSeconds); ok && reports[i].Started() {
			sum += v
			known = true
		}
	}
	return opt(sum, known)
}

func delayOf(metrics map[MetricName]Metric, elapsed *float64) Metric {
	m := metrics[Energy]
	out := m.with()
	out.Unit, out.Value = EnergyDelayProduct.Unit(), nil
	if m.Value != nil && elapsed != nil {
		out.Value = finite(*m.Value * *elapsed)
	}
	if out.Value == nil && len(out.Reasons) == 0 {
		out = out.with(MissingField)
	}
	return out
}
