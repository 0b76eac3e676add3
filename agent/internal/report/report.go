// Package report prints reports for people: the verdict first, then what to change, then requested against used, then
// where every number comes from (design 06, CLI). It prints what it is given and computes nothing.
package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Print writes the report of one job.
func Print(out io.Writer, r efficiency.Report, style Style) error {
	p := &printer{out: out, style: style}
	p.head(r)
	if !r.Started() {
		p.asked(r)
		return p.err
	}
	p.actions(r.Actions)
	p.table(r)
	p.sparks(r.Series)
	p.wasted(r)
	p.ledger(r.Ledger)
	p.findings(r.Findings)
	p.attempts(r.Attempts)
	p.sources(r)
	return p.err
}

// head is one line of who and what, and the verdict.
func (p *printer) head(r efficiency.Report) {
	j := r.Job
	title := "Job " + firstOf(j.JobID, r.ID, "without an id")
	if j.Name != "" {
		title += " (" + term.Clean(j.Name) + ")"
	}
	var facts []string
	for _, text := range []string{j.User, j.Account, j.Partition, j.Cluster} {
		if text != "" {
			facts = append(facts, term.Clean(text))
		}
	}
	if j.Start != nil {
		facts = append(facts, "started "+p.style.clock(*j.Start))
	}
	p.printf("%s  %s\n", p.style.bold(term.Clean(title)), p.style.dim(strings.Join(facts, " · ")))
	p.printf("%s\n", p.style.severity(severity(r), upperFirst(term.Clean(r.Verdict))))
}

// asked is all that can be told of a job that has not run.
func (p *printer) asked(r efficiency.Report) {
	var parts []string
	for _, c := range []row{cpuRow(r), memoryRow(r), timeRow(r)} {
		if c.asked != "?" && c.asked != "–" {
			parts = append(parts, c.asked)
		}
	}
	if len(parts) > 0 {
		p.printf("\n  It asked for %s.\n", strings.Join(parts, ", "))
	}
}

// severity is that of the worst finding.
func severity(r efficiency.Report) efficiency.Severity {
	if len(r.Findings) > 0 {
		return r.Findings[0].Severity
	}
	return efficiency.Info
}

func (p *printer) actions(actions []efficiency.Action) {
	if len(actions) == 0 {
		return
	}
	p.heading("Change")
	for _, a := range actions {
		line := term.Clean(a.Line)
		if utf8.RuneCountInString(line) > actionWidth { // it stands alone, so that the reasons stay in their column
			p.printf("  %s\n", p.style.paint("32", line))
			line = ""
		}
		p.printf("  %s %s\n", p.style.paint("32", fmt.Sprintf("%-*s", actionWidth, line)), term.Clean(a.Why))
		if a.Risk != "" {
			p.printf("  %-*s %s\n", actionWidth, "", p.style.dim("risk: "+term.Clean(a.Risk)))
		}
	}
}

// actionWidth is the column of the lines to change, in characters.
const actionWidth = 28

// wasted says what was paid for and not used, and where the energy went in words that people know.
func (p *printer) wasted(r efficiency.Report) {
	var parts []string
	for _, name := range []efficiency.MetricName{efficiency.WastedCPU, efficiency.WastedMemory, efficiency.WastedGPU} {
		if v, known := r.Value(name); known && v > 0 {
			parts = append(parts, value(r, name))
		}
	}
	if len(parts) > 0 {
		p.heading("Wasted")
		p.printf("  %s\n", strings.Join(parts, ", "))
	}
	if l := r.Ledger.CoreS; l != nil && l.Forced > 0 {
		p.printf("  %s forced by the site's rules, not counted as yours\n", PerHour(l.Forced, "core"))
	}
	if r.Everyday != "" {
		line := "  Energy: " + r.Everyday
		if v, known := r.Value(efficiency.EnergyDelayProduct); known {
			line += "; energy-delay product " + scaled(v, 1000, edpUnits)
		}
		p.printf("%s\n", line)
	}
}

var marks = map[efficiency.Severity]string{efficiency.Critical: "✗", efficiency.Warning: "!", efficiency.Info: "·"}

func (p *printer) findings(all []efficiency.Finding) {
	if len(all) == 0 {
		return
	}
	p.heading("Findings")
	for _, f := range all {
		p.printf("  %s %s\n", p.style.severity(f.Severity, marks[f.Severity]), term.Clean(f.Text))
		if f.Change != "" {
			p.printf("      %s\n", term.Clean(f.Change))
		}
	}
}

func (p *printer) attempts(all []efficiency.Report) {
	if len(all) < 2 {
		return
	}
	p.heading(fmt.Sprintf("Attempts (%d)", len(all)))
	for i, a := range all {
		ran := "never ran"
		if a.Job.ElapsedSeconds != nil {
			ran = "ran " + Seconds(*a.Job.ElapsedSeconds)
		}
		p.printf("  %d. %-14s %s, CPU %s\n", i+1, a.Job.SlurmState, ran, value(a, efficiency.CPUEfficiency))
	}
}

// sourceNames are the metrics whose origin is always told: the efficiency, or where that is not known the amount.
var sourceNames = []struct {
	title string
	names [2]efficiency.MetricName
}{
	{"CPU", [2]efficiency.MetricName{efficiency.CPUEfficiency, efficiency.CPUUsed}},
	{"Memory", [2]efficiency.MetricName{efficiency.MemoryEfficiency, efficiency.MemoryPeak}},
	{"GPU", [2]efficiency.MetricName{efficiency.GPUUtilization, efficiency.GPUMemoryPeak}},
	{"Time", [2]efficiency.MetricName{efficiency.TimeEfficiency, efficiency.TimeEfficiency}},
	{"Energy", [2]efficiency.MetricName{efficiency.Energy, efficiency.Energy}},
}

// sources says of each number how it was obtained and how much of the job it covers.
func (p *printer) sources(r efficiency.Report) {
	gpus, _ := r.Value(efficiency.GPUCount)
	p.heading("Sources")
	for _, s := range sourceNames {
		m := r.Metrics[s.names[0]]
		if m.Value == nil && r.Metrics[s.names[1]].Value != nil {
			m = r.Metrics[s.names[1]]
		}
		text := evidence(m)
		if text == "" || s.title == "GPU" && gpus == 0 && m.Value == nil {
			continue
		}
		p.printf("  %-8s %s\n", s.title, p.style.dim(text))
	}
}

// evidence is source, bound and coverage in words, with the reasons; "" for what does not apply to the job.
func evidence(m efficiency.Metric) string {
	if m.Value == nil {
		if m.Has(efficiency.NotApplicable) || len(m.Reasons) == 0 {
			return ""
		}
		return "not known: " + reasonTexts(m.Reasons)
	}
	text := sourceText(m.Source) + ", " + boundName(m.Bound)
	c := m.Coverage
	if c.Nodes != nil && c.NodesAllocated != nil {
		text += fmt.Sprintf("; %d of %s", *c.Nodes, plural(*c.NodesAllocated, "node"))
	}
	if c.Seconds != nil && c.SecondsElapsed != nil {
		text += fmt.Sprintf(", %.0f of %.0f s", *c.Seconds, *c.SecondsElapsed)
	}
	if len(m.Reasons) > 0 {
		text += "; " + reasonTexts(m.Reasons)
	}
	return text
}

// upperFirst begins a sentence.
func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
