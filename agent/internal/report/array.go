package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Array prints the page of an array: how its tasks are spread, the worst of them, and the failed ones by cause.
func Array(out io.Writer, tasks []efficiency.Report, style Style) error {
	return ArrayOf(out, tasks, efficiency.Summarise(tasks), style)
}

// ArrayOf is Array with a summary of the analysed tasks, which knows more of them than the reports. What is counted is
// counted over the reports.
func ArrayOf(out io.Writer, tasks []efficiency.Report, s efficiency.ArraySummary, style Style) error {
	all := efficiency.Summarise(tasks)
	p := &printer{out: out, style: style}
	p.printf("%s\n%s\n", p.style.bold("Array "+term.Clean(all.JobID)+", "+plural(int64(all.Tasks), "task")), term.Clean(stateCounts(all.States)))
	if s.Tasks < all.Tasks {
		p.printf("%d of them are analysed; the spread, the worst and the sums are of these.\n", s.Tasks)
	}
	p.failures(tasks)
	p.spread(s)
	p.worst(s)
	if p.err != nil {
		return p.err
	}
	return Totals(out, s.Totals, style)
}

func stateCounts(states map[string]int) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(states)) {
		parts = append(parts, fmt.Sprintf("%d %s", states[state], firstOf(state, "UNKNOWN")))
	}
	return strings.Join(parts, ", ")
}

// stateCauses say in words why a task in this state of Slurm's failed; FAILED itself is told by its exit code.
var stateCauses = map[string]string{
	"OUT_OF_MEMORY": "out of memory",
	"TIMEOUT":       "stopped at the time limit",
	"DEADLINE":      "stopped at its deadline",
	"NODE_FAIL":     "node failure",
	"BOOT_FAIL":     "node failure at boot",
	"PREEMPTED":     "preempted by a job of higher priority",
	"CANCELLED":     "cancelled",
	"REVOKED":       "revoked",
	"LAUNCH_FAILED": "could not be launched",
}

// failure is why one task failed, in words that group alike tasks.
func failure(j efficiency.Job) string {
	if text, known := stateCauses[j.SlurmState]; known {
		if j.Start == nil && j.SlurmState == "CANCELLED" {
			return "cancelled before the start"
		}
		return text
	}
	exit := slurmfmt.ParseExitCode(j.ExitCode)
	switch {
	case exit.Signal != 0:
		return fmt.Sprintf("ended by signal %d", exit.Signal)
	case exit.Code != 0:
		return fmt.Sprintf("exit code %d", exit.Code)
	}
	return strings.ToLower(firstOf(j.SlurmState, "failed for an unknown reason"))
}

func (p *printer) failures(tasks []efficiency.Report) {
	groups := map[string][]string{}
	for i := range tasks {
		if j := tasks[i].Job; j.State == string(slurmfmt.StateFailed) {
			groups[failure(j)] = append(groups[failure(j)], j.JobID)
		}
	}
	if len(groups) == 0 {
		return
	}
	p.heading("Failed")
	for _, cause := range slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(groups[b]), len(groups[a])), cmp.Compare(a, b))
	}) {
		ids := groups[cause]
		p.printf("  %s: %s\n", p.style.severity(efficiency.Critical, plural(int64(len(ids)), "task")), term.Clean(cause))
		p.printf("      sbatch --array=%s …\n", TaskList(ids))
	}
}

// TaskList writes exactly these tasks as sbatch --array takes them: 1-3,7. Ids that name no task are left out.
func TaskList(ids []string) string {
	var tasks []uint64
	for _, id := range ids {
		_, text, _ := strings.Cut(id, "_")
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			tasks = append(tasks, n)
		}
	}
	slices.Sort(tasks)
	tasks = slices.Compact(tasks)
	var parts []string
	for i := 0; i < len(tasks); {
		j := i
		for j+1 < len(tasks) && tasks[j+1] == tasks[j]+1 {
			j++
		}
		parts = append(parts, span(tasks[i], tasks[j]))
		i = j + 1
	}
	return strings.Join(parts, ",")
}

func span(from, to uint64) string {
	switch to {
	case from:
		return strconv.FormatUint(from, 10)
	case from + 1:
		return fmt.Sprintf("%d,%d", from, to)
	default:
		return fmt.Sprintf("%d-%d", from, to)
	}
}

// spreadNames are the metrics worth a row of an array's page.
var spreadNames = []struct {
	name  efficiency.MetricName
	title string
}{
	{efficiency.CPUEfficiency, "CPU"},
	{efficiency.MemoryEfficiency, "Memory"},
	{efficiency.MemoryPeak, "Memory peak"},
	{efficiency.GPUUtilization, "GPU"},
	{efficiency.TimeEfficiency, "Time limit"},
	{efficiency.Energy, "Energy"},
}

func (p *printer) spread(s efficiency.ArraySummary) {
	p.heading("Spread over the tasks")
	p.printf("  %s%s%s%s%s%s%s\n", cell("", 13), cell("tasks", 8), cell("least", 12), cell("quarter", 12), cell("median", 12), cell("3 quarters", 12), "most")
	for _, row := range spreadNames {
		d := s.Distributions[row.name]
		if d.N == 0 {
			continue
		}
		line := cell(row.title, 13) + cell(strconv.Itoa(d.N), 8)
		for _, v := range []*float64{d.Min, d.Q1, d.Median, d.Q3, d.Max} {
			line += cell(amount(*v, d.Unit), 12)
		}
		if d.Missing > 0 {
			line += p.style.dim(fmt.Sprintf("%d not measured", d.Missing))
		}
		p.printf("  %s\n", strings.TrimRight(line, " "))
	}
}

func (p *printer) worst(s efficiency.ArraySummary) {
	var lines []string
	for _, row := range spreadNames[:2] {
		d := s.Distributions[row.name]
		if d.N < 2 {
			continue
		}
		var parts []string
		for _, t := range d.Worst {
			parts = append(parts, term.Clean(t.JobID)+" "+amount(t.Value, d.Unit))
		}
		lines = append(lines, fmt.Sprintf("  %-12s %s", row.title, strings.Join(parts, ", ")))
	}
	if len(lines) == 0 {
		return
	}
	p.heading("Worst tasks")
	p.printf("%s\n", strings.Join(lines, "\n"))
}
