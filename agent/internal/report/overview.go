package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Overview is what `ergon` alone prints: a few weeks in three numbers and the job that wasted most.
type Overview struct {
	From, To              time.Time
	Jobs, Started, Failed int64
	// Aggregate holds ratios of sums and sums over the jobs.
	Aggregate map[efficiency.MetricName]efficiency.Metric
	// Worst is nil when no job wasted anything.
	Worst *Worst
	// Source says where this was read.
	Source string
}

// Worst is the job that wasted most.
type Worst struct {
	JobID, Name, Verdict string
	WastedCoreS          float64
	Action               string
	// Command shows its report.
	Command string
}

// OverviewOf makes the overview of reports. command is what shows one job, for instance "ergon seff".
func OverviewOf(all []efficiency.Report, command string) Overview {
	totals := efficiency.AddUp(all)
	o := Overview{Jobs: int64(totals.Jobs), Started: int64(totals.Started), Aggregate: totals.Metrics}
	for i := range all {
		r := &all[i]
		if r.Job.State == "FAILED" {
			o.Failed++
		}
		wasted, _ := r.Value(efficiency.WastedCPU)
		if wasted <= 0 || o.Worst != nil && wasted <= o.Worst.WastedCoreS {
			continue
		}
		o.Worst = &Worst{JobID: r.Job.JobID, Name: r.Job.Name, Verdict: r.Verdict, WastedCoreS: wasted, Command: command + " " + r.Job.JobID}
		if len(r.Actions) > 0 {
			o.Worst.Action = r.Actions[0].Line
		}
	}
	return o
}

// PrintOverview prints it.
func PrintOverview(out io.Writer, o Overview, style Style) error {
	p := &printer{out: out, style: style}
	days := int(o.To.Sub(o.From).Hours()/24 + 0.5)
	failed := ""
	if o.Failed > 0 {
		failed = fmt.Sprintf(", %d failed", o.Failed)
	}
	p.printf("%s  %s\n\n", p.style.bold(fmt.Sprintf("Your last %s: %s%s", plural(int64(days), "day"), plural(o.Jobs, "job"), failed)), p.style.dim(o.Source))
	r := efficiency.Report{Metrics: o.Aggregate}
	p.printf("  %s\n", strings.Join([]string{
		"CPU " + value(r, efficiency.CPUEfficiency) + " used",
		"memory " + value(r, efficiency.MemoryEfficiency) + " used",
		value(r, efficiency.WastedCPU) + " wasted",
	}, "  ·  "))
	if w := o.Worst; w != nil {
		p.heading("Most wasteful: job " + term.Clean(w.JobID) + " (" + term.Clean(w.Name) + ")")
		p.printf("  %s\n", upperFirst(term.Clean(w.Verdict)))
		p.printf("  It wasted %s.\n", PerHour(w.WastedCoreS, "core"))
		if w.Action != "" {
			p.printf("  %s\n", p.style.paint("32", term.Clean(w.Action)))
		}
		p.printf("\n  %s\n", term.Clean(w.Command))
	}
	return p.err
}
