package report

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// row is one line of the table: what was asked, what was used, the ratio, and how far to trust it.
type row struct{ name, asked, used, ratio, note string }

// table prints requested against used.
func (p *printer) table(r efficiency.Report) {
	rows := []row{{"", "requested", "used", "efficiency", ""}}
	rows = append(rows, cpuRow(r), memoryRow(r))
	if gpus, known := r.Value(efficiency.GPUCount); known && gpus > 0 {
		rows = append(rows, gpuRow(r, gpus))
	}
	rows = append(rows, timeRow(r), energyRow(r))
	if r.Metrics[efficiency.Cost].Value != nil || r.Metrics[efficiency.Carbon].Value != nil {
		rows = append(rows, row{"Cost", "", value(r, efficiency.Cost), "", value(r, efficiency.Carbon)})
	}
	p.printf("\n")
	for _, c := range aligned(rows) {
		p.printf("  %s\n", strings.TrimRight(c.name+c.asked+c.used+c.ratio+p.style.dim(c.note), " "))
	}
}

// aligned pads the cells of each column to its widest.
func aligned(rows []row) []row {
	columns := []func(*row) *string{
		func(r *row) *string { return &r.name }, func(r *row) *string { return &r.asked },
		func(r *row) *string { return &r.used }, func(r *row) *string { return &r.ratio },
	}
	for _, column := range columns {
		width := 0
		for i := range rows {
			width = max(width, runewidth.StringWidth(*column(&rows[i])))
		}
		for i := range rows {
			text := column(&rows[i])
			*text = runewidth.FillRight(*text, width+2)
		}
	}
	return rows
}

// cell pads to a width on the screen, never cuts.
func cell(text string, width int) string { return runewidth.FillRight(text, width-1) + " " }

func cpuRow(r efficiency.Report) row {
	asked := "?"
	if r.Job.CPUs != nil {
		asked = plural(*r.Job.CPUs, "CPU")
	}
	used := value(r, efficiency.CPUUsed)
	if cpus, known := r.Value(efficiency.CPUUsed); known && r.Job.ElapsedSeconds != nil && *r.Job.ElapsedSeconds > 0 {
		used = qualified(r.Metrics[efficiency.CPUUsed], significant(cpus / *r.Job.ElapsedSeconds)+" CPUs on average")
	}
	return row{"CPU", asked, used, ratio(r, efficiency.CPUEfficiency), note(r.Metrics[efficiency.CPUEfficiency])}
}

func memoryRow(r efficiency.Report) row {
	asked := "?"
	if r.Job.MemoryBytes != nil {
		asked = Bytes(*r.Job.MemoryBytes)
	} else if r.Job.MemoryRequestedBytes != nil {
		asked = Bytes(*r.Job.MemoryRequestedBytes)
	}
	used := value(r, efficiency.MemoryPeak)
	if r.Metrics[efficiency.MemoryPeak].Value != nil {
		used += " peak"
	}
	return row{"Memory", asked, used, ratio(r, efficiency.MemoryEfficiency), note(r.Metrics[efficiency.MemoryEfficiency])}
}

func gpuRow(r efficiency.Report, gpus float64) row {
	used := "–"
	if r.Metrics[efficiency.GPUMemoryPeak].Value != nil {
		used = value(r, efficiency.GPUMemoryPeak) + " peak"
	}
	return row{"GPU", plural(int64(gpus), "GPU"), used, ratio(r, efficiency.GPUUtilization), note(r.Metrics[efficiency.GPUUtilization])}
}

func timeRow(r efficiency.Report) row {
	asked, used := "–", "–"
	if r.Job.LimitSeconds != nil {
		asked = Seconds(*r.Job.LimitSeconds)
	}
	if r.Job.ElapsedSeconds != nil {
		used = Seconds(*r.Job.ElapsedSeconds)
	}
	return row{"Time", asked, used, ratio(r, efficiency.TimeEfficiency), note(r.Metrics[efficiency.TimeEfficiency])}
}

func energyRow(r efficiency.Report) row {
	m := r.Metrics[efficiency.Energy]
	c := row{name: "Energy", used: value(r, efficiency.Energy), note: note(m)}
	if m.Value == nil {
		return c
	}
	c.asked = ""
	if v, known := r.Value(efficiency.PowerAverage); known {
		c.ratio = scaled(v, 1000, wattUnits) + " average"
	}
	if v, known := r.Value(efficiency.PowerPeak); known {
		c.note = strings.TrimPrefix(c.note+", ", ", ") + scaled(v, 1000, wattUnits) + " peak"
	}
	return c
}

// value prints a metric, its bound in words before it, or a dash.
func value(r efficiency.Report, name efficiency.MetricName) string {
	return Value(r.Metrics[name])
}

// Value prints a metric as tables do, its bound in words before it.
func Value(m efficiency.Metric) string {
	if m.Value == nil {
		return "–"
	}
	return qualified(m, amount(*m.Value, m.Unit))
}

func qualified(m efficiency.Metric, text string) string {
	if word := boundWords[m.Bound]; word != "" {
		return word + " " + text
	}
	return text
}

func ratio(r efficiency.Report, name efficiency.MetricName) string { return value(r, name) }

// Amount prints a value with its unit, scaled for people.
func Amount(v float64, unit efficiency.Unit) string { return amount(v, unit) }

func amount(v float64, unit efficiency.Unit) string {
	switch unit {
	case efficiency.Percent:
		return Percent(v)
	case efficiency.Byte:
		return Bytes(v)
	case efficiency.ByteSecond:
		return ByteHours(v)
	case efficiency.CoreSecond:
		return PerHour(v, "core")
	case efficiency.GPUSecond:
		return PerHour(v, "GPU")
	case efficiency.Joule:
		return scaled(v, 1000, jouleUnits)
	case efficiency.Watt:
		return scaled(v, 1000, wattUnits)
	case efficiency.JouleSecond:
		return scaled(v, 1000, edpUnits)
	case efficiency.Gram:
		return significant(v) + " g CO2e"
	case efficiency.Count:
		return significant(v)
	default:
		return significant(v) + " " + string(unit)
	}
}

// note says how much of the job a number covers where that is not all. The reasons stand under Sources.
func note(m efficiency.Metric) string {
	if m.Value == nil {
		return ""
	}
	return strings.Join(shortfall(m.Coverage), ", ")
}

// shortfall says what part of the job was measured when it is not all of it.
func shortfall(c efficiency.Coverage) (parts []string) {
	if c.Nodes != nil && c.NodesAllocated != nil && *c.Nodes < *c.NodesAllocated {
		parts = append(parts, fmt.Sprintf("%d of %d nodes", *c.Nodes, *c.NodesAllocated))
	}
	if c.Seconds != nil && c.SecondsElapsed != nil && *c.Seconds < 0.99**c.SecondsElapsed {
		parts = append(parts, fmt.Sprintf("%.0f of %.0f s", *c.Seconds, *c.SecondsElapsed))
	}
	return parts
}
