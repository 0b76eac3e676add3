package efficiency

import (
	"fmt"
	"math"
)

func serialRule(v view) *Finding {
	used, ok := v.value(CPUUsed)
	m := v.r.Metrics[CPUEfficiency]
	if !ok || m.Value == nil || m.Bound == Lower || v.gpus() > 0 || !v.clean() {
		return nil
	}
	cores := used / v.a.elapsed()
	cpus, _ := value(v.a.job.CPUs)
	asked := cpus - int64(v.a.forcedCPUs())
	if cores > v.t.SerialCores || asked < v.t.SerialMinCPUs {
		return nil
	}
	return &Finding{
		Rule: RuleSerialOnManyCores, Severity: Warning,
		Text:      fmt.Sprintf("The job had %d CPUs and kept %s of them busy: the program seems to run on one core.", cpus, short(cores)),
		Change:    "Ask for one CPU, or start the program so that it uses all of them (srun, OMP_NUM_THREADS, its own option).",
		Evidence:  evidence{}.num("cores_used", cores).num("cpus", float64(cpus)),
		Wasted:    Wasted{CoreS: v.idle(coreS), Joule: v.idle(joules)},
		Directive: serialDirective(v),
		Risk:      "If memory was given per CPU, ask for the same memory with --mem.",
	}
}

func serialDirective(v view) string {
	if v.nodes() > 1 {
		return "--nodes=1 --ntasks=1"
	}
	return "--ntasks=1 --cpus-per-task=1"
}

func oversubscriptionRule(v view) *Finding {
	eff, ok := v.value(CPUEfficiency)
	if !ok || eff <= v.t.OversubscriptionPercent || v.a.short() {
		return nil
	}
	used, _ := v.value(CPUUsed)
	need := math.Ceil(used / math.Max(v.a.elapsed(), 1))
	return &Finding{
		Rule: RuleOversubscription, Severity: Warning,
		Text:     fmt.Sprintf("The job used %s of its CPUs: more threads ran than it had asked for, on CPUs of other jobs.", percent(eff)),
		Change:   fmt.Sprintf("Ask for %.0f CPUs, or start fewer threads (OMP_NUM_THREADS).", need),
		Evidence: evidence{}.num("cpu_efficiency_percent", eff).num("cores_used", used/math.Max(v.a.elapsed(), 1)),
	}
}

func tooShortRule(v view) *Finding {
	if v.a.state.Word != "COMPLETED" || v.a.job.ElapsedSeconds == nil || v.a.elapsed() >= v.t.TooShortSeconds {
		return nil
	}
	return &Finding{
		Rule: RuleTooShort, Severity: Info,
		Text:     fmt.Sprintf("The job ran for %s; starting it costs the cluster about as much.", duration(v.a.elapsed())),
		Change:   "If there are many like this, let one job do several of them in a loop, or use an array with fewer, longer tasks.",
		Evidence: evidence{}.num("elapsed_s", v.a.elapsed()),
	}
}

func timeOverRule(v view) *Finding {
	eff, ok := v.value(TimeEfficiency)
	limit, _ := value(v.a.job.LimitSeconds)
	if !ok || !v.clean() || eff >= v.t.TimeOverPercent || limit-v.a.elapsed() < v.t.TimeOverMinSeconds {
		return nil
	}
	return &Finding{
		Rule: RuleTimeOver, Severity: Info,
		Text:      fmt.Sprintf("The job asked for %s and ran for %s. Shorter jobs fit into gaps and start sooner.", duration(limit), duration(v.a.elapsed())),
		Change:    "Ask for about half as much again as the job needed, so that it fits into smaller gaps between other jobs.",
		Evidence:  evidence{}.num("limit_s", limit).num("elapsed_s", v.a.elapsed()),
		Directive: "--time=" + timeOption(v.a.elapsed()*v.t.TimeMargin),
		Risk:      "From this one run: a slower node or a larger input may reach the limit and be killed.",
	}
}

func timeoutRule(v view) *Finding {
	if v.a.state.Word != "TIMEOUT" && v.a.state.Word != "DEADLINE" {
		return nil
	}
	f := &Finding{
		Rule: RuleTimeout, Severity: Critical,
		Text:     fmt.Sprintf("The job was stopped at its time limit after %s.", duration(v.a.elapsed())),
		Change:   "Ask for more time, or let the program save its state and go on in a next job.",
		Evidence: evidence{}.num("elapsed_s", v.a.elapsed()),
		Wasted:   v.lost(),
	}
	if limit, ok := value(v.a.job.LimitSeconds); ok {
		f.Evidence["limit_s"] = limit
		v.moreTime(f, limit)
	}
	return f
}

// moreTime advises twice the limit, or what the partition allows, or nothing when the
// job already had that.
func (v view) moreTime(f *Finding, limit float64) {
	need := 2 * limit
	f.Risk = "How long it really takes is not known. The partition may allow less."
	if p, ok := v.a.in.Cluster.partition(v.a.job.Partition); ok && p.LimitSeconds > 0 && need > p.LimitSeconds {
		need = p.LimitSeconds
		f.Risk = "This is all that the partition allows; it may still be too little."
	}
	if need <= limit {
		f.Change = "The partition allows no more time: let the program save its state and go on in a next job, or use another partition."
		f.Risk = ""
		return
	}
	f.Directive = "--time=" + timeOption(need)
}
