package advice

import (
	"math"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// TargetOfScript is what a script asks for. name is that of its file: sbatch takes it where there is no --job-name. What
// the script leaves to the site stays 0; see FillFrom.
func TargetOfScript(d *Directives, name, text string) Target {
	job := efficiency.Job{Name: name}
	if v, ok := d.Get("job-name"); ok {
		job.Name = v
	}
	job.Account, _ = d.Get("account")
	job.Partition, _ = d.Get("partition")
	if strings.Contains(job.Partition, ",") {
		job.Partition = "" // Slurm picks one
	}
	job.Script = workprint.Script(text)
	t := Target{Fingerprint: Of(job), Numbers: known(job.Script).Numbers}
	t.Nodes = max(1, d.count("nodes"))
	d.shape(&t)
	if _, ok := d.Get("gpus", "gpus-per-node", "gpus-per-task"); ok {
		t.GPUs = 1
	}
	if v, _ := d.Get("gres"); strings.Contains(v, "gpu") {
		t.GPUs = 1
	}
	t.MemoryBytes = d.memory(t)
	if v, ok := d.Get("time"); ok {
		t.LimitSeconds, _ = TimeLimit(v)
	}
	return t
}

// shape: tasks default to one for each node, CPUs to one for each task (sbatch(1)).
func (d *Directives) shape(t *Target) {
	t.CPUsPerTask = max(1, d.count("cpus-per-task"))
	t.Tasks = d.count("ntasks")
	if t.Tasks == 0 {
		t.Tasks = t.Nodes * max(1, d.count("ntasks-per-node"))
	}
	if _, ok := d.Get("exclusive"); !ok {
		t.CPUs = t.Tasks * t.CPUsPerTask
	}
}

// memory is per node.
func (d *Directives) memory(t Target) float64 {
	if v, ok := d.Get("mem"); ok {
		n, _ := slurmfmt.ParseSizeMB(v).Value()
		return float64(n)
	}
	v, ok := d.Get("mem-per-cpu")
	if !ok {
		return 0
	}
	n, _ := slurmfmt.ParseSizeMB(v).Value()
	return float64(n) * math.Ceil(float64(t.CPUs)/float64(t.Nodes))
}

// count reads a number, of a range ("2-4") the lower end.
func (d *Directives) count(name string) int64 {
	v, _ := d.Get(name)
	v, _, _ = strings.Cut(v, "-")
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// TimeLimit reads the forms of sbatch --time: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
// days-hours:minutes, days-hours:minutes:seconds.
func TimeLimit(text string) (seconds float64, ok bool) {
	days, clock, hasDays := strings.Cut(text, "-")
	if !hasDays {
		days, clock = "0", text
	}
	parts := strings.Split(clock, ":")
	units := map[int][]float64{1: {60}, 2: {60, 1}, 3: {3600, 60, 1}}[len(parts)]
	if hasDays {
		units = []float64{3600, 60, 1}
	}
	if units == nil || len(parts) > 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, false
	}
	seconds = float64(n) * 86400
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return 0, false
		}
		seconds += float64(n) * units[i]
	}
	return seconds, true
}

// With is the target with the arguments that its script is going to get.
func (t Target) With(arguments []string) Target {
	text := workprint.Arguments(strings.Join(arguments, " "))
	t.Arguments, t.ArgumentNumbers = text.Digest, text.Numbers
	return t
}

// FillFrom takes what the target leaves to the site from its newest run.
func (t *Target) FillFrom(history []Run) {
	newest, ok := t.Newest(history)
	if !ok {
		return
	}
	last := TargetOf(Run{Report: efficiency.Report{Job: newest}})
	if t.MemoryBytes == 0 {
		t.MemoryBytes = last.MemoryBytes
	}
	if t.LimitSeconds == 0 {
		t.LimitSeconds = last.LimitSeconds
	}
}

// Newest is the job of the same work that was submitted last.
func (t Target) Newest(history []Run) (job efficiency.Job, ok bool) {
	for i := range history {
		j := &history[i].Report.Job
		if t.Matches(*j) && (!ok || known(j.Submit) > known(job.Submit)) {
			job, ok = *j, true
		}
	}
	return job, ok
}
