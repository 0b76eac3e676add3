package efficiency

import (
	"cmp"
	"fmt"
	"math"
)

func (v view) gpus() float64 {
	n, _ := value(v.a.job.GPUs)
	return float64(n)
}

// askedGPUs leaves out those that came with a whole node: nobody can ask for fewer of them.
func (v view) askedGPUs() float64 { return v.gpus() - v.a.forcedGPUs() }

func idleGPURule(v view) *Finding {
	util, ok := v.value(GPUUtilization)
	idle, gpus := v.idleGPUs()-v.a.forcedGPUs(), v.askedGPUs()
	if !ok || idle <= 0 || !v.long() {
		return nil
	}
	f := &Finding{
		Rule: RuleIdleGPU, Severity: Warning,
		Text:      fmt.Sprintf("The job held %s and did not use %s.", gpuText(gpus), themText(gpus)),
		Change:    "Ask for no GPU, or check that the program finds it (CUDA_VISIBLE_DEVICES, a build with GPU support).",
		Evidence:  evidence{}.num("gpu_utilization_percent", util).num("gpus", gpus).num("idle_gpus", idle),
		Wasted:    Wasted{GPUS: v.idle(gpuS), Joule: v.idle(joules)},
		Directive: "--gpus=0",
		Risk:      "A program that needs a GPU only for a moment would fail.",
	}
	if idle < gpus {
		f.Text = fmt.Sprintf("The job held %s and did not use %.0f of them.", gpuText(gpus), idle)
		f.Change = "Ask for as many GPUs as the program uses, or start it so that it uses all of them: mostly that takes an option, or a process for each GPU."
		f.Wasted = Wasted{GPUS: min(idle*v.a.elapsed(), v.idle(gpuS))}
		f.Directive = fmt.Sprintf("--gpus=%.0f", gpus-idle)
		f.Risk = "A program that needs the other GPUs only for a moment would fail."
	}
	return f
}

// idleGPUs is how many GPUs did nothing: by the GPU where a source tells them apart,
// else all or none by the mean. A lower bound does not say that the rest was idle.
func (v view) idleGPUs() float64 {
	var n float64
	for _, used := range v.a.eachGPU() {
		if used <= v.t.IdleGPUPercent {
			n++
		}
	}
	if m := v.r.Metrics[GPUUtilization]; m.Value != nil && m.Bound != Lower && *m.Value <= v.t.IdleGPUPercent {
		return v.gpus()
	}
	return n
}

// eachGPU is the utilisation of each GPU of the job in percent, nil where no source
// tells all of them apart: a jobstats summary, or the profile of one step with a task
// for each GPU.
func (a *attempt) eachGPU() []float64 {
	gpus, _ := value(a.job.GPUs)
	if gpus == 0 {
		return nil
	}
	if all := a.gpuOfTasks(); int64(len(all)) == gpus {
		return all
	}
	if a.jobstats != nil {
		if all, _ := a.jobstats.gpus(jobstatsNode.gpuUtil); int64(len(all)) == gpus {
			return all
		}
	}
	return nil
}

// gpuOfTasks is the mean over the run of each task's GPU, nil when several numbered
// steps had some or part of the run was not seen.
func (a *attempt) gpuOfTasks() (all []float64) {
	if !a.wholeProfile(measuresGPU, usedGPU) {
		return nil
	}
	step := ""
	for i := range a.samples.tasks {
		t := &a.samples.tasks[i]
		sum, ok := t.GPUUtilPercent.Sum()
		if !ok || kindOf(t.step) != stepNumbered {
			continue
		}
		if step = cmp.Or(step, t.step); step != t.step {
			return nil
		}
		all = append(all, sum/float64(t.GPUUtilPercent.Valid()))
	}
	return all
}

func lowGPURule(v view) *Finding {
	util, ok := v.value(GPUUtilization)
	asked := v.askedGPUs()
	if !ok || asked == 0 || v.idleGPUs() > v.a.forcedGPUs() || !v.long() || v.r.Metrics[GPUUtilization].Bound == Lower {
		return nil
	}
	if util *= v.gpus() / asked; util >= v.t.LowGPUPercent {
		return nil
	}
	return &Finding{
		Rule: RuleLowGPU, Severity: Info,
		Text:     fmt.Sprintf("The job used %s only %s of the time.", gpuText(asked), percent(util)),
		Change:   "Find what the GPU waits for: reading data, too small batches, or work that runs on the CPU.",
		Evidence: evidence{}.num("gpu_utilization_percent", util).num("gpus", asked),
		Wasted:   Wasted{GPUS: v.idle(gpuS)},
	}
}

// coresPerGPURule counts the GPUs that were asked for: Slurm multiplies --cpus-per-gpu by them, and those that the site
// added are not the user's.
func coresPerGPURule(v view) *Finding {
	eff, ok := v.value(CPUEfficiency)
	gpus, cpus := v.askedGPUs(), v.a.cpus()
	if !ok || gpus == 0 || cpus/gpus <= v.t.CoresPerGPUMin || eff >= v.t.CoresPerGPUPercent || !v.clean() {
		return nil
	}
	if v.r.Metrics[CPUEfficiency].Bound == Lower || v.a.forcedCPUs() > 0 || v.a.exclusiveAsked() {
		return nil // CPUs that came with a whole node would still come
	}
	need := math.Max(1, math.Ceil(1.3*eff/100*cpus/gpus))
	return &Finding{
		Rule: RuleCoresPerGPU, Severity: Info,
		Text:      fmt.Sprintf("The job took %.0f CPUs per GPU and used %s of them%s.", cpus/gpus, percent(eff), v.othersLack("them")),
		Change:    fmt.Sprintf("Ask for %.0f CPUs per GPU, instead of --cpus-per-task: Slurm does not take both options.", need),
		Evidence:  evidence{}.num("cpus_per_gpu", cpus/gpus).num("cpu_efficiency_percent", eff),
		Wasted:    Wasted{CoreS: v.idle(coreS)},
		Directive: fmt.Sprintf("--cpus-per-gpu=%.0f", need),
		Risk:      "Short bursts, such as loading data, may take longer.",
	}
}

// memoryPerGPURule compares what was asked for with what was asked for: neither the site's memory nor its GPUs count.
func memoryPerGPURule(v view) *Finding {
	eff, ok := v.value(MemoryEfficiency)
	limit, known := v.askedMemory()
	peak, _ := v.value(MemoryPeak)
	gpus := v.askedGPUs()
	if !ok || !known || gpus == 0 || limit/gpus <= v.t.MemoryPerGPUMinBytes || !v.clean() || !v.trustPeak() {
		return nil
	}
	if eff = v.shareAsked(eff, peak); eff >= v.t.MemoryPerGPUPercent {
		return nil
	}
	return &Finding{
		Rule: RuleMemoryPerGPU, Severity: Info,
		Text:     fmt.Sprintf("The job took %s of memory per GPU and needed %s%s.", size(limit/gpus), size(peak/gpus), v.othersLack("it")),
		Change:   fmt.Sprintf("Ask for about %s for each GPU (--mem is for all of the job's GPUs on a node together).", size(v.t.MemoryMargin*peak/gpus)),
		Evidence: evidence{}.num("memory_per_gpu_bytes", limit/gpus).num("memory_efficiency_percent", eff),
		Wasted:   Wasted{ByteS: min(max(0, limit-peak)*v.a.elapsed(), v.idle(byteS))},
	}
}

// othersLack is what follows for other jobs: nothing on nodes that were the job's own.
func (v view) othersLack(what string) string {
	if v.a.exclusiveAsked() || v.a.forcedGPUs() > 0 {
		return ""
	}
	return "; other GPU jobs on the node lack " + what
}

func gpuText(n float64) string {
	if n == 1 {
		return "a GPU"
	}
	return fmt.Sprintf("%.0f GPUs", n)
}

func themText(n float64) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
