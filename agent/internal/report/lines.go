package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Lines prints one line for each job. It needs no memory of the jobs, so a dump may hold any number of them.
type Lines struct {
	p       *printer
	started bool
}

// NewLines prints to out.
func NewLines(out io.Writer, style Style) *Lines { return &Lines{p: &printer{out: out, style: style}} }

var lineWidths = []int{14, 15, 12, 12, 10, 12, 15}

// Add prints one job, and the header before the first.
func (l *Lines) Add(r efficiency.Report) error {
	if !l.started {
		l.started = true
		l.row(l.p.style.bold, "JOB", "STATE", "CPU", "MEMORY", "LIMIT", "ELAPSED", "WASTED", "NAME")
	}
	l.row(func(text string) string { return l.p.style.severity(severity(r), text) },
		firstOf(r.Job.JobID, r.ID), r.Job.SlurmState,
		short(r, efficiency.CPUEfficiency), short(r, efficiency.MemoryEfficiency), short(r, efficiency.TimeEfficiency),
		elapsed(r), short(r, efficiency.WastedCPU), r.Job.Name)
	return l.p.err
}

// row paints the second column, the state.
func (l *Lines) row(paint func(string) string, cells ...string) {
	var b strings.Builder
	for i, text := range cells {
		text = term.Clean(text)
		padding := ""
		if i < len(lineWidths) {
			padding = strings.Repeat(" ", max(1, lineWidths[i]-runewidth.StringWidth(text)))
		}
		if i == 1 {
			text = paint(text)
		}
		b.WriteString(text + padding)
	}
	l.p.printf("%s\n", strings.TrimRight(b.String(), " "))
}

func elapsed(r efficiency.Report) string {
	if r.Job.ElapsedSeconds == nil {
		return "–"
	}
	return Seconds(*r.Job.ElapsedSeconds)
}

// short is a value in few characters: bounds are signs.
func short(r efficiency.Report, name efficiency.MetricName) string {
	m := r.Metrics[name]
	if m.Value == nil {
		return "–"
	}
	return boundSigns[m.Bound] + amount(*m.Value, m.Unit)
}

var boundSigns = map[efficiency.Bound]string{efficiency.Upper: "≤ ", efficiency.Lower: "≥ ", efficiency.Estimate: "~ "}

// Whole prints the total of a het job below its components.
func Whole(out io.Writer, total efficiency.Report, style Style) error {
	t := efficiency.Totals{Jobs: len(total.Attempts), Metrics: total.Metrics, Ledger: total.Ledger}
	for i := range total.Attempts {
		if total.Attempts[i].Started() {
			t.Started++
		}
	}
	if err := Totals(out, t, style); err != nil {
		return err
	}
	p := &printer{out: out, style: style}
	p.printf("  %-12s %s\n", "Verdict", term.Clean(total.Verdict))
	return p.err
}

// Totals prints the sums of many jobs: ratios of sums, never means of percentages.
func Totals(out io.Writer, t efficiency.Totals, style Style) error {
	p := &printer{out: out, style: style}
	p.heading(fmt.Sprintf("Together: %s, %d started", plural(int64(t.Jobs), "job"), t.Started))
	r := efficiency.Report{Metrics: t.Metrics}
	for _, c := range []struct {
		title string
		name  efficiency.MetricName
	}{
		{"CPU", efficiency.CPUEfficiency},
		{"Memory", efficiency.MemoryEfficiency},
		{"GPU", efficiency.GPUUtilization},
		{"Energy", efficiency.Energy},
		{"Wasted CPU", efficiency.WastedCPU},
		{"Wasted mem.", efficiency.WastedMemory},
		{"Wasted GPU", efficiency.WastedGPU},
		{"Cost", efficiency.Cost},
		{"Carbon", efficiency.Carbon},
	} {
		if v, known := r.Value(c.name); known && (v > 0 || c.name == efficiency.CPUEfficiency) {
			p.printf("  %-12s %s\n", c.title, value(r, c.name))
		}
	}
	return p.err
}
