package efficiency

import (
	"fmt"
	"strings"
)

// maxActions is how many changes a user is shown.
const maxActions = 3

// actions turns findings into #SBATCH lines, each option at most once.
func actions(findings []Finding) []Action {
	out := []Action{}
	taken := make(map[string]bool)
	for i := range findings {
		f := &findings[i]
		option, _, _ := strings.Cut(f.Directive, "=")
		if f.Directive == "" || taken[option] || len(out) == maxActions {
			continue
		}
		taken[option] = true
		out = append(out, Action{Line: "#SBATCH " + f.Directive, Why: f.Text, Risk: f.Risk, Rule: f.Rule})
	}
	return out
}

// verdict says in one sentence what happened.
func verdict(a *attempt, r *Report) string {
	switch {
	case a.never:
		return neverText(a)
	case a.running:
		return "RUNNING for " + duration(a.elapsed()) + "; the numbers so far are not final."
	case a.outOfMemory():
		return oomText(a, r)
	}
	after := afterText(a)
	switch a.state.Word {
	case "TIMEOUT", "DEADLINE":
		return "TIMED OUT" + onNodes(a) + after + ": stopped at its time limit."
	case "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL":
		return "NODE FAILED" + onNodes(a) + after + ": not the job's fault."
	case "PREEMPTED":
		return "PREEMPTED" + after + " by a job of higher priority."
	case "CANCELLED":
		return "CANCELLED" + after + cancelledBy(a) + "."
	case "FAILED":
		return "FAILED" + onNodes(a) + after + ": " + exitText(a) + "."
	case "COMPLETED":
		return "COMPLETED" + after + ": " + usedText(r) + "."
	case "":
		return usedText(r) + "."
	default:
		return a.state.Word + after + "."
	}
}

func neverText(a *attempt) string {
	if a.job.State == "PENDING" {
		if a.job.Reason != "" {
			return "PENDING: waits for " + a.job.Reason + "."
		}
		return "PENDING: not started yet."
	}
	return slurmState(a.state) + " before it started: nothing was used."
}

func afterText(a *attempt) string {
	if a.job.ElapsedSeconds == nil {
		return ""
	}
	return " after " + duration(a.elapsed())
}

// onNodes names a single node; a list would be too long for a verdict.
func onNodes(a *attempt) string {
	list := a.job.NodeList
	if list == "" || strings.ContainsAny(list, "[,") || NodeNames(list) == nil {
		return ""
	}
	return " on " + list
}

func oomText(a *attempt, r *Report) string {
	text := "OUT OF MEMORY" + onNodes(a) + afterText(a)
	if limit, _, ok := a.memory(); ok {
		text += ": asked " + size(limit)
	}
	if r.Job.State == "DONE" {
		text += "; part of it was killed although Slurm says completed"
	}
	return text + "."
}

func cancelledBy(a *attempt) string {
	if a.state.HasUID {
		return fmt.Sprintf(" by uid %d", a.state.CancelledBy)
	}
	return ""
}

func exitText(a *attempt) string {
	exit := a.rec.ExitCode("ExitCode")
	switch {
	case exit.Signal != 0:
		return fmt.Sprintf("ended by signal %d", exit.Signal)
	case exit.Code != 0:
		return fmt.Sprintf("exit code %d", exit.Code)
	default:
		return "no exit code is recorded"
	}
}

// usedText summarises what was used.
func usedText(r *Report) string {
	var out []string
	if v, ok := r.Value(CPUEfficiency); ok {
		out = append(out, percent(v)+" of its CPUs")
	}
	if v, ok := r.Value(MemoryEfficiency); ok {
		out = append(out, bounded(r.Metrics[MemoryEfficiency].Bound)+percent(v)+" of its memory")
	}
	if v, ok := r.Value(GPUUtilization); ok {
		out = append(out, percent(v)+" of its GPUs")
	}
	if len(out) == 0 {
		out = absoluteText(r)
	}
	if len(out) == 0 {
		return "how much it used is not known"
	}
	return "used " + strings.Join(out, ", ")
}

// absoluteText serves where the allocation is not known: a profile without accounting.
func absoluteText(r *Report) []string {
	var out []string
	used, okUsed := r.Value(CPUUsed)
	if elapsed, ok := value(r.Job.ElapsedSeconds); ok && okUsed && elapsed > 0 {
		out = append(out, bounded(r.Metrics[CPUUsed].Bound)+short(used/elapsed)+" CPUs on average")
	}
	if v, ok := r.Value(MemoryPeak); ok {
		out = append(out, bounded(r.Metrics[MemoryPeak].Bound)+size(v)+" of memory")
	}
	return out
}

func bounded(b Bound) string {
	switch b {
	case Upper:
		return "at most "
	case Lower:
		return "at least "
	case Estimate:
		return "about "
	default:
		return ""
	}
}

// retold puts the story of several attempts before the last verdict.
func retold(attempts []Report, last string) string {
	return fmt.Sprintf("%d attempts. Last: %s", len(attempts), last)
}
